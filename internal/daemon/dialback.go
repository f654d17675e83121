package daemon

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"

	"spate/internal/reach"
	"spate/internal/udpmux"
	"spate/portmap"
	"spate/torrent"
)

// Times of the dial-backs that a process asks its peers for.
const (
	dialBackAfter = time.Minute      // after the start, while no peer of the internet has connected
	dialBackTick  = 10 * time.Second // how often the process looks for a peer that it can ask
	dialBackPause = 30 * time.Minute // minimum time between two dial-backs that nobody asked for
	dialBackFresh = time.Minute      // how long a result is given again instead of asking
)

// dialBacks asks peers whether they reach the process.
type dialBacks struct {
	turn sync.Mutex // held while peers are asked

	mu   sync.Mutex     // guards the fields below
	last reach.DialBack // the last result for which a peer was asked
	at   reachedAt      // where the process was reached then
}

// reachedAt is what a result is about. Another mapping or address makes the result worthless.
type reachedAt struct {
	external netip.Addr
	tcp, udp uint16 // ports; 0: peers do not connect by it
}

// reachedNow returns where the process should be reached over IPv4.
func (s *Session) reachedNow() reachedAt {
	f := s.mapped()
	at := reachedAt{external: f.External}
	if !s.noTCP {
		at.tcp = s.AdvertisedPort()
	}
	if s.udp != nil {
		at.udp = s.udp.Port()
		if mapped := f.Reached(portmap.UDP, s.udp.Port()); mapped.IsValid() {
			at.udp = mapped.Port()
		}
	}
	return at
}

// askable reports whether peers of the internet may be able to connect, so that it makes sense to
// ask them.
func (s *Session) askable() bool { return s.PeerPort() != 0 && !s.Addr().Addr().IsLoopback() }

// DialBack asks up to three connected peers of the internet for each address family to connect to
// this process, and waits for about twelve seconds at most. A result of the last minute is returned
// again.
func (s *Session) DialBack(ctx context.Context) reach.DialBack {
	s.asks.turn.Lock()
	defer s.asks.turn.Unlock()
	at := s.reachedNow()
	if last := s.asks.known(at); !last.Time.IsZero() && s.env.Now().Sub(last.Time) < dialBackFresh {
		return last
	}
	d := reach.DialBack{Time: s.env.Now(), Checks: []reach.Check{}}
	if !s.askable() {
		return d
	}
	requests := s.dialBackRequests(at)
	reports := make([]torrent.DialBackReport, len(requests))
	var wg sync.WaitGroup
	for i, r := range requests {
		wg.Go(func() { reports[i] = s.AskDialBack(ctx, r) })
	}
	wg.Wait()
	for i, r := range requests {
		d.Checks = append(d.Checks, checksOf(r, reports[i])...)
	}
	if len(d.Checks) > 0 && ctx.Err() == nil {
		s.asks.keep(d, at)
	}
	return d
}

// dialBackRequests returns what peers of each address family are asked. A session without TCP asks
// for UDP only.
func (s *Session) dialBackRequests(at reachedAt) []torrent.DialBackRequest {
	v6 := torrent.DialBackRequest{IPv6: true}
	if !s.noTCP {
		v6.TCPPort = s.PeerPort()
	}
	if s.udp != nil {
		v6.UDPPort = s.udp.Port()
	}
	return []torrent.DialBackRequest{{TCPPort: at.tcp, UDPPort: at.udp}, v6}
}

// known returns the last result if it is about at.
func (a *dialBacks) known(at reachedAt) reach.DialBack {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.at != at {
		return reach.DialBack{}
	}
	return a.last
}

func (a *dialBacks) keep(d reach.DialBack, at reachedAt) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last, a.at = d, at
}

// checksOf converts the report about one address family.
func checksOf(r torrent.DialBackRequest, report torrent.DialBackReport) (checks []reach.Check) {
	family := "4"
	if r.IPv6 {
		family = "6"
	}
	for _, c := range []struct {
		network string
		port    uint16
		counts  torrent.DialBackCounts
	}{{"tcp", r.TCPPort, report.TCP}, {"udp", r.UDPPort, report.UDP}} {
		if report.Asked == 0 || c.port == 0 {
			continue
		}
		n := c.counts
		check := reach.Check{
			Network: c.network + family, Port: c.port, Result: reach.Unknown, Asked: report.Asked,
			Reached: n.Reached, Refused: n.Refused, TimedOut: n.TimedOut, Other: n.Other, Unclear: n.Unclear,
		}
		switch reachable, known := n.Verdict(); {
		case reachable:
			check.Result = reach.Reachable
		case known:
			check.Result = reach.Unreachable
		}
		checks = append(checks, check)
	}
	return checks
}

// dialBackDue reports whether peers should be asked without being told to: no peer of the internet
// has connected, or the process should be reached elsewhere than at the time of the last result.
func (s *Session) dialBackDue(now time.Time) bool {
	at := s.reachedNow()
	s.asks.mu.Lock()
	defer s.asks.mu.Unlock()
	if now.Sub(s.asks.last.Time) < dialBackPause {
		return false
	}
	return s.LastIncoming().IsZero() || !s.asks.last.Time.IsZero() && s.asks.at != at
}

// askPeers asks peers for dial-backs when they are due, until ctx ends.
func (s *Session) askPeers(ctx context.Context) {
	wait := dialBackAfter
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		wait = dialBackTick
		if s.dialBackDue(s.env.Now()) {
			s.DialBack(ctx)
		}
	}
}

// addDialBack adds the last result to a status. forward says how to forward the port.
func addDialBack(st *reach.Status, d reach.DialBack, forward string) {
	if c := d.Of("udp4"); c != nil && c.Result != reach.Unknown {
		st.UDP = c.Result
	}
	c := d.Of("tcp4")
	if c == nil {
		c = d.Of("udp4") // peers connect by uTP only
	}
	if c == nil || c.Result != reach.Unreachable {
		return
	}
	if st.Problem != "" {
		st.Problem += "; "
	}
	st.Problem += c.Failure()
	if st.Advice == "" {
		st.Advice = forward
	}
}

// dialBackSender returns a function that sends a packet from a new UDP port of the address bind, or
// of any address if bind is not valid.
func dialBackSender(bind netip.Addr) func(netip.AddrPort, []byte) error {
	return func(to netip.AddrPort, packet []byte) error {
		c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(bind, 0)))
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.WriteToUDPAddrPort(packet, to)
		return err
	}
}

// withoutDialBacks returns a receiver of UDP packets that tells the engine of those that it has
// asked for, and passes the others to next, unless next is nil.
func withoutDialBacks(s *torrent.Session, next func([]udpmux.Packet)) func([]udpmux.Packet) {
	var others []udpmux.Packet
	return func(packets []udpmux.Packet) {
		others = others[:0]
		for _, p := range packets {
			if !s.HeardUDP(p.Data) {
				others = append(others, p)
			}
		}
		if next != nil && len(others) > 0 {
			next(others)
		}
	}
}
