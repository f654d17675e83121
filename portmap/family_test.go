package portmap

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// fakeRouter is a way whose answers a test decides.
type fakeRouter struct {
	sync.Mutex
	kind     Way
	external netip.Addr
	lease    time.Duration   // 0: what is asked for
	taken    map[uint16]bool // external ports that are refused
	swap     uint16          // the port that UDP gets instead of the wanted one, once
	refuse   error           // of add
	forbids  uint16          // an internal port that add refuses
	silent   bool            // check fails
	lost     bool            // the next check finds the mappings lost
	rules    map[request]int // external and internal port of each mapping to its number of requests
	calls    []request       // of add
	removed  []request       // of remove
}

func (r *fakeRouter) key(q request) request { q.lease = 0; return q }

func (r *fakeRouter) way() Way { return r.kind }

func (r *fakeRouter) add(_ context.Context, q request, _ grant) (grant, error) {
	r.Lock()
	defer r.Unlock()
	r.calls = append(r.calls, q)
	if r.refuse != nil {
		return grant{}, r.refuse
	}
	if q.internal == r.forbids {
		return grant{}, errSilent
	}
	for r.taken[q.external] {
		q.external++
	}
	if q.protocol == UDP && r.swap != 0 {
		q.external, r.swap = r.swap, 0
	}
	g := grant{external: q.external, address: r.external, lease: q.lease}
	if r.lease > 0 {
		g.lease = r.lease
	}
	if r.rules == nil {
		r.rules = map[request]int{}
	}
	r.rules[r.key(q)]++
	return g, nil
}

func (r *fakeRouter) remove(_ context.Context, q request, _ grant) error {
	r.Lock()
	defer r.Unlock()
	r.removed = append(r.removed, r.key(q))
	delete(r.rules, r.key(q))
	return nil
}

func (r *fakeRouter) check(context.Context, []mapped) (netip.Addr, bool, error) {
	r.Lock()
	defer r.Unlock()
	if r.silent {
		return netip.Addr{}, false, errSilent
	}
	lost := r.lost
	r.lost = false
	if lost {
		r.rules = nil
	}
	return r.external, lost, nil
}

// change changes the router while the mapper runs.
func (r *fakeRouter) change(f func()) {
	r.Lock()
	defer r.Unlock()
	f()
}

// wait waits for a time and for the work at its end.
func wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// home is a network with a router for a test under synctest.
type home struct {
	*Mapper
	sync.Mutex // guards net, routes and told
	net        network
	routes     []func(context.Context) (way, error)
	told       []Status
}

func newHome(t *testing.T, opt Options, ways ...*fakeRouter) *home {
	h := &home{net: network{netip.MustParseAddr("192.168.1.1"), netip.MustParseAddr("192.168.1.2")}}
	opt.OnChange = func(s Status) {
		h.Lock()
		defer h.Unlock()
		h.told = append(h.told, s)
	}
	m, err := New(opt)
	if err != nil {
		t.Fatal(err)
	}
	h.Mapper = m
	m.route = func(v6 bool) (network, error) {
		if v6 {
			return network{}, ErrNoGateway
		}
		h.Lock()
		defer h.Unlock()
		return h.net, nil
	}
	for _, w := range ways {
		h.routes = append(h.routes, func(context.Context) (way, error) { return w, nil })
	}
	m.ways = func(network) []func(context.Context) (way, error) {
		h.Lock()
		defer h.Unlock()
		return h.routes
	}
	return h
}

// start runs the mapper and returns a function that stops it.
func (h *home) start() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { h.Run(ctx); close(done) }()
	<-h.Settled()
	return func() { cancel(); <-done }
}

var outside = netip.MustParseAddr("203.0.113.7")

// TestProtocolsKeepOnePort checks that TCP and UDP have one external port again after the router has
// given one of them another port at a renewal.
func TestProtocolsKeepOnePort(t *testing.T) {
	for name, change := range map[string]func(r *fakeRouter){
		"UDP": func(r *fakeRouter) { r.swap = 7001 },
		"TCP": func(r *fakeRouter) {
			r.taken, r.swap = map[uint16]bool{6881: true}, 6881
			delete(r.rules, request{protocol: TCP, internal: 6881, external: 6881})
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &fakeRouter{kind: NATPMP, external: outside}
				h := newHome(t, Options{}, r)
				h.Map(Rule{Protocols: TCP | UDP, Internal: 6881})
				defer h.start()()
				before := len(h.Status().IPv4.Mappings)
				r.change(func() { change(r) })
				wait(maxLease)
				got := h.Status().IPv4.Mappings
				if before != 2 || len(got) != 2 || got[0].External != got[1].External {
					t.Errorf("the mappings are %+v, want TCP and UDP at one external port", got)
				}
				if len(r.rules) != 2 {
					t.Errorf("the router has the mappings %v, want no others", r.rules)
				}
			})
		})
	}
}

