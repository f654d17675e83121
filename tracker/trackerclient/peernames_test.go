package trackerclient_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"spate"
	"spate/internal/netguard/guardtest"
	"spate/tracker"
	"spate/tracker/trackerclient"
)

// TestPeersWithNames checks that the client looks up the names of peers in the answer of a
// tracker, that it bounds the lookups, and that names that cannot be found cost nothing else.
func TestPeersWithNames(t *testing.T) {
	t.Parallel()
	answer := ""
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, answer) }))
	defer srv.Close()
	dicts := func(names ...string) string {
		var b strings.Builder
		for _, n := range names {
			fmt.Fprintf(&b, "d2:ip%d:%s4:porti6881ee", len(n), n)
		}
		return "d8:intervali60e5:peersl" + b.String() + "ee"
	}
	var lookups atomic.Int32
	known := map[string][]string{
		"one.test": {"203.0.113.1"}, "two.test": {"203.0.113.2", "2001:db8::2"}, "link.test": {"fe80::1"},
		"many.test": {"203.0.113.11", "203.0.113.12", "203.0.113.13", "203.0.113.14", "203.0.113.15", "203.0.113.16"},
	}
	names := guardtest.Resolver(func(name string) []string { lookups.Add(1); return known[name] })
	hundred := make([]string, 100)
	for i := range hundred {
		hundred[i] = fmt.Sprintf("h%d.test", i)
	}
	for _, c := range []struct {
		what  string
		opts  trackerclient.Options
		names []string
		want  []string
		most  int32 // lookups; each name has two address families, and the resolver may try a name again
	}{
		{"names", trackerclient.Options{Resolver: names}, []string{"one.test", "9.9.9.9", "two.test"},
			[]string{"203.0.113.1:6881", "203.0.113.2:6881", "9.9.9.9:6881", "[2001:db8::2]:6881"}, 20},
		{"unknown", trackerclient.Options{Resolver: names}, []string{"none.test", "9.9.9.9"}, []string{"9.9.9.9:6881"}, 20},
		{"link-local", trackerclient.Options{Resolver: names}, []string{"link.test"}, []string{"[fe80::1]:6881"}, 20},
		{"one hundred", trackerclient.Options{Resolver: names}, hundred, nil, 8 * tracker.MaxPeerNames},
		{"bound to loopback", trackerclient.Options{Resolver: names, LocalAddr: netip.MustParseAddr("127.0.0.1")}, []string{"one.test"}, nil, 0},
		{"through a proxy", trackerclient.Options{Resolver: names, Dial: new(net.Dialer).DialContext}, []string{"one.test"}, nil, 0},
		{"no name server", trackerclient.Options{Resolver: &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
			return nil, errors.New("refused")
		}}}, []string{"one.test", "9.9.9.9"}, []string{"9.9.9.9:6881"}, 0},
	} {
		answer = dicts(c.names...)
		lookups.Store(0)
		r, err := newClient(t, c.opts).Announce(t.Context(), srv.URL+"/announce", &tracker.AnnounceRequest{InfoHash: spate.InfoHash{1}, Port: 1})
		if err != nil {
			t.Errorf("%s: %v", c.what, err)
			continue
		}
		var got []string
		for _, p := range r.Peers {
			got = append(got, p.String())
		}
		slices.Sort(got)
		if !slices.Equal(got, c.want) || lookups.Load() > c.most {
			t.Errorf("%s: peers %q with %d lookups, want %q with at most %d", c.what, got, lookups.Load(), c.want, c.most)
		}
	}
	answer = dicts("many.test")
	r, err := newClient(t, trackerclient.Options{Resolver: names}).Announce(t.Context(), srv.URL+"/announce", &tracker.AnnounceRequest{InfoHash: spate.InfoHash{1}, Port: 1})
	if err != nil || len(r.Peers) != 4 {
		t.Errorf("a name with six addresses: %v, %v", r, err)
	}
}
