package portmap

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"spate/internal/netguard"
)

// Protocol is a set of transport protocols.
type Protocol uint8

// The transport protocols.
const (
	TCP Protocol = 1 << iota
	UDP
)

// String returns "TCP", "UDP" or "TCP and UDP".
func (p Protocol) String() string {
	switch p {
	case TCP:
		return "TCP"
	case UDP:
		return "UDP"
	case TCP | UDP:
		return "TCP and UDP"
	}
	return "no protocol"
}

// number returns the IP protocol number of TCP or UDP.
func (p Protocol) number() byte {
	if p == UDP {
		return 17
	}
	return 6
}

// Way is a protocol that asks a router for mappings.
type Way uint8

// The ways to ask a router.
const (
	None Way = iota
	PCP
	NATPMP
	UPnP
)

// String returns the name of the protocol, or "" for None.
func (w Way) String() string {
	return [...]string{"", "PCP", "NAT-PMP", "UPnP"}[w&3]
}

// Rule is a port of this machine that others should reach.
type Rule struct {
	// Protocols are the protocols that are mapped. Both have the same external port.
	Protocols Protocol
	Internal  uint16 // the port of this machine
	// Wanted is the external port that is asked for first; 0 selects Internal. The router
	// gives another port if it is taken.
	Wanted uint16
	// Optional says that the mapping is useful and not needed: if the router refuses it,
	// [Family.Err] does not say so.
	Optional bool
}

// Permanent identifies a mapping that a router keeps forever, because it supports no other
// leases. It must be removed explicitly.
type Permanent struct {
	Gateway  netip.Addr `json:"gateway"`
	Protocol Protocol   `json:"protocol"`
	External uint16     `json:"external"`
	Internal uint16     `json:"internal"`
}

// Options configures a [Mapper]. The zero value finds the router of the default route.
type Options struct {
	// Bind is the local address whose ports are mapped, and from which requests are sent.
	// The zero Addr selects the address of the default route.
	Bind netip.Addr
	// Gateway is the address of the router. The zero Addr selects that of the default
	// route of each address family.
	Gateway netip.Addr
	// Lease is the lease that is asked for; 0 selects an hour, which is the maximum. The
	// minimum is two minutes.
	Lease time.Duration
	// Name describes the mappings in the router's list of UPnP; "" selects "spate".
	Name string
	// Key makes the nonces of PCP. A process that starts again with the same key can
	// renew the mappings of its predecessor. Nil selects a random key.
	Key []byte
	// Stale are permanent mappings of a process that has crashed. They are removed once
	// their router is found.
	Stale []Permanent
	// Keep is called with the permanent mappings that exist, before one is made and after
	// one is removed; nil: no call. It must be quick.
	Keep func([]Permanent)
	// OnChange is called from [Mapper.Run] after each change of the status; nil: no call.
	// The calls do not overlap. It must be quick.
	OnChange func(Status)
	// Log receives messages for operators. They are discarded if Log is nil.
	Log *slog.Logger
}

// Errors of this package.
var (
	// ErrLoopback is returned by [New] if Bind is a loopback address, which no router can
	// map.
	ErrLoopback = errors.New("portmap: bound to loopback, which no router can reach")
	// ErrTooMany is returned by [Mapper.Map] beyond the maximum number of rules.
	ErrTooMany = errors.New("portmap: too many rules")
	// ErrNoGateway says that there is no default route to a router.
	ErrNoGateway = errors.New("no router was found")
	// ErrNotNeeded says that this machine has a public IPv4 address, so that no router
	// translates it.
	ErrNotNeeded = errors.New("this machine has a public address and needs no mapping")
	// ErrPublicGateway says that the router has a public address, to which the package
	// sends nothing.
	ErrPublicGateway = errors.New("the router has a public address; only one of the local network is asked")
	// ErrNoExternal says that the router has no external address. It is offline, or it has
	// a private address and does not name it.
	ErrNoExternal = errors.New("the router has no public address: it is offline, or another NAT is before it, such as the provider's (carrier-grade NAT)")
	// ErrNoAnswer says that the router answers in none of the protocols.
	ErrNoAnswer = errors.New("the router answers neither UPnP nor NAT-PMP nor PCP")
)

// Limits and times.
const (
	maxRules = 16
	maxLease = time.Hour
	minLease = 2 * time.Minute
	// maxPermanent bounds the permanent mappings that are remembered. Only a router that goes on
	// taking requests without an answer can have more; the oldest are then forgotten.
	maxPermanent = 4 * maxRules
)

// Mapper keeps ports mapped. Use [New] to make one. Its methods are safe for concurrent use.
type Mapper struct {
	opt Options
	log *slog.Logger
	// route finds the router, and ways its protocols, the preferred ones first. Tests
	// replace them, the ports and the times.
	route             func(v6 bool) (network, error)
	ways              func(n network) []func(context.Context) (way, error)
	pmpPort, ssdpPort uint16
	pmpWaits          []time.Duration // waiting times between the copies of a packet
	searchTime        time.Duration   // how long a search waits for answers
	requestTime       time.Duration   // limits an HTTP request

	wake    [2]chan struct{} // tell the families that the rules have changed
	settled chan struct{}    // closed after the first attempt of both families

	mu        sync.Mutex // guards the fields below
	rules     []Rule
	status    Status
	tried     [2]bool
	permanent []Permanent
	telling   sync.Mutex // held during OnChange; taken before mu
}

