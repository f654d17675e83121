package node

import (
	"errors"
	"net/netip"
	"time"

	"spate/dht/internal/krpc"
	"spate/dht/internal/limit"
	"spate/dht/internal/nodeid"
	"spate/dht/internal/peerstore"
	"spate/dht/internal/table"
	"spate/dht/internal/token"
)

// The bytes of the keys and lengths in a response: those of every response, and around lists.
const (
	fixedOverhead   = len("d2:ip18:") + 18 + len("1:rd2:id20:") + 20 + len("5:token8:") + token.Size + len("e1:t32:1:v4:") + 4 + len("1:y1:re")
	nodesOverhead   = len("6:nodes6") + len("304:")
	valuesOverhead  = len("6:valuesle")
	samplesOverhead = len("8:intervali21600e3:numi100000e7:samples800:")
	pingLen         = 75 // bounds a ping
	filterLen       = len("4:BFsd256:") + 256
)

// query answers the query in n.in. A read-only node answers only a ping of a node whose answer it
// waits for, which may ask for a proof of the address before it sends a large answer.
func (n *Node) query(now time.Time, f *family, from netip.AddrPort, size int) {
	m := &n.in
	n.stats.QueriesIn++
	if n.o.ReadOnly && (m.Method != krpc.Ping || !n.inFlight.waitsFor(from)) {
		return
	}
	if !n.limits.Allow(now, from.Addr(), 1) {
		n.stats.Limited++
		return
	}
	if m.Method == krpc.Get && n.defers(now, f, from, size) {
		return
	}
	sender := Contact{ID: m.ID, Addr: from}
	meet := n.meet(now, f, from)
	proved := n.proved.Has(now, from)
	most := limit.MaxReply(size, proved)
	switch {
	case proved && m.Method == krpc.Get:
		most = maxItemReply
	case !proved && meet:
		most -= pingLen
	}
	n.reply(now, f, from, most)
	if meet {
		n.ping(now, f, sender) // it enters the routing table if it answers
	}
}

// meet reports whether the sender of the query in n.in is to be asked whether it answers, because the
// routing table has a place for it.
func (n *Node) meet(now time.Time, f *family, from netip.AddrPort) bool {
	return !n.in.ReadOnly && f.table.Queried(Contact{ID: n.in.ID, Addr: from}, now) && n.meets.take(now)
}

// reply sends the reply to the query in n.in, in at most most bytes.
func (n *Node) reply(now time.Time, f *family, from netip.AddrPort, most int) {
	m := &n.in
	n.out = krpc.Message{Kind: krpc.Response, TID: m.TID, ID: f.id, External: from}
	room := most - fixedOverhead - len(m.TID)
	switch m.Method {
	case krpc.Ping:
	case krpc.FindNode:
		n.addNodes(f, from, &room)
	case krpc.GetPeers:
		n.getPeers(now, f, from, &room)
	case krpc.AnnouncePeer:
		n.announcePeer(now, f, from)
	case krpc.Get:
		n.getItem(now, f, from, &room)
	case krpc.Put:
		n.putItem(now, f, from)
	case krpc.SampleInfohashes:
		n.sample(now, f, from, &room)
	default:
		if !m.HasTarget {
			n.fail(krpc.CodeMethod, "method unknown")
			break
		}
		n.addNodes(f, from, &room) // a query of a later BEP still leads to its target
	}
	n.respond(from, most)
}

// respond sends the reply in n.out. It drops a reply of more than most bytes: even the
// shortest one is too long for a packet that is much smaller than ordinary queries.
func (n *Node) respond(to netip.AddrPort, most int) {
	n.send(to)
	last := len(n.packets) - 1
	if size := len(n.packets[last].Data); size > most {
		n.packets, n.buf = n.packets[:last], n.buf[:len(n.buf)-size]
		n.stats.BytesOut -= uint64(size)
	}
}

// fail makes the reply in n.out an error.
func (n *Node) fail(code int64, text string) {
	n.out = krpc.Message{Kind: krpc.Error, TID: n.out.TID, External: n.out.External, Code: code, Text: []byte(text)}
}

