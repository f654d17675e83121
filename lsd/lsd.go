// Package lsd discovers peers on the local network (BEP 14). It announces its swarms to
// multicast groups and receives the announces of other clients.
//
// Any host on the local network can send any message. The package therefore accepts
// messages only from addresses of the interface's own networks, and limits their rate.
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
	"spate/discovery"
)

// The multicast groups of BEP 14.
var (
	Group4 = netip.MustParseAddrPort("239.192.152.143:6771")
	Group6 = netip.MustParseAddrPort("[ff15::efc0:988f]:6771")
)

// ErrLoopback is returned by [New] if the service is bound to a loopback address,
// because multicast packets do not leave the machine from there.
var ErrLoopback = errors.New("lsd: bound to loopback, which sends no multicast packets to the network")

// Options configures a service. The zero value uses the groups of BEP 14 on all
// interfaces.
type Options struct {
	// Bind restricts the service to the interface with this address, if it is valid.
	Bind netip.Addr
	// Interface restricts the service to the interface with this name, if it is not
	// empty.
	Interface string
	// Groups replaces the groups of BEP 14, if it is not nil. It may have one group of
	// each address family; a family without a group is not used.
	Groups []netip.AddrPort
	// Interval is the time between two announces of one swarm. 0 selects 5 minutes, as
	// in BEP 14; the minimum is one minute.
	Interval time.Duration
	// Neighbour is called with the address of another client, once for each of at most 100
	// addresses, whether or not it has a swarm in common. It can be a node of the DHT. It must
	// not wait. It may be nil.
	Neighbour func(client netip.AddrPort)
	// Log receives messages for operators. They are discarded if Log is nil.
	Log *slog.Logger
}

// Intervals and limits.
const (
	scanEvery    = time.Second      // time between two searches for swarms to announce; longer if there are thousands of swarms
	sendEvery    = time.Second      // time between two messages
	rejoinEvery  = time.Minute      // time between two searches for new interfaces
	receiveBurst = 100              // number of messages that are accepted at once
	receiveRate  = 20               // number of messages per second that are accepted after that
	shareEvery   = 10 * time.Second // period of shareOfHost
	shareOfHost  = 5                // number of messages of one host that are accepted even if others use up receiveRate
	maxHosts     = 256              // number of hosts that have such a share in a period
	minInterval  = time.Minute      // least time between two announces of one swarm (BEP 14)
	maxShared    = 1000
	maxTold      = 100 // addresses that are passed to Options.Neighbour
)

// Service announces swarms and discovers peers. Use [New] to make one.
type Service struct {
	opt    Options
	swarms discovery.Swarms
	cookie string
	log    *slog.Logger

	// Only Run uses these.
	links    map[string]*link             // open links by interface name and group
	lastSent map[spate.InfoHash]time.Time // when each swarm was announced
	due      []spate.InfoHash             // swarms to announce next

	mu sync.Mutex // guards the fields below
	rateLimit
	shared map[spate.InfoHash]bool // own swarms that other clients announced, at most maxShared
	told   map[netip.AddrPort]bool // addresses that Options.Neighbour was called with, at most maxTold
}

// New returns a service that is started with [Service.Run]. It opens no sockets. The
// service announces the swarms for which [discovery.Swarm].Local is true.
func New(swarms discovery.Swarms, opt Options) (*Service, error) {
	if opt.Bind.IsLoopback() && len(opt.Groups) == 0 {
		return nil, ErrLoopback
	}
	if opt.Groups == nil {
		opt.Groups = []netip.AddrPort{Group4, Group6}
	}
	for _, g := range opt.Groups {
		if !g.Addr().IsMulticast() || g.Port() == 0 {
			return nil, fmt.Errorf("lsd: %v is not a multicast address with a port", g)
		}
	}
	switch {
	case opt.Interval == 0:
		opt.Interval = 5 * time.Minute
	case opt.Interval < minInterval:
		return nil, fmt.Errorf("lsd: interval %v is below %v", opt.Interval, minInterval)
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
		links: map[string]*link{}, lastSent: map[spate.InfoHash]time.Time{},
		rateLimit: rateLimit{left: receiveBurst}, shared: map[spate.InfoHash]bool{}, told: map[netip.AddrPort]bool{},
	}, nil
}

