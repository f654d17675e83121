package torrent

import (
	"context"
	"crypto/rand"
	mrand "math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"spate"
	"spate/internal/fairpool"
	"spate/internal/netguard"
	"spate/peerwire"
)

// DialBackRequest says what [Session.AskDialBack] asks peers.
type DialBackRequest struct {
	// IPv6 selects peers that are connected over IPv6. Otherwise those over IPv4 are asked.
	IPv6 bool
	// TCPPort and UDPPort are the ports at which others should reach this process, such as those
	// that a router maps. 0 does not ask for the protocol.
	TCPPort, UDPPort uint16
}

// DialBackReport says what came of [Session.AskDialBack]. The zero value says that nobody could be
// asked.
type DialBackReport struct {
	Asked    int // peers that were asked; at most three
	TCP, UDP DialBackCounts
}

// DialBackCounts counts the peers that were asked, by what came of it for one protocol.
type DialBackCounts struct {
	// Reached counts peers whose connection or packet has arrived in this process.
	Reached int `json:"reached"`
	// Refused, TimedOut and Other count peers that say that the connection was refused, that
	// nothing answered, and that another program answered. A UDP packet that a peer says to have
	// sent and that does not arrive counts as TimedOut.
	Refused  int `json:"refused"`
	TimedOut int `json:"timed_out"`
	Other    int `json:"other"`
	// Unclear counts peers that did not answer, that tried nothing, or whose answer is not true.
	Unclear int `json:"unclear"`
}

// Verdict reports whether others can reach the process, and whether this is known. One peer whose
// connection has arrived proves that they can. That they cannot is known if most of the peers that
// were asked say so, because a single one may lie or have a fault of its own.
func (c DialBackCounts) Verdict() (reachable, known bool) {
	failed := c.Refused + c.TimedOut + c.Other
	return c.Reached > 0, c.Reached > 0 || failed > c.Unclear
}

const (
	maxDialBackAsks = 3                // peers that one call asks
	maxAskedPeers   = 64               // peers asked in dialBackEvery
	dialBackWait    = 12 * time.Second // for the answers; a peer waits for a handshake of its own
	latePacketWait  = 2 * time.Second  // for a UDP packet after the answer, which can overtake it
)

// dialBackAsks holds the requests of a session that peers have not answered. The zero value is
// ready to use.
type dialBackAsks struct {
	mu      sync.Mutex // guards the fields below and those of the requests
	pending map[peerwire.DialBackNonce]*dialBackAsk
	at      map[netip.Prefix]time.Time // when peers were asked, for dialBackEvery
}

// dialBackAsk is a request to one peer.
type dialBackAsk struct {
	conn     *conn
	news     chan struct{} // contains an element after a change of the fields below
	tcp, udp bool          // the connection, the packet has arrived
	answered bool
	answer   peerwire.DialBackMessage
}

// AskDialBack asks up to three connected peers of the internet, each in another network, to connect
// to this process, and returns what came of it within about twelve seconds. Only peers that
// support dial-back messages are asked, each at most once a minute.
func (s *Session) AskDialBack(ctx context.Context, r DialBackRequest) DialBackReport {
	var report DialBackReport
	if r.TCPPort == 0 && r.UDPPort == 0 {
		return report
	}
	ctx, cancel := context.WithTimeout(ctx, dialBackWait)
	defer cancel()
	asks := map[peerwire.DialBackNonce]*dialBackAsk{}
	for _, c := range s.dialBackPeers(r.IPv6) {
		if nonce, a := s.asks.begin(c, time.Now()); a != nil {
			asks[nonce] = a
			c.askDialBack(&peerwire.DialBackMessage{Type: peerwire.DialBackRequest, Nonce: nonce, TCPPort: r.TCPPort, UDPPort: r.UDPPort})
		}
		if len(asks) == maxDialBackAsks {
			break
		}
	}
	for nonce, a := range asks {
		s.asks.await(ctx, a, r)
		tcp, udp := s.asks.end(nonce)
		report.Asked++
		report.TCP.count(r.TCPPort, tcp)
		report.UDP.count(r.UDPPort, udp)
	}
	return report
}

// count counts one peer if the protocol was asked for.
func (c *DialBackCounts) count(port uint16, o peerwire.DialBackOutcome) {
	if port == 0 {
		return
	}
	switch o {
	case peerwire.DialBackReached:
		c.Reached++
	case peerwire.DialBackRefused:
		c.Refused++
	case peerwire.DialBackTimedOut:
		c.TimedOut++
	case peerwire.DialBackOther:
		c.Other++
	default:
		c.Unclear++
	}
}