// malformed answers a query of size bytes that is not valid, if its transaction id is known.
func (n *Node) malformed(now time.Time, from netip.AddrPort, size int, err error) {
	var bad *krpc.MessageError
	if n.o.ReadOnly || !errors.As(err, &bad) || !bad.Query || bad.TID == nil || !n.limits.Allow(now, from.Addr(), 1) {
		return
	}
	n.out = krpc.Message{TID: bad.TID, External: from}
	n.fail(krpc.CodeProtocol, "malformed query")
	n.respond(from, limit.MaxReply(size, n.proved.Has(now, from)))
}

// addNodes adds the closest nodes to the target of the query to the reply, of the families
// that the query wants (BEP 32), as far as there is room. Nodes of the local network are named only
// to others there.
func (n *Node) addNodes(f *family, from netip.AddrPort, room *int) {
	want, local := n.in.Want, nodeid.Exempt(from.Addr())
	n.compact = n.compact[:0]
	for _, g := range n.families {
		if want == 0 && g != f || want != 0 && (g.v6 && want&krpc.Want6 == 0 || !g.v6 && want&krpc.Want4 == 0) {
			continue
		}
		size := krpc.NodeLen4
		if g.v6 {
			size = krpc.NodeLen6
		}
		most := min(table.K, (*room-nodesOverhead)/size)
		n.nodes = g.table.Closest(n.nodes[:0], n.in.Target, most+1)
		start := len(n.compact)
		for _, c := range n.nodes {
			if c.Addr != from && (local || !nodeid.Exempt(c.Addr.Addr())) && (len(n.compact)-start)/size < most {
				n.compact = krpc.AppendNode(n.compact, c)
			}
		}
		list := n.compact[start:len(n.compact):len(n.compact)]
		*room -= nodesOverhead + len(list)
		if g.v6 {
			n.out.Nodes6 = list
		} else {
			n.out.Nodes = list
		}
	}
}

// addToken adds a write token to the reply.
func (n *Node) addToken(now time.Time, from netip.AddrPort) {
	t := n.tokens.Token(now, from.Addr())
	n.tokenBuf = t
	n.out.Token = n.tokenBuf[:]
}

// getPeers answers a query for peers. If the reply is short of room, half of it is for peers.
func (n *Node) getPeers(now time.Time, f *family, from netip.AddrPort, room *int) {
	m := &n.in
	if !f.peers.Full(m.Target) {
		n.addToken(now, from)
	}
	if m.Scrape && *room >= 2*filterLen+2*nodesOverhead {
		if seeds, peers, ok := f.peers.Scrape(now, m.Target); ok {
			n.filters = [2]peerstore.Filter{seeds, peers}
			n.out.Seeds, n.out.Peers = n.filters[0][:], n.filters[1][:]
			*room -= 2 * filterLen
		}
	}
	n.values = f.peers.AppendValues(n.values[:0], now, m.Target, max(*room-valuesOverhead, 0), m.NoSeed)
	if len(n.values) == 0 {
		n.addNodes(f, from, room)
		return
	}
	forNodes := *room / 2
	n.addNodes(f, from, &forNodes)
	left := *room - len(n.out.Nodes) - len(n.out.Nodes6) - 2*nodesOverhead - valuesOverhead
	if len(n.values) > left {
		n.values = f.peers.AppendValues(n.values[:0], now, m.Target, max(left, 0), m.NoSeed)
	}
	n.out.Values = n.values
}

// announcePeer stores a peer whose token is valid.
func (n *Node) announcePeer(now time.Time, f *family, from netip.AddrPort) {
	m := &n.in
	if !n.tokens.Valid(now, from.Addr(), m.Token) {
		n.fail(krpc.CodeProtocol, "bad token")
		return
	}
	n.proved.Add(now, from)
	peer := netip.AddrPortFrom(from.Addr(), m.Port)
	if m.ImpliedPort {
		peer = from
	}
	if err := f.peers.Announce(now, m.Target, peer, m.Seed); err != nil {
		n.fail(krpc.CodeServer, err.Error())
	}
}

// sample answers a query for info-hashes (BEP 51).
func (n *Node) sample(now time.Time, f *family, from netip.AddrPort, room *int) {
	*room -= samplesOverhead
	n.addNodes(f, from, room)
	hashes, interval, num := f.peers.SampleInfoHashes(now, *room/len(ID{}))
	n.out.Sampled, n.out.Samples, n.out.Interval, n.out.Num = true, hashes, int64(interval/time.Second), int64(num)
}
