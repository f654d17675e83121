package node

import (
	"net/netip"
	"testing"

	"spate/dht/internal/krpc"
	"spate/dht/internal/nodeid"
)

// TestAnswerOnOtherSocket checks that Answer answers queries of every method in at most four times
// their size, that a token from it allows an announce, that only a ping of the sender goes out on the
// own socket, and that it ignores answers, floods, and all queries to a read-only node.
func TestAnswerOnOtherSocket(t *testing.T) {
	t.Parallel()
	n, target := loaded(t)
	parser, m, pings := krpc.NewParser(), krpc.Message{}, 0
	say := func(q krpc.Message) []byte {
		q.TID, q.ID, q.Target, q.HasTarget = []byte("ab"), nodeid.WithPrefix(n.families[0].id, 30, ID{1}), target, true
		packet := q.Append(nil)
		out := n.Answer(simStart, stranger, packet, []byte("before"))[len("before"):]
		sent := len(out)
		for _, p := range n.Packets() {
			sent += len(p.Data)
			if err := parser.Parse(&m, p.Data); err != nil || m.Kind != krpc.Query || m.Method != krpc.Ping || p.Addr != stranger {
				t.Errorf("%v: the own socket sends %+v to %v (%v)", q.Method, m, p.Addr, err)
			}
			pings++
		}
		if sent > 4*len(packet) && !n.proved.Has(simStart, stranger) {
			t.Errorf("%v: %d bytes for %d", q.Method, sent, len(packet))
		}
		m = krpc.Message{}
		if len(out) > 0 {
			if err := parser.Parse(&m, out); err != nil {
				t.Fatal(err)
			}
		}
		return out
	}
	for _, method := range []krpc.Method{krpc.Ping, krpc.FindNode, krpc.Get, krpc.SampleInfohashes, krpc.GetPeers} {
		if out := say(krpc.Message{Kind: krpc.Query, Method: method}); len(out) == 0 || m.Kind != krpc.Response || m.ID != n.families[0].id || m.External != stranger {
			t.Errorf("%v was answered by %+v", method, m)
		}
	}
	if pings == 0 {
		t.Error("the sender does not enter the routing table")
	}
	if len(m.Values) == 0 || len(m.Token) == 0 {
		t.Errorf("the answer to get_peers is %+v", m)
	}
	before := n.families[0].peers.Len()
	say(krpc.Message{Kind: krpc.Query, Method: krpc.AnnouncePeer, Port: 7, Token: m.Token})
	if m.Kind != krpc.Response || n.families[0].peers.Len() != before+1 {
		t.Errorf("an announce was answered by %+v; %d peers were %d", m, n.families[0].peers.Len(), before)
	}
	if out := say(krpc.Message{Kind: krpc.Response}); len(out) != 0 {
		t.Errorf("an answer got %d bytes", len(out))
	}
	if out := n.Answer(simStart, netip.AddrPortFrom(stranger.Addr(), 0), []byte("x"), nil); len(out) != 0 {
		t.Errorf("port 0 got %d bytes", len(out))
	}
	for range 200 {
		say(krpc.Message{Kind: krpc.Query, Method: krpc.Ping})
	}
	if m.Kind == krpc.Response || n.Stats().Limited == 0 {
		t.Errorf("a flood is answered: %+v", n.Stats())
	}
	n.o.ReadOnly = true
	if out := say(krpc.Message{Kind: krpc.Query, Method: krpc.Ping}); len(out) != 0 {
		t.Errorf("a read-only node sends %d bytes", len(out))
	}
}
