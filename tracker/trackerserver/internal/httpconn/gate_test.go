package httpconn

import (
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"spate/internal/fairpool"
)

// TestGateRelieves checks that only idle connections are ended when descriptors have run
// out.
func TestGateRelieves(t *testing.T) {
	t.Parallel()
	g := newGate(testOptions())
	now := time.Unix(1e9, 0)
	var all []*endedConn
	var slots []*slot
	for range 2 * maxRelieved {
		c := &endedConn{}
		all, slots = append(all, c), append(slots, g.enter(now, netip.MustParseAddr("192.0.2.1"), c))
	}
	now = now.Add(connGrace)
	for i, p := range slots {
		if i%2 == 1 {
			g.answered(now, p, 10_000)
		}
	}
	g.relieve(now)
	g.relieve(now)
	for i, c := range all {
		if c.ended != (i%2 == 0) {
			t.Errorf("connection %d was ended: %v", i, c.ended)
		}
	}
}

// proxyAt returns a function for Options.IsProxy.
func proxyAt(addr string) func(netip.Addr) bool {
	proxy := netip.MustParseAddr(addr)
	return func(a netip.Addr) bool { return a == proxy }
}

// TestGateKnowsClientsOfProxies checks that a connection from a proxy counts for the network
// of its client once the header of the PROXY protocol was read, and alone before that.
func TestGateKnowsClientsOfProxies(t *testing.T) {
	t.Parallel()
	o := testOptions()
	o.IsProxy, o.ProxyProtocol = proxyAt("10.0.0.1"), true
	g := newGate(o)
	ours, theirs := net.Pipe()
	defer theirs.Close()
	from := netip.MustParseAddr("10.0.0.1")
	c := &stdConn{Conn: ours, gate: g}
	c.slot = g.enter(time.Now(), from, c)
	if n := g.networkOf(from); n != 0 {
		t.Errorf("the network of a proxy is %d", n)
	}
	go io.WriteString(theirs, "PROXY TCP4 192.0.2.7 127.0.0.1 4660 80\r\n")
	p := &proxyConn{stdConn: c}
	if got := p.RemoteAddr().String(); got != "192.0.2.7:4660" {
		t.Error(got)
	}
	g.mu.Lock()
	held := g.pool.Held(fairpool.Prefix(netip.MustParseAddr("192.0.2.9")))
	g.mu.Unlock()
	if held != 1 {
		t.Errorf("the client's network has %d slots", held)
	}
	p.Close()
	if g.pool.Len() != 0 {
		t.Error("the slot was not released")
	}
}

// endedConn is a connection that records whether it was ended.
type endedConn struct{ ended bool }

func (c *endedConn) end() { c.ended = true }

// TestGate checks that a connection without a request, or an idle one, is ended when its
// slot is needed, and that the first to end is from the network with the most connections.
// A connection that gets answers is not ended.
func TestGate(t *testing.T) {
	t.Parallel()
	o := testOptions()
	o.MaxConns, o.IsProxy = 8, proxyAt("10.0.0.1")
	g := newGate(o)
	now := time.Unix(1e9, 0)
	enter := func(from string) (*endedConn, *slot) {
		c := &endedConn{}
		now = now.Add(time.Millisecond)
		return c, g.enter(now, netip.MustParseAddr(from), c)
	}
	var silent []*endedConn
	for range 5 {
		c, _ := enter("192.0.2.1")
		silent = append(silent, c)
	}
	single, _ := enter("198.51.100.1")
	served, servedSlot := enter("192.0.2.9")
	if servedSlot == nil {
		t.Fatal("the seventh connection gets none of eight slots")
	}
	if _, p := enter("192.0.2.77"); p == nil {
		t.Error("the last free slot is not given to a network that has others")
	}
	if _, p := enter("2001:db8::1"); p != nil {
		t.Error("a connection was ended before it had the time for a request")
	}
	now = now.Add(connGrace)
	g.answered(now, servedSlot, 500)
	for i := range 2 {
		if _, p := enter("2001:db8::1"); p == nil || !silent[i].ended {
			t.Fatalf("connection %d gets no slot, or not that of the oldest connection without a request", i)
		}
	}
	for range 5 {
		if c, p := enter("10.0.0.1"); p == nil || c.ended { // each connection may be from another client
			t.Fatal("a connection from the proxy gets no slot")
		}
	}
	if !single.ended || served.ended {
		t.Errorf("ended: single %v, served %v", single.ended, served.ended)
	}
	if n := o.Counts; n.Ended.Load() != 7 || n.Overflowed.Load() != 1 {
		t.Errorf("%d connections were ended, %d were refused", n.Ended.Load(), n.Overflowed.Load())
	}
}
