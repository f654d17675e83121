package peerstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// model is a simple peer store: what a Store must have, without its limits.
type model map[[20]byte]map[netip.Addr]entry

type entry struct {
	port uint16
	at   time.Time
	seed bool
}

func (m model) sweep(now time.Time, lifetime time.Duration) {
	for h, peers := range m {
		for a, e := range peers {
			if now.Sub(e.at) >= lifetime+stampUnit {
				delete(peers, a)
			}
		}
		if len(peers) == 0 {
			delete(m, h)
		}
	}
}

// checkRecords checks the order of the records and all that is counted.
func checkRecords(t *rapid.T, s *Store) {
	peers, distances := 0, map[[20]byte]bool{}
	var previous []byte
	for b, block := range s.blocks {
		if len(block) == 0 || len(block)%s.stride != 0 || len(block) > blockRecords*s.stride {
			t.Fatalf("block %d has %d bytes", b, len(block))
		}
		if s.first[b] != binary.BigEndian.Uint64(block) {
			t.Fatalf("first of block %d is wrong", b)
		}
		for rec := range slices.Chunk(block, s.stride) {
			if previous != nil && bytes.Compare(previous, rec[:s.keyLen]) >= 0 {
				t.Fatalf("block %d is out of order", b)
			}
			previous = rec[:s.keyLen]
			distances[[20]byte(rec)] = true
			peers++
		}
	}
	if peers != s.peers || len(distances) != s.hashes || len(s.first) != len(s.blocks) {
		t.Fatalf("counted %d peers of %d info-hashes, the store says %d of %d", peers, len(distances), s.peers, s.hashes)
	}
}

// TestStoreAgreesWithModel runs random announces, pauses, sweeps and changes of our node id, and
// compares the peers of all info-hashes with a simple model.
func TestStoreAgreesWithModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s, err := New(hash(0), false, start, Options{MaxPeers: 100_000})
		if err != nil {
			t.Fatal(err)
		}
		m, now := model{}, start
		hashes := rapid.Uint64Range(1, 40).Draw(t, "hashes")
		t.Repeat(map[string]func(*rapid.T){
			"announce": func(t *rapid.T) {
				r := rapid.Uint64().Draw(t, "random")
				for range rapid.IntRange(1, 150).Draw(t, "announces") {
					r = r*6364136223846793005 + 1442695040888963407
					h, a, seed := spread(r>>40%hashes), addr4(int(r>>20%1000)), r>>63 == 1
					if err := s.Announce(now, h, a, seed); err != nil {
						t.Fatal(err)
					}
					if m[h] == nil {
						m[h] = map[netip.Addr]entry{}
					}
					m[h][a.Addr()] = entry{a.Port(), now, seed}
				}
			},
			"pause": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(0, 50).Draw(t, "minutes")) * time.Minute)
			},
			"sweep": func(t *rapid.T) { s.Sweep(now) },
			"move":  func(t *rapid.T) { s.SetSelf(hash(rapid.Uint64().Draw(t, "id"))) },
			"": func(t *rapid.T) {
				checkRecords(t, s)
				m.sweep(now, defaultLifetime)
				for h := range hashes {
					found, seeds := map[netip.AddrPort]bool{}, 0
					b := s.AppendValues(nil, now, spread(h), 1<<20, false)
					for v := range slices.Chunk(b, ValueLen4) {
						a := netip.AddrPortFrom(netip.AddrFrom4([4]byte(v[2:])), binary.BigEndian.Uint16(v[6:]))
						if e, ok := m[spread(h)][a.Addr()]; !ok || e.port != a.Port() || found[a] {
							t.Fatalf("info-hash %d has the peer %v, the model has %+v", h, a, e)
						} else if e.seed {
							seeds++
						}
						found[a] = true
					}
					for a, e := range m[spread(h)] {
						// A time in a record is exact to stampUnit.
						if !found[netip.AddrPortFrom(a, e.port)] && now.Sub(e.at) < defaultLifetime-stampUnit {
							t.Fatalf("info-hash %d has lost the peer %v", h, a)
						}
					}
					noseed := len(s.AppendValues(nil, now, spread(h), 1<<20, true)) / ValueLen4
					if want := len(found) - seeds; want > 0 && noseed != want {
						t.Fatalf("info-hash %d has %d peers without seeds, want %d", h, noseed, want)
					}
				}
			},
		})
	})
}

// TestFullStoreKeepsItsOrder runs random announces at a store that is full.
func TestFullStoreKeepsItsOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s, err := New(hash(0), true, start, Options{MaxPeers: rapid.IntRange(1, 400).Draw(t, "peers"), MaxPerHash: 50})
		if err != nil {
			t.Fatal(err)
		}
		now, r := start, rapid.Uint64().Draw(t, "random")
		for range rapid.IntRange(1, 2000).Draw(t, "announces") {
			r = r*6364136223846793005 + 1442695040888963407
			now = now.Add(time.Duration(r >> 54 * uint64(time.Millisecond)))
			ip := addr6(int(r >> 16 % 40)).Addr().As16()
			ip[15] = byte(r >> 50)
			peer := netip.AddrPortFrom(netip.AddrFrom16(ip), 1)
			if err := s.Announce(now, spread(r>>40%100), peer, false); err != nil && !errors.Is(err, ErrFull) && !errors.Is(err, ErrSwarmFull) {
				t.Fatal(err)
			}
			if s.Len() > s.o.MaxPeers {
				t.Fatalf("%d peers, want at most %d", s.Len(), s.o.MaxPeers)
			}
		}
		checkRecords(t, s)
		for h := range uint64(100) {
			b := s.AppendValues(nil, now, spread(h), 1<<20, false)
			if n := len(b) / ValueLen6; n > 50 {
				t.Fatalf("info-hash %d has %d peers, want at most 50", h, n)
			}
		}
	})
}
