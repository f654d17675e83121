package daemon

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// TestClientDoorCloses checks that the listener for the graphical client stays open while it is used or
// asked for, also by one request without an end, and closes clientIdle later.
func TestClientDoorCloses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &pipeListener{make(chan net.Conn), make(chan struct{})}
		door, ended := newClientDoor(), make(chan error, 1)
		release := make(chan struct{})
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-release })
		start := time.Now()
		go func() { ended <- door.serve(t.Context(), l, h, time.Now) }()
		time.Sleep(clientIdle - time.Second)
		answer := make(chan doorAnswer, 1)
		door.asks <- answer
		if a := <-answer; a.err != nil {
			t.Error(a.err)
		}
		time.Sleep(clientIdle - time.Second)
		ours, theirs := net.Pipe()
		l.conns <- theirs
		go io.WriteString(ours, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		time.Sleep(3 * clientIdle)
		select {
		case err := <-ended:
			t.Fatalf("closed during a request: %v", err)
		default:
		}
		close(release)
		if _, err := bufio.NewReader(ours).ReadString('\n'); err != nil {
			t.Error(err)
		}
		released := time.Since(start)
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if open := time.Since(start) - released; open < clientIdle || open > clientIdle*5/4 {
			t.Errorf("closed %v after the last request", open)
		}
		ours.Close()
	})
}

// TestClientDoorIsLoopback checks the address of the listener.
func TestClientDoorIsLoopback(t *testing.T) {
	t.Parallel()
	l, err := listenLoopback(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if a := netip.MustParseAddrPort(l.Addr().String()); !a.Addr().IsLoopback() || a.Port() == 0 {
		t.Errorf("it listens on %v", a)
	}
}
