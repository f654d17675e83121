package daemon

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"

	"spate/internal/fault"
)

// TestPortTaken checks that the error about a used port names the listener and the setting.
func TestPortTaken(t *testing.T) {
	t.Parallel()
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	open := func(l ListenConfig) (*sockets, error) {
		l.Who = "the tracker"
		return l.open(context.Background())
	}
	refused := func(err error, setting string) {
		t.Helper()
		var l *ListenError
		if !errors.As(err, &l) || l.Setting != setting || fault.CodeOf(err) != fault.Network || !strings.Contains(err.Error(), "the port is taken by another program") {
			t.Errorf("%v: %+v, want the setting %q", err, l, setting)
		}
	}
	_, err = open(ListenConfig{HTTP: busy.Addr().String()})
	refused(err, "listen")
	if !strings.HasPrefix(err.Error(), "the tracker cannot listen on "+busy.Addr().String()) {
		t.Error(err)
	}
	_, err = open(ListenConfig{HTTP: busy.Addr().String(), Setting: "api"})
	refused(err, "api")
	s, err := open(ListenConfig{HTTP: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if s.udpAddr() != s.httpAddr().String() {
		t.Errorf("UDP on %s, HTTP on %s: want one port", s.udpAddr(), s.httpAddr())
	}
	_, err = open(ListenConfig{HTTP: "127.0.0.1:0", UDP: s.udpAddr()})
	refused(err, "udp")
	off, err := open(ListenConfig{HTTP: "127.0.0.1:0", NoUDP: true})
	if err != nil {
		t.Fatal(err)
	}
	defer off.close()
	if off.udpAddr() != "" {
		t.Errorf("UDP is off, but listens on %s", off.udpAddr())
	}
}
