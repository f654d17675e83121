package daemon

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"
)

// TestPeerReach checks that torrents need a web seed only if the site is reached at the public
// URL, and the peer port is not.
func TestPeerReach(t *testing.T) {
	t.Parallel()
	open, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	openPort := netip.MustParseAddrPort(open.Addr().String()).Port()
	shut, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	shutPort := netip.MustParseAddrPort(shut.Addr().String()).Port()
	shut.Close()

	for _, c := range []struct {
		what   string
		port   uint16
		public string // path of the public URL; "none": there is no public URL
		want   bool
	}{
		{"peers can connect", openPort, "/site", false},
		{"only the site is reached", shutPort, "/site", true},
		{"only the site is reached, by a redirect", shutPort, "/moved", true},
		{"neither is reached", shutPort, "/other", false},
		{"the URL is a guess", shutPort, "none", false},
		{"the session does not listen", 0, "none", true},
	} {
		env := testEnv()
		var notes []string
		env.Notef = func(format string, _ ...any) { notes = append(notes, format) }
		now := time.Unix(1_800_000_000, 0)
		env.Now = func() time.Time { return now }
		mux := http.NewServeMux()
		asked := 0
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked++
			mux.ServeHTTP(w, r)
		}))
		defer srv.Close()
		var public *url.URL
		if c.public != "none" {
			public, _ = url.Parse(srv.URL + c.public)
		}
		p := newPeerReach(env, public, netip.MustParseAddr("127.0.0.1"), func() uint16 { return c.port })
		mux.Handle("/site/", p.handler(http.NotFoundHandler()))
		mux.HandleFunc("/moved/", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/site/"+strings.TrimPrefix(r.URL.Path, "/moved/"), http.StatusFound)
		})
		first := p.shutOut(t.Context())
		if got := first != ""; got != c.want {
			t.Errorf("%s: peers are shut out: %q, want %v", c.what, first, c.want)
		}
		if (len(notes) == 1) != c.want {
			t.Errorf("%s: the notes are %q", c.what, notes)
		}
		before := asked
		if p.shutOut(t.Context()) != first || asked != before || p.known() != first {
			t.Errorf("%s: the second call within a minute checks again, or has another result", c.what)
		}
	}
}

// TestPeerReachEndsWithItsContext checks that a check that was cancelled has no result.
func TestPeerReachEndsWithItsContext(t *testing.T) {
	t.Parallel()
	public, _ := url.Parse("http://127.0.0.1:1")
	p := newPeerReach(testEnv(), public, netip.MustParseAddr("127.0.0.1"), func() uint16 { return 1 })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := p.shutOut(ctx); got != "" || !p.checked.IsZero() {
		t.Errorf("a cancelled check has the result %q of %v", got, p.checked)
	}
}
