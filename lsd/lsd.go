// Package lsd finds peers on the local network (BEP 14): it tells a multicast
// group which swarms it is in, and listens to who else does.
//
// What it hears is believed only from addresses of the network that the interface
// is on, and only so much of it: anybody there can say anything.
package lsd

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"spate"
)

// The groups of BEP 14.
var (
	Group4 = netip.MustParseAddrPort("239.192.152.143:6771")
	Group6 = netip.MustParseAddrPort("[ff15::efc0:988f]:6771")
)

// ErrLoopback is the error for a service that is bound to loopback: what is never
// leaves the machine, and multicast does.
var ErrLoopback = errors.New("lsd: bound to loopback, from where no multicast goes out")

// Swarms are what a service finds peers for. Its methods must be safe for
// concurrent use and return soon.
type Swarms interface {
	// LocalSwarms returns the swarms that the network may be told of: no private
	// ones (BEP 27).
	LocalSwarms() []spate.InfoHash
	// FoundLocal is told of a peer of any swarm, and reports whether it is one of
	// those.
	FoundLocal(ih spate.InfoHash, peer netip.AddrPort) (ours bool)
}

// Options of a service. The zero value but for Port is a service with the groups of
// BEP 14 on every interface.
type Options struct {
	// Port is where peers connect to us.
	Port uint16
	// Bind, if valid, names the one interface that has this address.
	Bind netip.Addr
	// Interface, if not empty, names the one interface.
	Interface string
	// Groups take the place of those of BEP 14: one of a family at most, none of
	// the family that is missing.
	Groups []netip.AddrPort
	// Interval is the time from one announce of a swarm to its next. Zero: 5
	// minutes, as BEP 14 has it; a minute is the least.
	Interval time.Duration
	// Log receives what an operator would want to know. Nil: discarded.
	Log *slog.Logger
}

// Paces.
const (
	scanEvery    = time.Second // until a new swarm is announced; longer where there are thousands
	sendEvery    = time.Second // from one message to the next
	rejoinEvery  = time.Minute // until an interface that came up is used
	heardBurst   = 100         // messages that are read at once
	heardRate    = 20          // and then a second
	leastBetween = time.Minute // two announces of a swarm (BEP 14)
	maxCalled    = 1000
)

// Service announces and listens. Make one with New.
type Service struct {
	opt    Options
	swarms Swarms
	cookie string
	log    *slog.Logger

	// Owned by Run.
	links map[string]*link
	told  map[spate.InfoHash]time.Time
	due   []spate.InfoHash

	mu sync.Mutex // guards what follows
	tokens
	called map[spate.InfoHash]bool // swarms of ours that others announced, at most maxCalled
}

