package trackerserver

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"spate"
	"spate/tracker/wire"
)

// Sizes of UDP packets, in bytes.
const (
	maxUDPRequest = 2048 // longer ones are cut, which makes them malformed
	maxUDPReply   = 1200 // what fragments is lost
	maxPeers4     = (maxUDPReply - wire.UDPAnnounceReplyLen) / spate.CompactLen4
	maxPeers6     = (maxUDPReply - wire.UDPAnnounceReplyLen) / spate.CompactLen6
)

// maxReadFailures in a row say that a socket is broken.
const maxReadFailures = 100

// udpWorker serves one socket. It owns what it needs for a request, so that the
// requests cost no memory.
type udpWorker struct {
	s    *Server
	call call
	n    *counters
	url  []byte
	// counted says that a reply which is not sent yet tells a completion.
	counted bool
}

func (s *Server) newUDPWorker() *udpWorker { return &udpWorker{s: s, n: s.newCounters()} }

// ServeUDP answers the packets of conn until ctx is done; then it closes conn
// and returns nil. On Linux a *[net.UDPConn] is read and written in batches, and
// further sockets are opened on its address, one for each processor, where
// SO_REUSEPORT spreads the clients over them.
func (s *Server) ServeUDP(ctx context.Context, conn net.PacketConn) error {
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if u, ok := conn.(*net.UDPConn); ok && batches {
		return closedBy(ctx, s.serveBatches(ctx, u))
	}
	return closedBy(ctx, s.servePackets(conn))
}

// servePackets is the portable loop: a packet at a time.
func (s *Server) servePackets(conn net.PacketConn) error {
	w := s.newUDPWorker()
	in, out := make([]byte, maxUDPRequest), make([]byte, 0, maxUDPReply)
	u, _ := conn.(*net.UDPConn)
	failures := 0
	for {
		var n int
		var from netip.AddrPort
		var addr net.Addr
		var err error
		if u != nil {
			n, from, err = u.ReadFromUDPAddrPort(in)
		} else if n, addr, err = conn.ReadFrom(in); err == nil {
			from = netip.AddrPortFrom(addrOf(addr), 0)
		}
		if err != nil {
			if failures++; transient(err) && failures < maxReadFailures {
				continue
			}
			return err
		}
		failures = 0
		reply := w.answer(s.now(), from.Addr().Unmap().WithZone(""), in[:n], out)
		if len(reply) == 0 {
			continue
		}
		w.flush()
		if u != nil {
			_, err = u.WriteToUDPAddrPort(reply, from)
		} else {
			_, err = conn.WriteTo(reply, addr)
		}
		if err != nil {
			w.n.dropped.Add(1) // the next packet tells if the socket is broken
		}
	}
}

// transient reports whether reading may go on after err: some systems report
// what became of an earlier reply as the error of a read.
func transient(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && !op.Timeout() && !errors.Is(err, net.ErrClosed)
}

// answer appends the reply to a packet to out, which is empty and has the room;
// nothing, for a packet that deserves none. Who has not proved its address gets
// no more bytes than it sent.
func (w *udpWorker) answer(now time.Time, from netip.Addr, packet, out []byte) []byte {
	h, err := wire.ParseUDPHeader(packet)
	if err != nil {
		w.n.malformed.Add(1)
		return nil
	}
	if h.ConnectionID == wire.ProtocolID && h.Action == wire.ActionConnect {
		w.n.connects.Add(1)
		return wire.AppendUDPConnectReply(out, h.TransactionID, w.s.opts.Key.id(now, from))
	}
	if !w.s.opts.Key.valid(now, from, h.ConnectionID) {
		w.n.unproved.Add(1)
		return nil
	}
	w.call.reset(now, UDP, from)
	switch h.Action {
	case wire.ActionAnnounce:
		return w.announce(h.TransactionID, packet, out)
	case wire.ActionScrape:
		return w.scrape(h.TransactionID, packet, out)
	}
	w.n.malformed.Add(1)
	return wire.AppendUDPError(out, h.TransactionID, "unknown action")
}

func (w *udpWorker) announce(tid uint32, packet, out []byte) []byte {
	c := &w.call
	options, err := wire.ParseUDPAnnounce(packet, &c.req)
	if err == nil && w.s.opts.Tokens != nil {
		err = w.readToken(options)
	}
	if err != nil {
		w.n.malformed.Add(1)
		return wire.AppendUDPError(out, tid, err.Error())
	}
	most := maxPeers4
	if c.want4, c.want6 = c.from.Is4(), c.from.Is6(); c.want6 {
		most = maxPeers6
	}
	if c.req.NumWant < 0 {
		c.req.NumWant = w.s.table.Options().NumWant
	}
	c.req.NumWant = min(c.req.NumWant, most)
	refusal := w.s.announce(c)
	w.n.announced(c, refusal)
	if refusal != nil {
		return wire.AppendUDPError(out, tid, refusal.Reason)
	}
	w.counted = w.counted || c.reply.Counted
	out = wire.AppendUDPAnnounceReply(out, tid, inSeconds(c.reply.Interval), c.reply.Leechers, c.reply.Seeders)
	if c.want4 {
		return append(out, c.reply.Peers4...)
	}
	return append(out, c.reply.Peers6...)
}

// flush is called before replies are sent.
func (w *udpWorker) flush() {
	if w.counted {
		w.counted = false
		w.s.flush()
	}
}

// readToken finds the token in the URL that the options spell (BEP 41).
func (w *udpWorker) readToken(options []byte) (err error) {
	if w.url, err = wire.AppendURLData(w.url[:0], options); err != nil {
		return err
	}
	path, query := w.url, []byte(nil)
	for i, b := range path {
		if b == '?' {
			path, query = path[:i], path[i+1:]
			break
		}
	}
	if _, w.call.token = w.s.routeOf(path); len(w.call.token) == 0 && len(query) > 0 {
		w.call.token, _ = wire.QueryValue(query, "token", tokenLen)
	}
	return nil
}

// scrape answers a scrape. BEP 41 gives it no options, hence no token: it tells
// counts only, to whoever may announce without one.
func (w *udpWorker) scrape(tid uint32, packet, out []byte) []byte {
	c := &w.call
	hashes, err := wire.ParseUDPScrape(packet)
	if err != nil {
		w.n.malformed.Add(1)
		return wire.AppendUDPError(out, tid, err.Error())
	}
	if refusal := w.s.admitScrape(c); refusal != nil {
		w.n.refused.Add(1)
		if refusal == &c.limited {
			w.n.limited.Add(1)
		}
		return wire.AppendUDPError(out, tid, refusal.Reason)
	}
	w.n.scrapes[UDP].Add(1)
	out = wire.AppendUDPScrapeReply(out, tid)
	for ; len(hashes) > 0; hashes = hashes[len(spate.InfoHash{}):] {
		seeders, leechers, completed, _ := w.s.scrape(c.now, spate.InfoHash(hashes))
		out = wire.AppendUDPScrapeEntry(out, seeders, completed, leechers)
	}
	return out
}
