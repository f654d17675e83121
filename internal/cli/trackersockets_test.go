//go:build linux

package cli

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"syscall"
	"testing"

	"spate"
)

// managedSockets opens a TCP and a UDP socket on one port, as a service manager does, and
// returns them with their address.
func managedSockets(t *testing.T) (sockets []*os.File, addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	u, err := net.ListenPacket("udp", l.Addr().String())
	if err != nil {
		t.Skip(err) // another process uses the UDP port
	}
	defer u.Close()
	tcp, err1 := l.(*net.TCPListener).File()
	udp, err2 := u.(*net.UDPConn).File()
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	t.Cleanup(func() { tcp.Close(); udp.Close() })
	return []*os.File{tcp, udp}, l.Addr().String()
}

// TestServeInheritsSockets checks that spate serve uses the sockets of the service manager: a
// request that arrives while no daemon runs is answered by the next daemon.
func TestServeInheritsSockets(t *testing.T) {
	sockets, addr := managedSockets(t)
	state, in := t.TempDir(), t.TempDir()
	args := []string{"serve", "--state", state, "--watch", in, "--bind", "127.0.0.1", "--no-lsd", "--peer-port", "0"}
	first := startVerb(t, sockets, args...)
	if first.addr != addr {
		t.Fatalf("the process listens on %s, want the inherited %s", first.addr, addr)
	}
	visit := func() (int, error) {
		resp, err := (&http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}).Get("http://" + addr + "/index.json")
		if err != nil {
			return 0, err
		}
		return resp.StatusCode, resp.Body.Close()
	}
	if code, err := visit(); code != http.StatusOK {
		t.Errorf("the first daemon answered %d, error %v", code, err)
	}
	if code := first.end(syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d", code)
	}
	waiting := make(chan error, 1)
	go func() {
		code, err := visit()
		if err == nil && code != http.StatusOK {
			err = fmt.Errorf("the second daemon answered %d", code)
		}
		waiting <- err
	}()
	startVerb(t, sockets, args...)
	if err := <-waiting; err != nil {
		t.Error(err)
	}
}

// TestTrackerInheritsSockets checks that spate tracker uses the sockets of the service
// manager: when one tracker stops and another one starts, all announces are answered.
func TestTrackerInheritsSockets(t *testing.T) {
	sockets, addr := managedSockets(t)
	state := t.TempDir()
	first := startTracker(t, sockets, "--state", state)
	if first.addr != addr {
		t.Fatalf("the process listens on %s, want the inherited %s", first.addr, addr)
	}
	underLoad(t, first.addr, spate.InfoHash{3}, func() {
		if code := first.end(syscall.SIGTERM); code != 0 && code != CodeInterrupted {
			t.Errorf("exit code %d", code)
		}
		startTracker(t, sockets, "--state", state)
	})
}