// TestRefusedOptionalPortIsNoProblem checks that the status does not name a port that is only useful if the
// router refuses it, and that the other ports are mapped.
func TestRefusedOptionalPortIsNoProblem(t *testing.T) {
	for _, optional := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := &fakeRouter{kind: NATPMP, external: outside, forbids: 8443}
			h := newHome(t, Options{}, r)
			h.Map(Rule{Protocols: TCP, Internal: 8443, Wanted: 443, Optional: optional})
			h.Map(Rule{Protocols: TCP, Internal: 6881})
			defer h.start()()
			for range 2 {
				if st := h.Status().IPv4; len(st.Mappings) != 1 || st.Mappings[0].Internal != 6881 || (st.Err == nil) != optional {
					t.Errorf("optional %v: the status is %+v", optional, st)
				}
				wait(maxLease)
			}
		})
	}
}

// TestMappingsAreRenewedAndRemoved checks that leases are renewed before they end, and removed at
// the end of Run.
func TestMappingsAreRenewedAndRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &fakeRouter{kind: PCP, external: outside}
		h := newHome(t, Options{}, r)
		h.Map(Rule{Protocols: TCP | UDP, Internal: 6881})
		stop := h.start()
		want := netip.MustParseAddrPort("203.0.113.7:6881")
		for _, p := range []Protocol{TCP, UDP} {
			if got := h.Status().IPv4.Reached(p, 6881); got != want {
				t.Errorf("%s is reached at %v", p, got)
			}
		}
		wait(3 * time.Hour)
		for q, n := range r.rules {
			if q.internal != 6881 || n < 6 || n > 8 {
				t.Errorf("%+v was asked for %d times in 3 hours with leases of one", q, n)
			}
		}
		stop()
		if len(r.rules) != 0 || len(r.removed) != 2 {
			t.Errorf("left %v, removed %v", r.rules, r.removed)
		}
		if s := h.Status().IPv4; len(s.Mappings) != 0 || s.Reached(TCP, 6881).IsValid() {
			t.Errorf("status after the end: %+v", s)
		}
	})
}

// TestBothProtocolsGetOnePort checks that TCP and UDP of a rule have the same external port, and
// that a port given to UDP alone is returned.
func TestBothProtocolsGetOnePort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &fakeRouter{kind: UPnP, external: outside, taken: map[uint16]bool{6881: true}, swap: 7777}
		h := newHome(t, Options{}, r)
		h.Map(Rule{Protocols: TCP | UDP, Internal: 6881})
		stop := h.start()
		s := h.Status().IPv4
		tcp, udp := s.Reached(TCP, 6881), s.Reached(UDP, 6881)
		if tcp != udp || !tcp.IsValid() || tcp.Port() == 6881 {
			t.Errorf("TCP at %v, UDP at %v", tcp, udp)
		}
		if len(r.rules) != 2 {
			t.Errorf("the router has %v", r.rules)
		}
		stop()
	})
}

// TestRestartOfRouterIsNoticed checks that a router that has lost its mappings is asked again.
func TestRestartOfRouterIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &fakeRouter{kind: NATPMP, external: outside}
		h := newHome(t, Options{}, r)
		h.Map(Rule{Protocols: TCP, Internal: 80, Wanted: 8080})
		defer h.start()()
		r.change(func() { r.lost = true })
		wait(time.Minute)
		if len(r.rules) != 1 {
			t.Errorf("the router has %v a minute after it lost its mappings", r.rules)
		}
	})
}

