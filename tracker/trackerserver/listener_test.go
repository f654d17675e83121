package trackerserver

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"testing"

	"spate/tracker"
	"spate/tracker/trackerserver/internal/httpconn"
	"spate/tracker/wire"
)

// serveHTTP starts an http.Server with the tracker and one page on a Listener.
func serveHTTP(t *testing.T, s *Server) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/page", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "a page") })
	hs := &http.Server{Handler: s.Handler(mux), ConnContext: ConnContext}
	wrapped := s.Listener(l)
	done := make(chan error, 1)
	go func() { done <- hs.Serve(wrapped) }()
	t.Cleanup(func() {
		hs.Close()
		if err := <-done; err != http.ErrServerClosed {
			t.Error(err)
		}
	})
	return wrapped.Addr().String()
}

func announceTarget(n int) string {
	req := peer(n)
	return "/announce?" + string(wire.AppendAnnounceQuery(nil, &req))
}

// TestListener checks announces, which the listener answers itself on Linux, beside pages.
func TestListener(t *testing.T) {
	t.Parallel()
	s := newServer(t, Options{})
	addr := serveHTTP(t, s)
	c := &http.Client{Transport: &http.Transport{}}
	defer c.CloseIdleConnections()
	get := func(target string) string {
		t.Helper()
		resp, err := c.Get("http://" + addr + target)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != 200 {
			t.Fatalf("%s: %v %v", target, resp.Status, err)
		}
		return string(body)
	}
	for n := range 5 {
		r, err := wire.ParseAnnounceAnswer([]byte(get(announceTarget(n))))
		if err != nil || r.ExternalIP != netip.MustParseAddr("127.0.0.1") || r.Incomplete != n+1 {
			t.Errorf("announce %d: %+v %v", n, r, err)
		}
		if body := get("/page"); body != "a page" {
			t.Errorf("page: %q", body)
		}
	}
	if got := s.Counts().Announces[tracker.HTTP]; got != 5 {
		t.Errorf("%d announces", got)
	}
}

// TestListenerBehindProxy checks that the address in a header of the PROXY protocol is the
// address of the peer.
func TestListenerBehindProxy(t *testing.T) {
	t.Parallel()
	s := newServer(t, Options{Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, ProxyProtocol: true})
	conn, err := net.Dial("tcp", serveHTTP(t, s))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "PROXY TCP4 192.0.2.7 127.0.0.1 4660 80\r\nGET %s HTTP/1.1\r\nHost: x\r\n\r\n", announceTarget(1))
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	if r, err := wire.ParseAnnounceAnswer(body); err != nil || r.ExternalIP != netip.MustParseAddr("192.0.2.7") {
		t.Errorf("%+v %v", r, err)
	}
}

// TestListenedAnnounceAllocatesNothing checks the worker of a Listener.
func TestListenedAnnounceAllocatesNothing(t *testing.T) {
	s := newServer(t, Options{Limit: RateLimit{PerSecond: 1e9}})
	w := httpHandler{s}.NewWorker()
	req := peer(1)
	r := httpconn.Request{Now: s.now(), From: netip.MustParseAddr("192.0.2.1"), Path: []byte("/announce"), Query: wire.AppendAnnounceQuery(nil, &req)}
	if n := testing.AllocsPerRun(1000, func() {
		if len(w.Answer(&r)) < 20 {
			t.Fatal("no answer")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
