package trackerserver

import (
	"context"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"

	"spate/tracker"
)

// Observation is an announce and what became of it. It is valid during the call
// of Options.Observe.
type Observation struct {
	Time      time.Time
	Transport Transport
	Request   *tracker.AnnounceRequest
	// From is the address that the request came from; Peer the one that the
	// swarm remembers.
	From netip.Addr
	Peer netip.AddrPort
	User string // whose token it had, if any
	Note *Note  // nil for a torrent of which nothing is known
	// Refused is why the announce was not answered; nil: it was, and the rest is
	// set.
	Refused                      *Refusal
	Seeders, Leechers, Completed uint32
	Peers                        int // told
	// Counted says that a completion was counted, New that the peer was not in
	// the swarm, Moved that it became a seed, Removed that it left.
	Counted, New, Moved, Removed bool
}

// observe tells of an announce.
func (s *Server) observe(c *call, refused *Refusal) {
	o := &c.observation
	*o = Observation{
		Time: c.now, Transport: c.transport, Request: &c.req, From: c.from, Peer: c.peer, User: c.user, Note: c.note, Refused: refused,
	}
	if refused == nil {
		o.Seeders, o.Leechers, o.Completed = c.reply.Seeders, c.reply.Leechers, c.reply.Completed
		o.Peers = len(c.reply.Peers4)/6 + len(c.reply.Peers6)/18
		o.Counted, o.New, o.Moved, o.Removed = c.reply.Counted, c.reply.New, c.reply.Moved, c.reply.Removed
	}
	if s.opts.Observe != nil {
		s.opts.Observe(o)
	}
	if s.opts.AccessLog != nil {
		s.access(o)
	}
}

// access writes the record of an announce.
func (s *Server) access(o *Observation) {
	ctx := context.Background()
	h := s.opts.AccessLog.Handler()
	if !h.Enabled(ctx, slog.LevelInfo) {
		return
	}
	event := o.Request.Event.String()
	if event == "" {
		event = "update"
	}
	r := slog.NewRecord(o.Time, slog.LevelInfo, "announce", 0)
	r.AddAttrs(
		slog.String("via", o.Transport.String()),
		slog.String("event", event),
		slog.String("info_hash", o.Request.InfoHash.String()),
		slog.String("addr", o.Peer.String()),
		slog.String("peer_id", o.Request.PeerID.String()),
		slog.String("client", o.Request.PeerID.Client()),
		slog.Int64("uploaded", o.Request.Uploaded),
		slog.Int64("downloaded", o.Request.Downloaded),
		slog.Int64("left", o.Request.Left),
	)
	if o.From != o.Peer.Addr() {
		r.AddAttrs(slog.String("from", o.From.String()))
	}
	if o.User != "" {
		r.AddAttrs(slog.String("user", o.User))
	}
	if o.Note != nil && o.Note.Name != "" {
		r.AddAttrs(slog.String("name", o.Note.Name))
	}
	if o.Refused != nil {
		r.AddAttrs(slog.String("refused", o.Refused.Reason))
	} else {
		r.AddAttrs(slog.Int("peers", o.Peers), slog.Uint64("seeders", uint64(o.Seeders)), slog.Uint64("leechers", uint64(o.Leechers)))
	}
	if o.Counted {
		r.AddAttrs(slog.Bool("counted", true))
	}
	_ = h.Handle(ctx, r) // a log that fails does not fail an announce
}

// Counts are sums since the server was made.
type Counts struct {
	// Announces and Scrapes were answered; by transport, and announces also by
	// address family of the request.
	Announces, Scrapes     [numTransports]uint64
	Announces4, Announces6 uint64
	// Refused were not, for a reason that was told; Limited of them for their
	// network's rate.
	Refused, Limited uint64
	// Malformed could not be parsed; Unproved UDP requests had no connection id
	// that holds, and got no answer.
	Malformed, Unproved uint64
	// Connects are UDP connection ids given.
	Connects uint64
	// Dropped replies did not fit into a socket's buffer; Overflowed connections
	// were over Options.MaxConns; MadeRoom connections were ended for others.
	Dropped, Overflowed, MadeRoom uint64
	// Events are announces answered, by event.
	Events [int(tracker.EventPaused) + 1]uint64
	// Completed are completions counted.
	Completed uint64
	// Peers are addresses told.
	Peers uint64
}

// counters are the Counts of one worker: no other writes them, so that cores do
// not fight over them.
type counters struct {
	announces, scrapes            [numTransports]atomic.Uint64
	family6                       atomic.Uint64
	refused, limited              atomic.Uint64
	malformed, unproved, connects atomic.Uint64
	dropped, overflowed, madeRoom atomic.Uint64
	events                        [int(tracker.EventPaused) + 1]atomic.Uint64
	completed, peers              atomic.Uint64
	_                             [64]byte // of the next counters' cache line
}

// newCounters returns counters that Counts takes into account from now on.
func (s *Server) newCounters() *counters {
	c := new(counters)
	s.countsMu.Lock()
	defer s.countsMu.Unlock()
	s.counts = append(s.counts, c)
	return c
}

// announced counts an announce.
func (n *counters) announced(c *call, refused *Refusal) {
	switch {
	case refused == &c.limited:
		n.limited.Add(1)
		n.refused.Add(1)
		return
	case refused != nil:
		n.refused.Add(1)
		return
	}
	n.announces[c.transport].Add(1)
	n.events[c.req.Event].Add(1)
	n.peers.Add(uint64(len(c.reply.Peers4)/6 + len(c.reply.Peers6)/18))
	if c.from.Is6() {
		n.family6.Add(1)
	}
	if c.reply.Counted {
		n.completed.Add(1)
	}
}

// Counts returns the sums.
func (s *Server) Counts() Counts {
	s.countsMu.Lock()
	defer s.countsMu.Unlock()
	var sum Counts
	for _, c := range s.counts {
		for t := range numTransports {
			sum.Announces[t] += c.announces[t].Load()
			sum.Scrapes[t] += c.scrapes[t].Load()
		}
		for e := range c.events {
			sum.Events[e] += c.events[e].Load()
		}
		sum.Announces6 += c.family6.Load()
		sum.Refused += c.refused.Load()
		sum.Limited += c.limited.Load()
		sum.Malformed += c.malformed.Load()
		sum.Unproved += c.unproved.Load()
		sum.Connects += c.connects.Load()
		sum.Dropped += c.dropped.Load()
		sum.Overflowed += c.overflowed.Load()
		sum.MadeRoom += c.madeRoom.Load()
		sum.Completed += c.completed.Load()
		sum.Peers += c.peers.Load()
	}
	sum.Announces4 = sum.Announces[HTTP] + sum.Announces[UDP] - sum.Announces6
	return sum
}
