package trackerserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"spate"
	"spate/internal/stun"
	"spate/tracker"
	"spate/tracker/wire"
)

// Sizes of UDP packets in bytes, and the numbers of peers that fit.
const (
	maxUDPRequest = 2048 // a longer packet is cut, and then malformed
	maxUDPReply   = 1200 // longer packets could be fragmented and lost
	maxPeers4     = (maxUDPReply - wire.UDPAnnounceReplyLen) / spate.CompactLen4
	maxPeers6     = (maxUDPReply - wire.UDPAnnounceReplyLen) / spate.CompactLen6
)

// maxReadFailures is the number of consecutive errors after which a socket is broken.
const maxReadFailures = 100

// udpWorker answers the packets of one socket. It owns the memory for a request, so that
// requests allocate nothing.
type udpWorker struct {
	s       *Server
	call    call
	n       *counters
	url     []byte
	counted bool // a reply that was not sent yet reports a completion
}

func (s *Server) newUDPWorker() *udpWorker { return &udpWorker{s: s, n: s.newCounters()} }

// ServeUDP answers the packets of conn (BEP 15) until ctx is done. It then closes conn and
// returns nil. It returns an error if the socket fails.
//
// On Linux, if conn is a [net.UDPConn], packets are read and written in batches, and
// further sockets are opened at its address with SO_REUSEPORT, one for each processor.
func (s *Server) ServeUDP(ctx context.Context, conn net.PacketConn) error {
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if u, ok := conn.(*net.UDPConn); ok && batches {
		return closedBy(ctx, s.serveBatches(ctx, u))
	}
	return closedBy(ctx, s.servePackets(conn))
}

// closedBy returns nil if ctx is done, which closes the sockets; otherwise it returns err
// with context.
func closedBy(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("tracker over UDP: %w", err)
}

// addrOf returns the canonical IP address in a. It is not valid if there is none.
func addrOf(a net.Addr) netip.Addr { return addrPortOf(a).Addr() }

// addrPortOf returns the address and port in a, in canonical form.
func addrPortOf(a net.Addr) netip.AddrPort {
	if a == nil {
		return netip.AddrPort{}
	}
	if u, ok := a.(*net.UDPAddr); ok {
		return canonical(u.AddrPort())
	}
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.AddrPort{}
	}
	return canonical(ap)
}

// canonical returns a without a zone, and as IPv4 if it is a mapped address.
func canonical(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}

// servePackets serves a socket on any system, one packet at a time.
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
		} else {
			n, addr, err = conn.ReadFrom(in)
			from = addrPortOf(addr)
		}
		if err != nil {
			failures++
			if transient(err) && failures < maxReadFailures {
				continue
			}
			return err
		}
		failures = 0
		reply := w.answerFrom(s.now(), canonical(from), in[:n], out)
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
			w.n.dropped.Add(1) // if the socket is broken, the next read fails
		}
	}
}

// transient reports whether the socket can be read again after err. Some systems report
// the failure of an earlier reply as the error of a read.
func transient(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && !op.Timeout() && !errors.Is(err, net.ErrClosed)
}

// answerFrom is like answer, and answers STUN too if Options.STUN is set.
func (w *udpWorker) answerFrom(now time.Time, from netip.AddrPort, packet, out []byte) []byte {
	if w.s.stun == nil || !stun.Is(packet) {
		return w.answer(now, from.Addr(), packet, out)
	}
	reply := w.s.stun.Answer(now, out, packet, from)
	if reply != nil {
		w.n.stun.Add(1)
	}
	return reply
}

// answer appends the reply to a packet to out, which is empty and has the capacity for it.
// It returns nothing if the packet gets no reply. A client that has not proved its address
// gets no reply that is longer than its packet, so that the tracker cannot be used to
// amplify an attack on that address.
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
	w.call.reset(now, tracker.UDP, from)
	switch h.Action {
	case wire.ActionAnnounce:
		return w.announce(h.TransactionID, packet, out)
	case wire.ActionScrape:
		return w.scrape(h.TransactionID, packet, out)
	}
	w.n.malformed.Add(1)
	return wire.AppendUDPError(out, h.TransactionID, "unknown action")
}

// announce appends the reply to an announce.
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
	c.want4, c.want6 = c.from.Is4(), c.from.Is6()
	most := maxPeers4
	if c.want6 {
		most = maxPeers6
	}
	if c.req.NumWant < 0 {
		c.req.NumWant = w.s.store.Options().NumWant
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

// flush calls Options.Flush if a reply reports a completion. It is called before replies
// are sent.
func (w *udpWorker) flush() {
	if w.counted {
		w.counted = false
		w.s.flush()
	}
}

// readToken sets the token of the call from the URL in the options (BEP 41).
func (w *udpWorker) readToken(options []byte) (err error) {
	w.url, err = wire.AppendURLData(w.url[:0], options)
	if err != nil {
		return err
	}
	path, query := w.url, []byte(nil)
	for i, b := range path {
		if b == '?' {
			path, query = path[:i], path[i+1:]
			break
		}
	}
	var r route
	if r, w.call.token = w.s.plainRouteOf(path); r == routeNone {
		_, w.call.token = w.s.routeOf(string(path)) // the path may have percent escapes
	}
	if len(w.call.token) == 0 && len(query) > 0 {
		w.call.token, _ = wire.QueryValue(query, "token", tokenLen)
	}
	return nil
}

// scrape appends the reply to a scrape. A scrape has no options (BEP 41) and therefore no
// token.
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
	w.n.scrapes[tracker.UDP].Add(1)
	out = wire.AppendUDPScrapeReply(out, tid)
	for ; len(hashes) > 0; hashes = hashes[len(spate.InfoHash{}):] {
		seeders, leechers, completed, _ := w.s.scrape(c.now, spate.InfoHash(hashes))
		out = wire.AppendUDPScrapeEntry(out, seeders, completed, leechers)
	}
	return out
}