// New returns a service that Run then works. It opens nothing yet.
func New(swarms Swarms, opt Options) (*Service, error) {
	if opt.Bind.IsLoopback() && len(opt.Groups) == 0 {
		return nil, ErrLoopback
	}
	if opt.Groups == nil {
		opt.Groups = []netip.AddrPort{Group4, Group6}
	}
	for _, g := range opt.Groups {
		if !g.Addr().IsMulticast() || g.Port() == 0 {
			return nil, fmt.Errorf("lsd: %v is no multicast group with a port", g)
		}
	}
	switch {
	case opt.Port == 0:
		return nil, errors.New("lsd: no port for peers")
	case opt.Interval == 0:
		opt.Interval = 5 * time.Minute
	case opt.Interval < leastBetween:
		return nil, fmt.Errorf("lsd: interval %v is below %v", opt.Interval, leastBetween)
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	var cookie [8]byte
	for i := range cookie {
		cookie[i] = byte(rand.Uint32())
	}
	return &Service{
		opt: opt, swarms: swarms, log: opt.Log, cookie: hex.EncodeToString(cookie[:]),
		links: map[string]*link{}, told: map[spate.InfoHash]time.Time{},
		tokens: tokens{left: heardBurst}, called: map[spate.InfoHash]bool{},
	}, nil
}

// Run announces and listens until ctx is done, and returns nil then. A machine
// without any interface for it is no error: one may come.
func (s *Service) Run(ctx context.Context) error {
	var readers sync.WaitGroup
	defer readers.Wait()
	defer func() {
		for _, l := range s.links {
			l.close()
		}
	}()
	var rejoined, scanned time.Time
	tick := time.NewTicker(sendEvery)
	defer tick.Stop()
	for now := time.Now(); ; {
		if now.Sub(rejoined) >= rejoinEvery {
			rejoined = now
			s.join(&readers)
		}
		if now.Sub(scanned) >= scanEvery*time.Duration(1+min(len(s.told)/1000, 29)) {
			scanned = now
			s.scan(now)
		}
		s.announce(now)
		select {
		case <-ctx.Done():
			return nil
		case now = <-tick.C:
		}
	}
}

// scan finds the swarms whose announce is due: those that others announce too
// somewhat sooner, for they may have come after our last.
func (s *Service) scan(now time.Time) {
	if len(s.due) > 0 {
		return // one message a second has enough to do
	}
	all := s.swarms.LocalSwarms()
	s.mu.Lock()
	called := s.called
	s.called = map[spate.InfoHash]bool{}
	s.mu.Unlock()
	here := make(map[spate.InfoHash]time.Time, len(all))
	for _, ih := range all {
		at, told := s.told[ih]
		here[ih] = at
		switch ago := now.Sub(at); {
		case !told || ago >= s.opt.Interval, called[ih] && ago >= leastBetween:
			s.due = append(s.due, ih)
		case called[ih]:
			s.call(ih) // later
		}
	}
	for ih, at := range s.told {
		if _, still := here[ih]; !still && now.Sub(at) < leastBetween {
			here[ih] = at // it may come back before it may be announced again
		}
	}
	s.told = here
}

// announce sends one message about swarms whose announce is due.
func (s *Service) announce(now time.Time) {
	n := min(len(s.due), MaxHashes)
	if n == 0 || len(s.links) == 0 {
		return
	}
	m := Message{Port: s.opt.Port, Hashes: s.due[:n], Cookie: s.cookie}
	for name, l := range s.links {
		m.Host = l.group.String()
		if err := l.send(m.Append(nil)); err != nil {
			s.log.Debug("announcing to the local network", "on", name, "err", err)
			l.close() // its reader ends; join opens it anew
			delete(s.links, name)
		}
	}
	for _, ih := range s.due[:n] {
		s.told[ih] = now
	}
	s.due = s.due[n:]
}

// hear takes what came in one packet. on are the networks that the interface is
// on.
func (s *Service) hear(b []byte, from netip.Addr, on []netip.Prefix) {
	s.mu.Lock()
	ok := s.take(time.Now())
	s.mu.Unlock()
	if !ok || !within(from, on) {
		return
	}
	m, err := Parse(b)
	if err != nil || m.Cookie == s.cookie {
		return
	}
	for _, ih := range m.Hashes {
		if s.swarms.FoundLocal(ih, netip.AddrPortFrom(from, m.Port)) {
			s.call(ih)
		}
	}
}

// call notes that somebody else is in a swarm of ours.
func (s *Service) call(ih spate.InfoHash) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.called) < maxCalled {
		s.called[ih] = true
	}
}

// within reports whether the address is of one of the networks: packets of others
// come from outside and may bear any address.
func within(a netip.Addr, on []netip.Prefix) bool {
	a = a.Unmap().WithZone("")
	for _, p := range on {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// tokens ration what is read.
type tokens struct {
	left float64
	at   time.Time
}

func (t *tokens) take(now time.Time) bool {
	if !t.at.IsZero() {
		t.left = min(heardBurst, t.left+now.Sub(t.at).Seconds()*heardRate)
	}
	t.at = now
	if t.left < 1 {
		return false
	}
	t.left--
	return true
}