// New returns a Mapper that is started with [Mapper.Run]. It opens no sockets.
func New(opt Options) (*Mapper, error) {
	switch {
	case opt.Bind.IsLoopback():
		return nil, ErrLoopback
	case opt.Bind.IsValid() && opt.Bind.IsMulticast():
		return nil, fmt.Errorf("portmap: %v is a multicast address", opt.Bind)
	case opt.Lease == 0:
		opt.Lease = maxLease
	case opt.Lease < minLease || opt.Lease > maxLease:
		return nil, fmt.Errorf("portmap: a lease of %v is not between %v and %v", opt.Lease, minLease, maxLease)
	}
	if opt.Gateway.IsValid() {
		if err := checkGateway(opt.Gateway); err != nil {
			return nil, fmt.Errorf("portmap: the gateway %v cannot be used: %w", opt.Gateway, err)
		}
	}
	if opt.Bind.IsUnspecified() {
		opt.Bind = netip.Addr{}
	}
	if opt.Name == "" {
		opt.Name = "spate"
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if opt.Key == nil {
		opt.Key = make([]byte, 16)
		rand.Read(opt.Key)
	}
	m := &Mapper{opt: opt, log: opt.Log, settled: make(chan struct{}), permanent: slices.Clone(opt.Stale), pmpPort: pmpPort, ssdpPort: ssdpPort, pmpWaits: pmpWaits, searchTime: searchTime, requestTime: addTime}
	for i := range m.wake {
		m.wake[i] = make(chan struct{}, 1)
	}
	m.route = m.findRoute
	m.ways = m.waysOf
	return m, nil
}

// checkGateway returns an error if no request may be sent to a router at a.
func checkGateway(a netip.Addr) error {
	switch netguard.KindOf(a) {
	case netguard.Private, netguard.LinkLocal, netguard.Loopback:
		return nil
	case netguard.Public:
		return ErrPublicGateway
	}
	return errors.New("it is not the address of a router")
}

// Map adds a rule. Run makes its mappings.
func (m *Mapper) Map(r Rule) error {
	if r.Protocols == 0 || r.Protocols > TCP|UDP || r.Internal == 0 {
		return fmt.Errorf("portmap: a rule for port %d and %s", r.Internal, r.Protocols)
	}
	if r.Wanted == 0 {
		r.Wanted = r.Internal
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if slices.Contains(m.rules, r) {
		return nil
	}
	if len(m.rules) == maxRules {
		return ErrTooMany
	}
	m.rules = append(slices.Clone(m.rules), r)
	m.wakeAll()
	return nil
}

// Unmap removes the rule for a port of this machine. Run removes its mappings.
func (m *Mapper) Unmap(p Protocol, internal uint16) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rules = slices.DeleteFunc(slices.Clone(m.rules), func(r Rule) bool { return r.Protocols == p && r.Internal == internal })
	m.wakeAll()
}

func (m *Mapper) wakeAll() {
	for _, c := range m.wake {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// Run keeps the rules mapped until ctx ends. Then it removes the mappings, for which it takes
// two seconds at most, and returns nil.
func (m *Mapper) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for i := range 2 {
		f := &family{m: m, v6: i == 1, wake: m.wake[i], log: m.log}
		wg.Go(func() { f.run(ctx) })
	}
	wg.Wait()
	return nil
}

// Settled returns a channel that is closed once Run has tried to map the rules that it found at
// its start.
func (m *Mapper) Settled() <-chan struct{} { return m.settled }

// Status returns the present state.
func (m *Mapper) Status() Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.status.clone()
}

// currentRules returns the rules. The caller does not change the slice.
func (m *Mapper) currentRules() []Rule {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.rules
}

// publish replaces the state of one family, and calls OnChange if it differs. tried says that an
// attempt has ended.
func (m *Mapper) publish(v6 bool, f Family, tried bool) {
	m.telling.Lock()
	defer m.telling.Unlock()
	m.mu.Lock()
	i, at := 0, &m.status.IPv4
	if v6 {
		i, at = 1, &m.status.IPv6
	}
	changed := !at.equal(f)
	*at = f
	if tried && !m.tried[i] {
		m.tried[i] = true
		if m.tried[0] && m.tried[1] {
			close(m.settled)
		}
	}
	status := m.status.clone()
	m.mu.Unlock()
	if changed && m.opt.OnChange != nil {
		m.opt.OnChange(status)
	}
}

// setPermanent records that a permanent mapping exists or not.
func (m *Mapper) setPermanent(p Permanent, exists bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if slices.Contains(m.permanent, p) == exists {
		return
	}
	if exists {
		m.permanent = append(m.permanent[max(0, len(m.permanent)-maxPermanent+1):], p)
	} else {
		m.permanent = slices.DeleteFunc(m.permanent, func(q Permanent) bool { return q == p })
	}
	if m.opt.Keep != nil {
		m.opt.Keep(slices.Clone(m.permanent))
	}
}

// stale returns the permanent mappings at a gateway.
func (m *Mapper) stale(gateway netip.Addr) (out []Permanent) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range m.permanent {
		if p.Gateway == gateway {
			out = append(out, p)
		}
	}
	return out
}
