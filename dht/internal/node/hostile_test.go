package node

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"spate/dht/internal/krpc"
	"spate/dht/internal/lookup"
	"spate/dht/internal/nodeid"
)

// hostile makes the packets that a hostile node with an id sends after a query m.
type hostile func(rng *rand.Rand, id ID, m *krpc.Message) [][]byte

func answerTo(id ID, m *krpc.Message) krpc.Message {
	return krpc.Message{Kind: krpc.Response, TID: m.TID, ID: id, Token: []byte("x")}
}

// publicIP returns a random public address.
func publicIP(rng *rand.Rand) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(20 + rng.IntN(60)), byte(rng.Uint32()), byte(rng.Uint32()), byte(rng.Uint32())})
}

// values returns a hostile node that names so many peers.
func values(count int) hostile {
	return func(rng *rand.Rand, id ID, m *krpc.Message) [][]byte {
		r := answerTo(id, m)
		for range count {
			r.Values = krpc.AppendValue(r.Values, netip.AddrPortFrom(publicIP(rng), 6881))
		}
		return [][]byte{r.Append(nil)}
	}
}

var hostileNodes = map[string]hostile{
	"garbage": func(rng *rand.Rand, id ID, m *krpc.Message) [][]byte {
		long := make([]byte, 1400)
		for i := range long {
			long[i] = byte(rng.Uint32())
		}
		return [][]byte{nil, long, []byte(strings.Repeat("d", 1400)), []byte("d1:rd2:id99999999999:"), append([]byte("d1:rd2:id20:"), long...)}
	},
	"10,000 values":     values(10_000),
	"a packet of peers": values(150),
	"wrong transaction ids": func(rng *rand.Rand, id ID, m *krpc.Message) (list [][]byte) {
		for _, tid := range [][]byte{nil, {1}, []byte("abcd"), bytes.Repeat([]byte("t"), 600), append(bytes.Clone(m.TID), 0)} {
			r := answerTo(id, m)
			r.TID, r.Values = tid, krpc.AppendValue(nil, netip.MustParseAddrPort("66.6.6.6:666"))
			list = append(list, r.Append(nil))
		}
		return list
	},
	"endless redirects": func(_ *rand.Rand, id ID, m *krpc.Message) [][]byte {
		r := answerTo(id, m)
		for i := range uint32(16) {
			c := Contact{ID: id, Addr: redirect(distance(m.Target, id) - 1 - i)}
			c.ID = idAt(m.Target, c.Addr)
			r.Nodes = krpc.AppendNode(r.Nodes, c)
		}
		return [][]byte{r.Append(nil)}
	},
	"ids next to the target": func(rng *rand.Rand, id ID, m *krpc.Message) [][]byte {
		r := answerTo(nodeid.WithPrefix(m.Target, 100, id), m)
		for range 16 {
			ip := publicIP(rng)
			r.Nodes = krpc.AppendNode(r.Nodes, Contact{ID: nodeid.WithPrefix(m.Target, 120, id), Addr: netip.AddrPortFrom(ip, 1)})
		}
		return [][]byte{r.Append(nil), r.Append(nil)}
	},
	"errors": func(rng *rand.Rand, id ID, m *krpc.Message) [][]byte {
		r := krpc.Message{Kind: krpc.Error, TID: m.TID, Code: -1 << 60, Text: bytes.Repeat([]byte("e"), 1000)}
		return [][]byte{r.Append(nil)}
	},
	"silence": func(*rand.Rand, ID, *krpc.Message) [][]byte { return nil },
}

// The nodes of endless redirects: each has an address of the local network, where BEP 42 allows every id,
// and an id whose distance to the target is the number in the address. Each names others that are closer.

func redirect(distance uint32) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(distance >> 16), byte(distance >> 8), byte(distance)}), 6881)
}

func idAt(target ID, a netip.AddrPort) ID {
	ip := a.Addr().As4()
	ip[0] = 0
	binary.BigEndian.PutUint32(target[16:], binary.BigEndian.Uint32(target[16:])^binary.BigEndian.Uint32(ip[:]))
	return target
}

func distance(target, id ID) uint32 {
	return binary.BigEndian.Uint32(target[16:]) ^ binary.BigEndian.Uint32(id[16:])
}

// TestSearchEndsAmongHostileNodes runs a search for peers, with an announce, in networks in which all
// nodes are hostile: it ends within a minute, and bounds its queries, peers and memory.
func TestSearchEndsAmongHostileNodes(t *testing.T) {
	t.Parallel()
	for name, reply := range hostileNodes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n, _ := loaded(t)
			n.upkeepAt = simStart.Add(time.Hour)
			rng := rand.New(rand.NewPCG(3, 4))
			ended := false
			now := simStart
			s := n.Search(now, Request{
				Method: krpc.GetPeers, Target: ID{9}, Announce: &Announcement{Port: 7000},
				Done: func(*Search) { ended = true },
			})
			if far := redirect(1 << 20); name == "endless redirects" {
				s.lookups[0].Start([]Contact{{ID: idAt(s.target, far), Addr: far}})
				s.proceed(now)
			}
			for now.Before(simStart.Add(time.Minute)) && !ended {
				sent := n.Packets()
				var from []Packet
				for _, p := range sent {
					var m krpc.Message
					if err := krpc.NewParser().Parse(&m, bytes.Clone(p.Data)); err != nil {
						t.Fatal(err)
					}
					id, known := n.family(p.Addr.Addr()).table.IDOf(p.Addr)
					if !known {
						id = idAt(m.Target, p.Addr)
					}
					for _, b := range reply(rng, id, &m) {
						from = append(from, Packet{Addr: p.Addr, Data: b})
					}
				}
				for _, p := range from {
					n.Handle(now, p)
				}
				if len(from) == 0 {
					now = n.Next()
				} else {
					now = now.Add(10 * time.Millisecond)
				}
				n.Tick(now)
			}
			// Two families, and to each node at most two writes.
			if most := 2 * (lookup.MaxQueries + 2*lookup.K); !ended || s.Queries > most || len(s.Peers) > maxFound || len(s.known) > maxFound {
				t.Errorf("ended: %v, with %d queries (at most %d) and %d peers", ended, s.Queries, most, len(s.Peers))
			}
			if n.Running() != 0 {
				t.Errorf("%d searches run after the end", n.Running())
			}
			if name == "wrong transaction ids" && len(s.Peers) != 0 {
				t.Errorf("packets with a wrong transaction id named %v", s.Peers)
			}
			t.Logf("%d queries, %d answers, %d peers after %v", s.Queries, s.Answers, len(s.Peers), now.Sub(simStart))
		})
	}
}