// dialBackPeers returns connections to peers of the internet that support dial-back messages, in
// random order, one for each network.
func (s *Session) dialBackPeers(v6 bool) (list []*conn) {
	for _, t := range s.Torrents() {
		t.mu.Lock()
		for _, c := range t.peerConns.byID {
			if c != nil && !c.end.gone && !c.peer.local && c.ext.handshake.DialBack != 0 && c.peer.addr.Addr().Is6() == v6 && netguard.KindOf(c.peer.addr.Addr()) == netguard.Public {
				list = append(list, c)
			}
		}
		t.mu.Unlock()
	}
	mrand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	seen := map[fairpool.Network]bool{}
	keep := list[:0]
	for _, c := range list {
		if n := fairpool.NetworkOf(c.peer.addr.Addr()); !seen[n] {
			seen[n] = true
			keep = append(keep, c)
		}
	}
	return keep
}

// askDialBack sends a request to the peer.
func (c *conn) askDialBack(m *peerwire.DialBackMessage) {
	c.t.mu.Lock()
	defer c.t.mu.Unlock()
	if !c.end.gone {
		c.tx.control = peerwire.AppendDialBack(c.tx.control, c.ext.handshake.DialBack, m)
		c.kickLocked()
	}
}

// begin adds a request to a peer. It returns nil if the peer was asked a short time ago.
func (d *dialBackAsks) begin(c *conn, now time.Time) (nonce peerwire.DialBackNonce, a *dialBackAsk) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !takeTurn(&d.at, c.peer.addr.Addr(), maxAskedPeers, now) {
		return nonce, nil
	}
	rand.Read(nonce[:])
	a = &dialBackAsk{conn: c, news: make(chan struct{}, 1)}
	if d.pending == nil {
		d.pending = map[peerwire.DialBackNonce]*dialBackAsk{}
	}
	d.pending[nonce] = a
	return nonce, a
}

// change changes a pending request. It reports whether there is one with this nonce.
func (d *dialBackAsks) change(nonce peerwire.DialBackNonce, f func(a *dialBackAsk)) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	a := d.pending[nonce]
	if a == nil {
		return false
	}
	f(a)
	select {
	case a.news <- struct{}{}:
	default:
	}
	return true
}

// answered records the answer of the peer that was asked.
func (d *dialBackAsks) answered(c *conn, m *peerwire.DialBackMessage) {
	d.change(m.Nonce, func(a *dialBackAsk) {
		if a.conn == c && !a.answered {
			a.answered, a.answer = true, *m
		}
	})
}

// connected records that a TCP connection with the nonce as info-hash has arrived. It reports whether
// a peer was asked for it.
func (d *dialBackAsks) connected(hash spate.InfoHash) bool {
	return d.change(peerwire.DialBackNonce(hash), func(a *dialBackAsk) { a.tcp = true })
}

// HeardUDP tells the session of a packet that has arrived at the UDP port for peers, so that it
// recognizes those that [Session.AskDialBack] has asked for. It reports whether the packet is one.
func (s *Session) HeardUDP(packet []byte) bool {
	nonce, ok := dialBackOf(packet)
	return ok && s.asks.change(nonce, func(a *dialBackAsk) { a.udp = true })
}

// await waits until a request has its answer, and the packet that the peer says to have sent.
func (d *dialBackAsks) await(ctx context.Context, a *dialBackAsk, r DialBackRequest) {
	var late <-chan time.Time
	for {
		d.mu.Lock()
		done, packet := a.answered, a.udp || a.answer.UDP != peerwire.DialBackSent
		d.mu.Unlock()
		if done && packet {
			return
		}
		if done && late == nil {
			timer := time.NewTimer(latePacketWait)
			defer timer.Stop()
			late = timer.C
		}
		select {
		case <-a.news:
		case <-late:
			return
		case <-ctx.Done():
			return
		}
	}
}

// end removes a request and returns what came of it. What has arrived in this process counts, and
// not what the peer says about it.
func (d *dialBackAsks) end(nonce peerwire.DialBackNonce) (tcp, udp peerwire.DialBackOutcome) {
	d.mu.Lock()
	defer d.mu.Unlock()
	a := d.pending[nonce]
	delete(d.pending, nonce)
	tcp, udp = a.answer.TCP, a.answer.UDP
	switch {
	case a.tcp:
		tcp = peerwire.DialBackReached
	case tcp == peerwire.DialBackReached:
		tcp = peerwire.DialBackFailed
	}
	switch {
	case a.udp:
		udp = peerwire.DialBackReached
	case udp == peerwire.DialBackSent:
		udp = peerwire.DialBackTimedOut
	default:
		udp = peerwire.DialBackFailed
	}
	return tcp, udp
}
