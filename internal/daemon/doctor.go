package daemon

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"spate/internal/doctor"
)

// Network returns what the session knows about its ports, the router and the DHT.
func (s *Session) Network() doctor.Network {
	n := doctor.Network{Bind: s.bind, PeerPort: s.PeerPort(), NoTCP: s.noTCP, UDP: s.udp != nil, Reach: s.Reach(), Proxy: s.env.Proxy()}
	if s.ports != nil {
		st := s.ports.Status()
		n.Asked, n.IPv4, n.IPv6 = true, st.IPv4, st.IPv6
	}
	if s.nodes != nil {
		n.DHT = s.nodes.node.Status().Families
	}
	return n
}

// AwaitDHT waits until the DHT node of the session can search, or until ctx ends. It returns at
// once if the session does not use the DHT.
func (s *Session) AwaitDHT(ctx context.Context) {
	if s.nodes == nil {
		return
	}
	select {
	case <-s.nodes.node.Ready():
	case <-ctx.Done():
	}
}

// Machine returns the facts about this machine for connections from bind, if it is valid. It sends
// no packets.
func (e *Env) Machine(bind netip.Addr, dirs ...doctor.Dir) doctor.Machine {
	m := doctor.Machine{Now: e.Now(), Bind: bind, OpenFiles: doctor.OpenFiles(), Dirs: dirs}
	switch {
	case bind.IsLoopback():
	case !bind.IsValid():
		m.IPv4, m.IPv6 = RouteAddr(false), RouteAddr(true)
	case bind.Unmap().Is4():
		m.IPv4 = bind
	default:
		m.IPv6 = bind
	}
	return m
}

// The times of the checks of a daemon. The first one waits until the router has answered and the
// DHT has been entered.
const (
	firstCheck = time.Minute
	checkEvery = time.Hour
)

// checks are the results of the checks of a daemon.
type checks struct {
	turn sync.Mutex // held during a check

	mu    sync.Mutex // guards the fields below
	last  *doctor.Report
	known map[[3]string]bool // the check, subject and level of the findings that were logged
}

// Checked returns the result of the last check, or nil if there was none yet.
func (d *Daemon) Checked() *doctor.Report {
	d.checks.mu.Lock()
	defer d.checks.mu.Unlock()
	return d.checks.last
}

// Check checks this machine and the ports of the daemon. It asks no server but a proxy. It logs each finding
// after which something should be done, once while it persists.
func (d *Daemon) Check() *doctor.Report {
	c := &d.checks
	c.turn.Lock()
	defer c.turn.Unlock()
	bind := d.conf.Session.Options.Bind
	r := &doctor.Report{Checked: d.env.Now().UTC()}
	r.Findings = d.env.Machine(bind, doctor.ProbeDir("state directory", d.conf.State)).Findings()
	r.Findings = append(r.Findings, doctor.Finding{Check: "site-port", Level: doctor.OK, Text: "the site listens on " + d.HTTPAddr()})
	r.Findings = append(append(r.Findings, d.env.proxyFindings(d.life, bind)...), d.session.Network().Findings()...)
	if why := d.ShutOut(); why != "" {
		r.Findings = append(r.Findings, doctor.Finding{Check: "reachable", Level: doctor.Warn, Text: why, Advice: "forward the port of the peers (TCP and UDP) to this machine"})
	}
	c.record(r, d.env.Log)
	return r
}

// record keeps a report, and logs the problems that the report before did not have.
func (c *checks) record(r *doctor.Report, log *slog.Logger) {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := map[[3]string]bool{}
	for _, f := range doctor.ToDo(r.Findings) {
		key := [3]string{f.Check, f.Subject, string(f.Level)}
		if !c.known[key] && !known[key] {
			log.Warn("a check found a problem", "check", f.Check, "finding", f.String())
		}
		known[key] = true
	}
	c.known, c.last = known, r
}

// checkHourly runs the checks of a daemon until ctx ends.
func (d *Daemon) checkHourly(ctx context.Context) error {
	timer := time.NewTimer(firstCheck)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		d.Check()
		timer.Reset(checkEvery)
	}
}
