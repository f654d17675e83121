package simnet_test

import (
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"spate/internal/simnet"
)

// TestRoutersFilterAndMap checks which packets reach a host behind each kind of NAT, and from which
// addresses its own packets come.
func TestRoutersFilterAndMap(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind           simnet.NAT
		stranger, same bool // a stranger's packets get in; all destinations see one port
	}{{simnet.Masquerade, false, true}, {simnet.FullCone, true, true}, {simnet.Symmetric, false, false}} {
		synctest.Test(t, func(t *testing.T) {
			d := simnet.NewDatagrams(time.Millisecond)
			var mu sync.Mutex
			all := map[string][]netip.AddrPort{} // guarded by mu: the senders of what each port has received
			port := func(name, at string, r *simnet.Router) *simnet.DatagramPort {
				return d.Port(netip.MustParseAddrPort(at), r, func(_ []byte, from netip.AddrPort) {
					mu.Lock()
					defer mu.Unlock()
					all[name] = append(all[name], from)
				})
			}
			got := func(name string) []netip.AddrPort {
				mu.Lock()
				defer mu.Unlock()
				return slices.Clone(all[name])
			}
			r := d.Router(netip.MustParseAddr("44.0.0.1"), c.kind)
			inner := port("inner", "192.168.0.2:6881", r)
			one, two, stranger := port("one", "44.0.1.1:1", nil), port("two", "44.0.1.2:2", nil), port("stranger", "44.0.1.3:3", nil)
			send := func(p *simnet.DatagramPort, to netip.AddrPort) {
				p.WriteTo([]byte("x"), to)
				time.Sleep(5 * time.Millisecond)
			}
			send(inner, netip.MustParseAddrPort("44.0.1.1:1"))
			send(inner, netip.MustParseAddrPort("44.0.1.2:2"))
			if len(got("one")) != 1 || len(got("two")) != 1 {
				t.Fatalf("kind %d: packets of the host did not arrive", c.kind)
			}
			at := got("one")[0]
			if same := at == got("two")[0]; same != c.same || c.same && at != netip.MustParseAddrPort("44.0.0.1:6881") {
				t.Errorf("kind %d: two destinations see %v and %v", c.kind, at, got("two")[0])
			}
			send(one, at)
			send(two, got("two")[0])
			if len(got("inner")) != 2 {
				t.Errorf("kind %d: %d of 2 answers came in", c.kind, len(got("inner")))
			}
			send(stranger, at)
			if in := len(got("inner")) == 3; in != c.stranger {
				t.Errorf("kind %d: a stranger's packet came in: %v", c.kind, in)
			}
			time.Sleep(2 * time.Minute)
			before := len(got("inner"))
			send(one, at)
			if in := len(got("inner")) > before; in != c.stranger {
				t.Errorf("kind %d: a late answer came in: %v", c.kind, in)
			}
			if n := d.Sent(netip.MustParseAddr("44.0.1.1")); n != 1 {
				t.Errorf("%d packets were sent to the first destination", n)
			}
		})
	}
}