// TestNewAddressIsTold checks that a new external address, and a new network, are known within a
// minute.
func TestNewAddressIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &fakeRouter{kind: UPnP, external: outside}
		h := newHome(t, Options{}, r)
		h.Map(Rule{Protocols: TCP, Internal: 80})
		defer h.start()()
		r.change(func() { r.external = netip.MustParseAddr("203.0.113.99") })
		wait(time.Minute)
		if got := h.told[len(h.told)-1].IPv4.Reached(TCP, 80); got != netip.MustParseAddrPort("203.0.113.99:80") {
			t.Errorf("told %v", got)
		}
		other := &fakeRouter{kind: PCP, external: netip.MustParseAddr("198.51.100.1")}
		h.Lock()
		h.routes = []func(context.Context) (way, error){func(context.Context) (way, error) { return other, nil }}
		h.net = network{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.5")}
		h.Unlock()
		wait(time.Minute)
		last := h.told[len(h.told)-1].IPv4
		if got := last.Reached(TCP, 80); got != netip.MustParseAddrPort("198.51.100.1:80") || last.Way != PCP || last.Gateway != h.net.gateway {
			t.Errorf("told %+v", last)
		}
	})
}

// TestPreferredWayComesFirst checks the order of the ways: the preferred one if it answers in
// time, another one if it is slow or refuses.
func TestPreferredWayComesFirst(t *testing.T) {
	for name, c := range map[string]struct {
		delays [2]time.Duration
		fail   error
		refuse error
		want   Way
	}{
		"both answer":                  {want: PCP},
		"the second one is faster":     {delays: [2]time.Duration{headStart / 2, 0}, want: PCP},
		"the first one is slow":        {delays: [2]time.Duration{2 * headStart, 0}, want: UPnP},
		"the first one does not exist": {fail: errSilent, want: UPnP},
		"the first one refuses":        {refuse: &ResultError{PCP, 2}, want: UPnP},
		"the second one is late":       {delays: [2]time.Duration{0, 2 * time.Second}, refuse: &ResultError{PCP, 2}, want: UPnP},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pcp, igd := &fakeRouter{kind: PCP, external: outside, refuse: c.refuse}, &fakeRouter{kind: UPnP, external: outside}
				h := newHome(t, Options{}, pcp, igd)
				for i, f := range slices.Clone(h.routes) {
					h.routes[i] = func(ctx context.Context) (way, error) {
						select {
						case <-time.After(c.delays[i]):
						case <-ctx.Done():
							return nil, ctx.Err()
						}
						if i == 0 && c.fail != nil {
							return nil, c.fail
						}
						return f(ctx)
					}
				}
				h.Map(Rule{Protocols: TCP, Internal: 80})
				stop := h.start()
				if got := h.Status().IPv4; got.Way != c.want || got.Err != nil {
					t.Errorf("got %v, %v, want %v", got.Way, got.Err, c.want)
				}
				stop()
				if len(pcp.rules)+len(igd.rules) != 0 {
					t.Errorf("left %v and %v", pcp.rules, igd.rules)
				}
			})
		})
	}
}

// TestPrivateExternalAddressIsNotReached checks that a mapping of a router behind another NAT
// does not count.
func TestPrivateExternalAddressIsNotReached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, a := range []string{"100.64.7.7", "10.1.2.3", "192.168.0.2", "127.0.0.1", "169.254.1.1"} {
			h := newHome(t, Options{}, &fakeRouter{kind: UPnP, external: netip.MustParseAddr(a)})
			h.Map(Rule{Protocols: TCP, Internal: 80})
			stop := h.start()
			if s := h.Status().IPv4; !s.BehindNAT() || s.Reached(TCP, 80).IsValid() {
				t.Errorf("%s: %+v", a, s)
			}
			stop()
		}
	})
}

// TestShortLeasesCauseNoFlood checks that a router that gives leases of a second is not asked
// every second.
func TestShortLeasesCauseNoFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &fakeRouter{kind: PCP, external: outside, lease: time.Second}
		h := newHome(t, Options{}, r)
		h.Map(Rule{Protocols: TCP, Internal: 80})
		defer h.start()()
		wait(time.Hour)
		if n := len(r.calls); n < 60 || n > 121 {
			t.Errorf("asked %d times in an hour", n)
		}
	})
}