// Run announces swarms and receives announces until ctx is done, then returns nil. It
// keeps looking for interfaces, and having none is not an error.
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
		if now.Sub(scanned) >= scanEvery*time.Duration(1+min(len(s.lastSent)/1000, 29)) {
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

// scan adds the swarms that are due to s.due. A swarm that another client announced is
// due sooner, because that client may have missed the last announce.
func (s *Service) scan(now time.Time) {
	if len(s.due) > 0 {
		return // sending these takes several seconds
	}
	all := s.swarms.Swarms()
	s.mu.Lock()
	shared := s.shared
	s.shared = map[spate.InfoHash]bool{}
	s.mu.Unlock()
	here := make(map[spate.InfoHash]time.Time, len(all))
	for _, swarm := range all {
		if !swarm.Local || swarm.Private {
			continue
		}
		ih := swarm.InfoHash
		at, sent := s.lastSent[ih]
		here[ih] = at
		switch ago := now.Sub(at); {
		case !sent || ago >= s.opt.Interval, shared[ih] && ago >= minInterval:
			s.due = append(s.due, ih)
		case shared[ih]:
			s.markShared(ih) // check again in the next scan
		}
	}
	for ih, at := range s.lastSent {
		if _, still := here[ih]; !still && now.Sub(at) < minInterval {
			here[ih] = at // keep the time in case the swarm returns within minInterval
		}
	}
	s.lastSent = here
}

// announce sends one message with swarms that are due on each link. It waits while the
// client does not listen. The message has the port that the client listens on, because peers
// on the local network do not connect through the router.
func (s *Service) announce(now time.Time) {
	n, port := min(len(s.due), MaxHashes), s.swarms.PeerPort()
	if n == 0 || len(s.links) == 0 || port == 0 {
		return
	}
	m := Message{Port: port, Hashes: s.due[:n], Cookie: s.cookie}
	for name, l := range s.links {
		m.Host = l.group.String()
		if err := l.send(m.Append(nil)); err != nil {
			s.log.Debug("announcing to the local network", "on", name, "err", err)
			l.close() // its reader returns, and join opens the link again
			delete(s.links, name)
		}
	}
	for _, ih := range s.due[:n] {
		s.lastSent[ih] = now
	}
	s.due = s.due[n:]
}

// handle processes one packet that was received on an interface with the given
// networks.
func (s *Service) handle(b []byte, from netip.Addr, networks []netip.Prefix) {
	s.mu.Lock()
	ok := within(from, networks) && s.allow(time.Now(), from)
	s.mu.Unlock()
	if !ok {
		return
	}
	m, err := Parse(b)
	if err != nil || m.Cookie == s.cookie {
		return
	}
	client := netip.AddrPortFrom(from, m.Port)
	for _, ih := range m.Hashes {
		if s.swarms.Found(ih, discovery.Candidate{Addr: client}, discovery.LSD) {
			s.markShared(ih)
		}
	}
	if s.opt.Neighbour != nil && s.tell(client) {
		s.opt.Neighbour(client)
	}
}

// tell reports whether Options.Neighbour is to be called with an address, and counts it as called.
func (s *Service) tell(client netip.AddrPort) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.told[client] || len(s.told) >= maxTold {
		return false
	}
	s.told[client] = true
	return true
}

// markShared records that another client is in the swarm, so that it is announced sooner.
func (s *Service) markShared(ih spate.InfoHash) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.shared) < maxShared {
		s.shared[ih] = true
	}
}

// within reports whether a is an address of one of the networks. Packets from other
// addresses come from outside the local network, and their source address may be
// forged.
func within(a netip.Addr, networks []netip.Prefix) bool {
	a = a.Unmap().WithZone("")
	for _, p := range networks {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// rateLimit limits the received messages. All hosts share a token bucket. So that a host that
// floods the network does not use up the share of the others, a few messages of each host are
// accepted in addition.
type rateLimit struct {
	left   float64
	at     time.Time
	hosts  map[netip.Addr]int // messages accepted since period, by host; at most maxHosts
	period time.Time          // when hosts was emptied
}

// allow counts a message of a host and reports whether it is accepted.
func (r *rateLimit) allow(now time.Time, host netip.Addr) bool {
	if !r.at.IsZero() {
		r.left = min(receiveBurst, r.left+now.Sub(r.at).Seconds()*receiveRate)
	}
	r.at = now
	if r.hosts == nil || now.Sub(r.period) >= shareEvery {
		r.hosts, r.period = map[netip.Addr]int{}, now
	}
	n, known := r.hosts[host]
	room := known || len(r.hosts) < maxHosts
	switch {
	case r.left >= 1:
		r.left--
	case !room || n >= shareOfHost:
		return false
	}
	if room {
		r.hosts[host] = n + 1
	}
	return true
}
