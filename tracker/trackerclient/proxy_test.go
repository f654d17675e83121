package trackerclient

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"spate"
	"spate/internal/proxy"
	"spate/tracker"
)

// TestAnnounceThroughProxy checks that announces over HTTP go through the proxy with the name of the tracker, that those
// over UDP and WebSocket do not go past it, and that no name is resolved here, not even one of a peer.
func TestAnnounceThroughProxy(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 10)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Method + " " + r.Host
		if r.Method == http.MethodConnect {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		io.WriteString(w, "d8:intervali60e5:peersld2:ip12:peer.example4:porti6881eed2:ip9:192.0.2.14:porti6882eeee")
	}))
	t.Cleanup(s.Close)
	var looked atomic.Int32
	c, err := New(Options{
		Proxy: func(*url.URL) (*url.URL, error) { return url.Parse(s.URL) },
		Resolver: &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
			looked.Add(1)
			return nil, errors.New("a name was looked up")
		}},
		DialUDP: func(context.Context, string, string) (net.Conn, error) {
			t.Error("a UDP connection was made")
			return nil, errors.ErrUnsupported
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	req := &tracker.AnnounceRequest{Port: 1}
	resp, err := c.Announce(t.Context(), "http://tracker.example/announce", req)
	if err != nil || len(resp.Peers) != 1 || resp.Peers[0].String() != "192.0.2.1:6882" {
		t.Fatalf("%+v, %v", resp, err)
	}
	if got := <-asked; got != "GET tracker.example" {
		t.Errorf("the proxy was asked for %s", got)
	}
	for _, u := range []string{"udp://tracker.example:6969/announce", "udp://192.0.2.1:6969"} {
		if _, err := c.Announce(t.Context(), u, req); !errors.Is(err, proxy.ErrUDP) {
			t.Errorf("%s: %v", u, err)
		}
	}
	for _, u := range []string{"http://nas.local/announce", "http://tracker/announce"} {
		if _, err := c.Announce(t.Context(), u, req); !errors.Is(err, ErrForbiddenAddress) {
			t.Errorf("%s: %v", u, err)
		}
	}
	if _, err := c.Scrape(t.Context(), "wss://tracker.example/announce", []spate.InfoHash{{}}); err == nil || !strings.Contains(err.Error(), "403") {
		t.Errorf("WebSocket: %v", err)
	}
	if got := <-asked; got != "CONNECT tracker.example:443" {
		t.Errorf("the proxy was asked for %s", got)
	}
	if n := looked.Load(); n != 0 {
		t.Errorf("%d names were looked up", n)
	}
}
