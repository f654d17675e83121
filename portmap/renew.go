package portmap

import (
	"context"
	"net/netip"
	"slices"
	"time"
)

// check asks the router whether it still has the mappings.
func (f *family) check(ctx context.Context) (netip.Addr, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, addTime)
	defer cancel()
	return f.way.check(ctx, f.held)
}

// hold renews the mappings until ctx ends, the router is lost or the network changes.
func (f *family) hold(ctx context.Context) {
	now := time.Now()
	nextCheck, nextRoute := now.Add(checkEvery), now.Add(routeEvery)
	fails := 0
	for {
		next := nextCheck
		for _, h := range f.held {
			if !h.renew.IsZero() && h.renew.Before(next) {
				next = h.renew
			}
		}
		if nextRoute.Before(next) {
			next = nextRoute
		}
		select {
		case <-ctx.Done():
			return
		case <-f.wake:
			f.mapRules(ctx)
		case <-time.After(time.Until(next)):
		}
		now = time.Now()
		if !now.Before(nextRoute) {
			nextRoute = now.Add(routeEvery)
			if n, err := f.m.route(f.v6); err != nil || n != f.net {
				f.log.Info("the network has changed", "router", f.net.gateway)
				return
			}
		}
		f.renew(ctx, now)
		if !now.Before(nextCheck) {
			nextCheck = now.Add(checkEvery)
			external, lost, err := f.check(ctx)
			switch {
			case ctx.Err() != nil:
				return
			case err != nil:
				fails++
				f.log.Debug("the router did not answer a check", "router", f.net.gateway, "err", err)
			case lost:
				f.log.Info("the router has lost the mappings", "router", f.net.gateway)
				f.held = nil
				f.mapRules(ctx)
				fails = 0
			default:
				fails = 0
			}
			if err == nil && external.IsValid() {
				f.external = external
			}
			if err == nil && f.m.incomplete(f.held) {
				f.mapRules(ctx)
			}
		}
		if fails >= maxFails || len(f.held) == 0 {
			return
		}
		f.tell(false)
	}
}

// incomplete reports whether a rule has no mapping at all.
func (m *Mapper) incomplete(held []mapped) bool {
	return slices.ContainsFunc(m.currentRules(), func(r Rule) bool { return m.missing(held, r) == r.Protocols })
}

// renew renews the mappings that are due. A renewal that fails is tried again until the lease
// ends.
func (f *family) renew(ctx context.Context, now time.Time) {
	for _, h := range slices.Clone(f.held) {
		if h.renew.IsZero() || now.Before(h.renew) {
			continue
		}
		q := h.request
		q.lease = f.m.opt.Lease
		again, err := f.add(ctx, q, h.grant)
		switch {
		case err != nil:
			f.log.Debug("a mapping was not renewed", "router", f.net.gateway, "port", h.external, "err", err)
			i := slices.IndexFunc(f.held, func(o mapped) bool { return o.protocol == h.protocol && o.internal == h.internal })
			f.held[i].renew = now.Add(minRenew)
			if !now.Before(h.expires) {
				f.held, f.problem = slices.Delete(f.held, i, i+1), err
			}
		case again.external != h.external:
			f.log.Info("the router has changed a port", "router", f.net.gateway, "from", h.external, "to", again.external)
		}
	}
	for _, r := range f.m.currentRules() {
		if ctx.Err() == nil && f.apart(r) {
			f.rejoin(ctx, r)
		}
	}
}

// apart reports whether the protocols of a rule have different external ports.
func (f *family) apart(r Rule) bool {
	var first uint16
	for _, h := range f.held {
		switch {
		case h.internal != r.Internal || r.Protocols&h.protocol == 0:
		case first == 0:
			first = h.external
		case h.external != first:
			return true
		}
	}
	return false
}

// rejoin maps the protocols of a rule to one external port again, because peers are told one port
// for both.
func (f *family) rejoin(ctx context.Context, r Rule) {
	for _, h := range slices.Clone(f.held) {
		if h.internal == r.Internal && r.Protocols&h.protocol != 0 {
			f.remove(ctx, h)
		}
	}
	if err := f.mapRule(ctx, r); err != nil {
		f.problem = err
	}
}

// waitForNews waits until the rules or the network change, at most for a time.
func (f *family) waitForNews(ctx context.Context, most time.Duration) {
	end := time.After(most)
	tick := time.NewTicker(routeEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-end:
			return
		case <-f.wake:
			return
		case <-tick.C:
			if n, _ := f.m.route(f.v6); n != f.net {
				return
			}
		}
	}
}