// TestSilentRouterIsAskedAgainLater checks that a router that maps nothing is asked rarely, and
// that one that stops to answer is given up.
func TestSilentRouterIsAskedAgainLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &fakeRouter{kind: PCP, external: outside, refuse: errors.New("no")}
		h := newHome(t, Options{}, r)
		h.Map(Rule{Protocols: TCP, Internal: 80})
		defer h.start()()
		if err := h.Status().IPv4.Err; err == nil || err.Error() != "no" {
			t.Errorf("the status has the error %v", err)
		}
		wait(6 * time.Hour)
		if n := len(r.calls); n < 36 || n > 45 {
			t.Errorf("asked %d times in 6 hours", n)
		}
		r.change(func() { r.refuse = nil })
		wait(lastRetry + time.Minute)
		if !h.Status().IPv4.Reached(TCP, 80).IsValid() {
			t.Error("not mapped after the router has changed its mind")
		}
		r.change(func() { r.silent, r.refuse = true, errSilent })
		wait(5 * time.Minute)
		if s := h.Status().IPv4; s.Way != None || s.Err == nil {
			t.Errorf("the status of a silent router is %+v", s)
		}
	})
}

// TestRulesCanChange checks that rules are added and removed while Run runs.
func TestRulesCanChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &fakeRouter{kind: PCP, external: outside}
		h := newHome(t, Options{}, r)
		defer h.start()()
		h.Map(Rule{Protocols: TCP, Internal: 80})
		synctest.Wait()
		h.Map(Rule{Protocols: UDP, Internal: 81})
		synctest.Wait()
		if len(r.rules) != 2 {
			t.Errorf("the router has %v", r.rules)
		}
		h.Unmap(TCP, 80)
		synctest.Wait()
		if s := h.Status().IPv4; len(s.Mappings) != 1 || s.Mappings[0].Internal != 81 || len(r.rules) != 1 {
			t.Errorf("status %+v, the router has %v", s, r.rules)
		}
	})
}

// TestStalePermanentMappingsAreRemoved checks that permanent mappings are recorded, and that those
// of a process that crashed are removed, but not the ones that are still wanted.
func TestStalePermanentMappingsAreRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gateway := netip.MustParseAddr("192.168.1.1")
		kept := []Permanent{}
		old := Permanent{gateway, TCP, 7000, 6000}
		elsewhere := Permanent{netip.MustParseAddr("10.0.0.1"), TCP, 7000, 6000}
		again := Permanent{gateway, TCP, 80, 80}
		r := &fakeRouter{kind: UPnP, external: outside}
		h := newHome(t, Options{Stale: []Permanent{old, elsewhere, again}, Keep: func(p []Permanent) { kept = p }}, r)
		h.Map(Rule{Protocols: TCP, Internal: 80})
		stop := h.start()
		if want := []request{{protocol: TCP, internal: 6000, external: 7000}}; !slices.Equal(r.removed, want) {
			t.Errorf("removed %v, want %v", r.removed, want)
		}
		if want := []Permanent{elsewhere, again}; !slices.Equal(kept, want) {
			t.Errorf("kept %v, want %v", kept, want)
		}
		stop()
	})
}

// TestNewRefusesAddressesThatNeverWork checks Bind and Gateway.
func TestNewRefusesAddressesThatNeverWork(t *testing.T) {
	t.Parallel()
	if _, err := New(Options{Bind: netip.MustParseAddr("127.0.0.1")}); !errors.Is(err, ErrLoopback) {
		t.Errorf("bound to loopback: %v", err)
	}
	if _, err := New(Options{Gateway: outside}); !errors.Is(err, ErrPublicGateway) {
		t.Errorf("a public gateway: %v", err)
	}
	for _, opt := range []Options{{Gateway: netip.MustParseAddr("224.0.0.1")}, {Lease: time.Second}, {Lease: 2 * time.Hour}, {Gateway: netip.IPv4Unspecified()}} {
		if _, err := New(opt); err == nil {
			t.Errorf("%+v is accepted", opt)
		}
	}
	m, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []Rule{{}, {Protocols: TCP}, {Protocols: 4, Internal: 80}} {
		if m.Map(r) == nil {
			t.Errorf("%+v is accepted", r)
		}
	}
	for i := range maxRules {
		if err := m.Map(Rule{Protocols: TCP, Internal: uint16(1 + i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Map(Rule{Protocols: UDP, Internal: 1}); !errors.Is(err, ErrTooMany) {
		t.Errorf("too many rules: %v", err)
	}
}
