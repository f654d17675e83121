package daemon

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"testing"
)

// TestOriginAddrs checks which addresses the seeder announces.
func TestOriginAddrs(t *testing.T) {
	addr := netip.MustParseAddr
	for _, c := range []struct {
		bind  netip.Addr
		base  string
		named bool
		want  string // first; the only one when named or bound
	}{
		{addr("127.0.0.1"), "http://127.0.0.1:1", false, "127.0.0.1:7"},
		{addr("127.0.0.1"), "http://files.example:1", true, "127.0.0.1:7"},
		{netip.Addr{}, "http://198.51.100.7:1", true, "198.51.100.7:7"},
		{netip.Addr{}, "http://198.51.100.7:1", false, "198.51.100.7:7"},
		{addr("0.0.0.0"), "http://[2001:db8::1]:1", true, "[2001:db8::1]:7"},
	} {
		base, _ := url.Parse(c.base)
		got := originAddrs(context.Background(), net.DefaultResolver, c.bind, base, c.named, 7)
		if got[0].String() != c.want || c.named && len(got) > 1 {
			t.Errorf("bind %v, %s, named %v: %v, want %s", c.bind, c.base, c.named, got, c.want)
		}
	}
	none, _ := url.Parse("http://0.0.0.0:1")
	if got := originAddrs(context.Background(), net.DefaultResolver, netip.Addr{}, none, false, 7); len(got) == 0 || got[0].Port() != 7 {
		t.Errorf("without an address: %v", got)
	}
}

// TestPathPrefix checks that requests are served with and without the path of the public URL,
// because a proxy may keep or remove it.
func TestPathPrefix(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/announce", func(http.ResponseWriter, *http.Request) {})
	h := withPrefix([]string{"bt"}, mux)
	for path, want := range map[string]int{"/announce": 200, "/bt/announce": 200, "/bt/x": 404, "/btannounce": 404, "/x/announce": 404} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if w.Code != want {
			t.Errorf("%s: %d, want %d", path, w.Code, want)
		}
	}
}
