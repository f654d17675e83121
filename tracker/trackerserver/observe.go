package trackerserver

import (
	"context"
	"log/slog"
	"sync/atomic"

	"spate/tracker"
)

// observe reports an announce to the observers and to the access log.
func (s *Server) observe(c *call, refusal *Refusal) {
	o := &c.observation
	*o = tracker.Observation{
		Time: c.now, Transport: c.transport, Request: &c.req, From: c.from, Peer: c.peer, User: c.user, Refused: refusal != nil,
	}
	if c.note != nil {
		o.Name, o.Release = c.note.Name, c.note.Release
	}
	if refusal != nil {
		o.Reason = refusal.Reason
	} else {
		o.Seeders, o.Leechers, o.Completed = c.reply.Seeders, c.reply.Leechers, c.reply.Completed
		o.Peers = len(c.reply.Peers4)/6 + len(c.reply.Peers6)/18 + c.handed
		o.Counted, o.New, o.Moved, o.Removed = c.reply.Counted, c.reply.New, c.reply.Moved, c.reply.Removed
	}
	if !c.aside {
		for _, f := range s.opts.Observers {
			f(o)
		}
	}
	if s.opts.AccessLog != nil {
		s.access(o)
	}
}

// access writes the record of an announce to the access log.
func (s *Server) access(o *tracker.Observation) {
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
		slog.String("addr", addrText(o)),
		slog.String("peer_id", o.Request.PeerID.String()),
		slog.String("client", o.Request.PeerID.Client()),
		slog.Int64("uploaded", o.Request.Uploaded),
		slog.Int64("downloaded", o.Request.Downloaded),
		slog.Int64("left", o.Request.Left),
	)
	if o.From != o.Addr() {
		r.AddAttrs(slog.String("from", o.From.String()))
	}
	if o.User != "" {
		r.AddAttrs(slog.String("user", o.User))
	}
	if o.Name != "" {
		r.AddAttrs(slog.String("name", o.Name))
	}
	if o.Refused {
		r.AddAttrs(slog.String("refused", o.Reason))
	} else {
		r.AddAttrs(slog.Int("peers", o.Peers), slog.Uint64("seeders", uint64(o.Seeders)), slog.Uint64("leechers", uint64(o.Leechers)))
	}
	if o.Counted {
		r.AddAttrs(slog.Bool("counted", true))
	}
	_ = h.Handle(ctx, r) // the announce is answered even if the log fails
}

// addrText returns the address of the peer, with its port if it has one that others can connect to.
func addrText(o *tracker.Observation) string {
	if o.Transport == tracker.WebSocket {
		return o.From.String()
	}
	return o.Peer.String()
}

// counters are the counters of one worker. Each worker has its own, so that processors do
// not compete for a cache line. The fields are those of [tracker.Counts].
type counters struct {
	announces, scrapes                     [tracker.NumTransports]atomic.Uint64
	announces6                             atomic.Uint64
	refused, limited                       atomic.Uint64
	malformed, unproved, connects, dropped atomic.Uint64
	events                                 [tracker.EventPaused + 1]atomic.Uint64
	completed, peers, offers, answers      atomic.Uint64
	stun                                   atomic.Uint64
	_                                      [64]byte // keeps other data out of the last cache line
}

// newCounters returns new counters, which Counts includes.
func (s *Server) newCounters() *counters {
	c := new(counters)
	s.countsMu.Lock()
	defer s.countsMu.Unlock()
	s.counts = append(s.counts, c)
	return c
}

// announced counts an announce that was answered or refused.
func (n *counters) announced(c *call, refusal *Refusal) {
	switch {
	case refusal == &c.limited:
		n.limited.Add(1)
		n.refused.Add(1)
		return
	case refusal != nil:
		n.refused.Add(1)
		return
	}
	n.announces[c.transport].Add(1)
	n.events[c.req.Event].Add(1)
	n.peers.Add(uint64(len(c.reply.Peers4)/6 + len(c.reply.Peers6)/18))
	if c.from.Is6() {
		n.announces6.Add(1)
	}
	if c.reply.Counted && !c.twice {
		n.completed.Add(1)
	}
}

// Counts returns the numbers of requests and connections since the server was created.
func (s *Server) Counts() tracker.Counts {
	s.countsMu.Lock()
	defer s.countsMu.Unlock()
	sum := tracker.Counts{
		Dropped: s.connCounts.Dropped.Load(), Overflowed: s.connCounts.Overflowed.Load(), Ended: s.connCounts.Ended.Load(),
	}
	for _, c := range s.counts {
		for t := range tracker.NumTransports {
			sum.Announces[t] += c.announces[t].Load()
			sum.Scrapes[t] += c.scrapes[t].Load()
		}
		for e := range c.events {
			sum.Events[e] += c.events[e].Load()
		}
		sum.Announces6 += c.announces6.Load()
		sum.Refused += c.refused.Load()
		sum.Limited += c.limited.Load()
		sum.Malformed += c.malformed.Load()
		sum.Unproved += c.unproved.Load()
		sum.Connects += c.connects.Load()
		sum.Dropped += c.dropped.Load()
		sum.Completed += c.completed.Load()
		sum.Peers += c.peers.Load()
		sum.Offers += c.offers.Load()
		sum.Answers += c.answers.Load()
		sum.STUN += c.stun.Load()
	}
	for _, n := range sum.Announces {
		sum.Announces4 += n
	}
	sum.Announces4 -= sum.Announces6
	s.sockets.count(&sum)
	return sum
}
