package portmap

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"
)

// network is the connection of this machine to a router.
type network struct {
	gateway netip.Addr // has a zone if it is a link-local IPv6 address
	local   netip.Addr // the address of this machine that is mapped
}

// request asks for a mapping.
type request struct {
	protocol           Protocol // TCP or UDP
	internal, external uint16
	lease              time.Duration
}

// grant is the answer to a request.
type grant struct {
	external uint16
	address  netip.Addr    // external address of the router; the zero Addr if the answer has none
	lease    time.Duration // 0: permanent
	id       string        // identifies a pinhole
}

// way asks a router in one protocol. Calls do not overlap.
type way interface {
	way() Way
	// add makes a mapping or renews it. renewed is the earlier answer, or the zero grant.
	add(ctx context.Context, q request, renewed grant) (grant, error)
	// remove deletes a mapping.
	remove(ctx context.Context, q request, g grant) error
	// check returns the external address of the router, and whether it has lost its
	// mappings. An error says that the router did not answer.
	check(ctx context.Context, held []mapped) (external netip.Addr, lost bool, err error)
}

// mapped is a mapping that the router has confirmed.
type mapped struct {
	request // with the granted external port
	grant   grant
	renew   time.Time // when it is renewed; the zero Time: never
	expires time.Time // when it ends without a renewal
}

// Times of a family.
const (
	checkEvery  = 20 * time.Second       // time between two checks of a router
	routeEvery  = 5 * time.Second        // time between two looks at the default route
	addTime     = 3 * time.Second        // limits one request
	headStart   = 700 * time.Millisecond // how long a preferred way is awaited when another one is ready
	detectTime  = 3 * time.Second        // limits the search for ways
	goodbyeTime = 2 * time.Second        // limits the removal of mappings at the end
	firstRetry  = 15 * time.Second       // time until a router that maps nothing is asked again, which doubles
	lastRetry   = 10 * time.Minute       // up to this
	maxFails    = 3                      // checks in a row that fail before the router counts as lost
	minRenew    = 30 * time.Second       // renewals of a mapping are at least this far apart, even for shorter leases
)

// family keeps the rules mapped in one address family. Only run uses its fields.
type family struct {
	m    *Mapper
	v6   bool
	wake <-chan struct{}
	log  *slog.Logger

	net      network
	way      way // nil if nothing is mapped
	external netip.Addr
	held     []mapped
	problem  error // why a rule is not mapped
}

// run maps until ctx ends.
func (f *family) run(ctx context.Context) {
	defer f.removeAll(ctx)
	retry := firstRetry
	for ctx.Err() == nil {
		before := f.net
		mapping := f.start(ctx)
		if ctx.Err() != nil {
			return
		}
		f.tell(true)
		if mapping {
			retry = firstRetry
			f.hold(ctx)
			f.tell(false)
			continue
		}
		if f.net != before {
			retry = firstRetry
		}
		f.waitForNews(ctx, retry)
		retry = min(2*retry, lastRetry)
	}
}

// start finds the router and maps the rules. It reports whether a mapping exists.
func (f *family) start(ctx context.Context) bool {
	f.way, f.held, f.external, f.problem = nil, nil, netip.Addr{}, nil
	select {
	case <-f.wake: // the rules are read below
	default:
	}
	n, err := f.m.route(f.v6)
	f.net = n
	if err != nil {
		f.problem = err
		return false
	}
	if len(f.m.currentRules()) == 0 {
		return false
	}
	silent := ErrNoAnswer // why the router has no way
	for w, err := range f.detect(ctx) {
		if errors.Is(err, ErrNoExternal) {
			silent = err
		}
		if err != nil {
			f.log.Debug("a router is not asked", "router", n.gateway, "err", err)
			continue
		}
		f.way = w
		f.removeStale(ctx)
		f.mapRules(ctx)
		if len(f.held) > 0 {
			if !f.external.IsValid() {
				f.external, _, _ = f.check(ctx)
			}
			f.log.Info("the router maps ports", "router", n.gateway, "way", w.way(), "external", f.external)
			return true
		}
		f.log.Debug("the router maps no port", "router", n.gateway, "way", w.way(), "err", f.problem)
		f.way = nil
	}
	if f.problem == nil || silent != ErrNoAnswer {
		f.problem = silent
	}
	return false
}

// mapRules maps the rules that are not mapped yet, and removes the mappings without a rule.
func (f *family) mapRules(ctx context.Context) {
	rules := f.m.currentRules()
	f.problem = nil
	for _, h := range slices.Clone(f.held) {
		if !slices.ContainsFunc(rules, func(r Rule) bool { return r.Protocols&h.protocol != 0 && r.Internal == h.internal }) {
			f.remove(ctx, h)
		}
	}
	for _, r := range rules {
		if f.m.missing(f.held, r) == 0 {
			continue
		}
		err := f.mapRule(ctx, r)
		switch {
		case err != nil && r.Optional:
			f.log.Debug("the router does not map a port", "router", f.net.gateway, "port", r.Internal, "as", r.Wanted, "err", err)
		case err != nil && f.problem == nil:
			f.problem = err
		}
	}
}

