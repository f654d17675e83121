package node

import (
	"errors"
	"net/netip"
	"slices"
	"time"

	"spate/dht/internal/itemstore"
	"spate/dht/internal/krpc"
	"spate/dht/internal/limit"
)

// itemOverhead bounds the bytes of the keys and lengths around an item in a response, and of its
// key, signature and number.
const itemOverhead = len("1:k32:") + 32 + len("3:seqi9223372036854775807e") + len("3:sig64:") + 64 + len("1:v")

// maxItemReply bounds the bytes of a reply with an item, which can be larger than other replies:
// the largest item of BEP 44 with its key and its signature must fit.
const maxItemReply = 1400

// defers reports whether the reply to the query for an item waits until the sender has proved
// its address: it does if the item is too large for a reply to an address that may be forged.
// The sender proves it by an answer to a ping.
func (n *Node) defers(now time.Time, f *family, from netip.AddrPort, size int) bool {
	m := &n.in
	item := f.items.Get(now, m.Target)
	if item == nil || n.proved.Has(now, from) || !sendsValue(m, item) {
		return false
	}
	need := fixedOverhead + len(m.TID) + itemOverhead + len(item.Value)
	if need <= limit.MaxReply(size, false) || len(n.inFlight.byTID) >= maxInFlight || !n.meets.take(now) {
		return false
	}
	later := *m
	later.TID, later.Version = slices.Clone(m.TID), nil
	n.out = krpc.Message{Method: krpc.Ping}
	n.ask(now, f, Contact{ID: m.ID, Addr: from}, nil).later = &later
	return true
}

// sendsValue reports whether the reply to a query has the value of an item: the sender may
// know it already.
func sendsValue(m *krpc.Message, i *itemstore.Item) bool {
	return i.Key == nil || !m.HasSeq || i.Seq > m.Seq
}

// getItem answers a query for an item (BEP 44). The item goes before the nodes if there is not
// enough room for both.
func (n *Node) getItem(now time.Time, f *family, from netip.AddrPort, room *int) {
	n.addToken(now, from)
	if i := f.items.Get(now, n.in.Target); i != nil {
		if i.Key != nil {
			n.out.Seq, n.out.HasSeq = i.Seq, true
		}
		if *room >= itemOverhead+len(i.Value) && sendsValue(&n.in, i) {
			n.out.Value, n.out.Key, n.out.Sig = i.Value, i.Key, i.Sig
			*room -= itemOverhead + len(i.Value)
		}
	}
	n.addNodes(f, from, room)
}

// putItem stores an item whose token is valid (BEP 44).
func (n *Node) putItem(now time.Time, f *family, from netip.AddrPort) {
	m := &n.in
	if !n.tokens.Valid(now, from.Addr(), m.Token) {
		n.fail(krpc.CodeProtocol, "bad token")
		return
	}
	n.proved.Add(now, from)
	var cas *int64
	if m.HasCAS {
		cas = &m.CAS
	}
	var refused *itemstore.Error
	switch err := f.items.Put(now, from.Addr(), itemOf(m, m.Salt), cas); {
	case errors.As(err, &refused):
		n.fail(int64(refused.Code), refused.Text)
	case err != nil:
		n.fail(krpc.CodeServer, err.Error())
	}
}

// itemOf returns the item in a message, which it points into.
func itemOf(m *krpc.Message, salt []byte) *itemstore.Item {
	return &itemstore.Item{Value: m.Value, Key: m.Key, Salt: salt, Seq: m.Seq, Sig: m.Sig}
}

// takeItem keeps the item in a response to a search, if it is valid and newer than the one that
// the search has.
func (s *Search) takeItem(m *krpc.Message) {
	if m.Value == nil {
		return
	}
	i := itemOf(m, s.r.Salt)
	if !i.Newer(s.Item) || i.Verify(s.target) != nil {
		return
	}
	s.Item = &itemstore.Item{Value: slices.Clone(i.Value), Key: slices.Clone(i.Key), Salt: s.r.Salt, Seq: i.Seq, Sig: slices.Clone(i.Sig)}
	if s.Item.Key == nil && s.r.Put == nil {
		for j := range s.lookups {
			s.lookups[j] = nil // an immutable item has no other version
		}
	}
}

// ownItem takes the item that the own node stores.
func (s *Search) ownItem(now time.Time, f *family) {
	if i := f.items.Get(now, s.target); i != nil {
		m := krpc.Message{Value: i.Value, Key: i.Key, Seq: i.Seq, Sig: i.Sig}
		s.takeItem(&m)
	}
}

// putOf returns the query that writes the item of a search.
func putOf(r *Request, token []byte) krpc.Message {
	i := r.Put
	m := krpc.Message{Method: krpc.Put, Token: token, Value: i.Value}
	if i.Key == nil {
		return m
	}
	m.Key, m.Sig, m.Seq, m.HasSeq = i.Key, i.Sig, i.Seq, true
	if len(i.Salt) > 0 {
		m.Salt = i.Salt
	}
	if r.CAS != nil {
		m.CAS, m.HasCAS = *r.CAS, true // a node that has no version ignores it (BEP 44)
	}
	return m
}