// missing returns the protocols of a rule that are not in held.
func (m *Mapper) missing(held []mapped, r Rule) Protocol {
	p := r.Protocols
	for _, h := range held {
		if h.internal == r.Internal {
			p &^= h.protocol
		}
	}
	return p
}

// maxPortTries bounds the external ports that are tried for one rule.
const maxPortTries = 4

// mapRule maps the protocols of a rule to one external port. If the second protocol cannot have
// the port that the first one got, it tries other ports, and finally maps TCP alone.
func (f *family) mapRule(ctx context.Context, r Rule) error {
	port := r.Wanted
	if f.v6 {
		port = r.Internal // a pinhole changes no port
	}
	var err error
	for try := range maxPortTries {
		var first, second mapped
		one := r.Protocols & TCP
		if one == 0 {
			one = UDP
		}
		if first, err = f.add(ctx, request{one, r.Internal, port, f.m.opt.Lease}, grant{}); err != nil {
			return err
		}
		if r.Protocols != TCP|UDP {
			return nil
		}
		second, err = f.add(ctx, request{UDP, r.Internal, first.external, f.m.opt.Lease}, grant{})
		if err == nil && second.external == first.external {
			return nil
		}
		if err == nil {
			f.remove(ctx, second)
			err = fmt.Errorf("the router gives UDP another port than TCP")
		}
		if try == maxPortTries-1 || f.v6 || ctx.Err() != nil {
			break // TCP alone stays mapped
		}
		f.remove(ctx, first)
		port = randomPort()
	}
	return err
}

// randomPort returns a port to ask for if the wanted one is taken.
func randomPort() uint16 { return uint16(20000 + rand.IntN(40000)) }

// add asks for a mapping and records it.
func (f *family) add(ctx context.Context, q request, renewed grant) (mapped, error) {
	ctx, cancel := context.WithTimeout(ctx, addTime)
	defer cancel()
	g, err := f.way.add(ctx, q, renewed)
	if err != nil {
		return mapped{}, err
	}
	if g.external == 0 || f.v6 && g.external != q.internal {
		return mapped{}, errors.New("the router answers with an impossible port")
	}
	if g.address.IsValid() {
		f.external = g.address
	}
	q.external = g.external
	h := mapped{request: q, grant: g}
	if lease := min(g.lease, q.lease); lease > 0 {
		h.renew, h.expires = time.Now().Add(max(minRenew, lease/2)), time.Now().Add(max(minRenew, lease))
	}
	f.held = slices.DeleteFunc(f.held, func(o mapped) bool { return o.protocol == q.protocol && o.internal == q.internal })
	f.held = append(f.held, h)
	return h, nil
}

// permanentOf returns the record of a permanent mapping at a router.
func permanentOf(gateway netip.Addr, q request) Permanent {
	return Permanent{Gateway: gateway.WithZone(""), Protocol: q.protocol, External: q.external, Internal: q.internal}
}

// remove deletes a mapping at the router, and its record.
func (f *family) remove(ctx context.Context, h mapped) error {
	f.held = slices.DeleteFunc(f.held, func(o mapped) bool { return o.protocol == h.protocol && o.internal == h.internal })
	ctx, cancel := context.WithTimeout(ctx, addTime)
	defer cancel()
	err := f.way.remove(ctx, h.request, h.grant)
	if err == nil && h.grant.lease == 0 {
		f.m.setPermanent(permanentOf(f.net.gateway, h.request), false)
	}
	return err
}

// removeStale removes permanent mappings of an earlier process at this router. Those that a rule
// asks for again are made anew instead.
func (f *family) removeStale(ctx context.Context) {
	if f.v6 || f.way.way() != UPnP {
		return
	}
	for _, p := range f.m.stale(f.net.gateway.WithZone("")) {
		again := slices.ContainsFunc(f.m.currentRules(), func(r Rule) bool {
			return r.Protocols&p.Protocol != 0 && r.Internal == p.Internal && r.Wanted == p.External
		})
		if !again {
			f.remove(ctx, mapped{request: request{protocol: p.Protocol, internal: p.Internal, external: p.External}})
		}
	}
}

// removeAll removes the mappings after ctx has ended.
func (f *family) removeAll(ctx context.Context) {
	if f.way == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbyeTime)
	defer cancel()
	for _, h := range slices.Clone(f.held) {
		if err := f.remove(ctx, h); err != nil {
			f.log.Debug("a mapping was not removed", "router", f.net.gateway, "port", h.external, "err", err)
		}
	}
	f.way = nil
	f.tell(false)
}

// tell publishes the state. tried says that an attempt to map has ended.
func (f *family) tell(tried bool) {
	s := Family{Gateway: f.net.gateway, Local: f.net.local, Err: f.problem}
	if f.way != nil {
		s.Way, s.External = f.way.way(), f.external
		for _, h := range f.held {
			s.Mappings = append(s.Mappings, Mapping{h.protocol, h.internal, h.external, h.grant.lease == 0})
		}
	}
	f.m.publish(f.v6, s, tried)
}
