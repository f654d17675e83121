package torrent

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"spate"
	"spate/internal/simnet"
	"spate/peerwire"
	"spate/storage"
)

// attacker is what one host of a siege does with a connection to the seed, until
// it is ended.
type attacker func(c net.Conn, hash spate.InfoHash, pieces int)

// silent connects and says nothing.
func silent(c net.Conn, _ spate.InfoHash, _ int) { io.Copy(io.Discard, c) }

// shy says its handshake and nothing more.
func shy(c net.Conn, hash spate.InfoHash, _ int) {
	hs := peerwire.Handshake{Reserved: everything(), InfoHash: hash, PeerID: spate.NewPeerID()}
	c.Write(hs.Append(nil))
	io.Copy(io.Discard, c)
}

// greedy asks for everything and reads nothing but the handshake.
func greedy(c net.Conn, hash spate.InfoHash, pieces int) {
	hs := peerwire.Handshake{Reserved: everything(), InfoHash: hash, PeerID: spate.NewPeerID()}
	b := hs.Append(nil)
	b = peerwire.AppendSimple(b, peerwire.HaveNone)
	b = peerwire.AppendSimple(b, peerwire.Interested)
	c.Write(b)
	if _, err := readHandshake(c); err != nil {
		return
	}
	for {
		var b []byte
		for i := range min(pieces, 100) {
			b = peerwire.AppendBlock(b, peerwire.Request, uint32(i), 0, 16<<10)
		}
		if _, err := c.Write(b); err != nil {
			return
		}
		time.Sleep(10 * time.Second)
	}
}

// flapper is interested and not, over and over, and wants nothing.
func flapper(c net.Conn, hash spate.InfoHash, _ int) {
	hs := peerwire.Handshake{Reserved: everything(), InfoHash: hash, PeerID: spate.NewPeerID()}
	c.Write(peerwire.AppendSimple(hs.Append(nil), peerwire.HaveNone))
	go io.Copy(io.Discard, c)
	for {
		b := peerwire.AppendSimple(peerwire.AppendSimple(nil, peerwire.Interested), peerwire.NotInterested)
		for range 6 {
			b = append(b, b...)
		}
		if _, err := c.Write(peerwire.AppendSimple(b, peerwire.Interested)); err != nil {
			return
		}
		time.Sleep(time.Second)
	}
}

// besiege returns how long an honest leecher takes to get all of a seed while
// attackers, as many of each kind, do what they do and come again whenever they
// are sent away.
func besiege(t *testing.T, kinds map[int]attacker) (took time.Duration) {
	data, mi := noiseTorrent(t, 16<<20, 256<<10)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		defer wg.Wait()
		defer cancel()
		world := simnet.New(simnet.Options{Seed: 3, Window: 64 << 10})
		session := func(addr netip.Addr, link simnet.Link) *Session {
			s, err := NewSession(Options{Network: world.Host(addr, link), Bind: addr, PeerPort: 6881, Seed: 5})
			if err != nil {
				t.Fatal(err)
			}
			wg.Go(func() { s.Run(ctx) })
			return s
		}
		seedAt := netip.MustParseAddrPort("10.0.0.1:6881")
		seed := session(seedAt.Addr(), simnet.Link{Up: 2 << 20, Latency: 5 * time.Millisecond})
		added(t, seed, mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true, PlainSeed: true})
		time.Sleep(time.Second)
		n := uint32(0)
		for count, attack := range kinds {
			for range count {
				n++
				at := netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, 10<<24|1<<16|n)))
				host := world.Host(at, simnet.Link{Latency: 5 * time.Millisecond})
				wg.Go(func() {
					time.Sleep(time.Duration(at.As4()[3]) * 20 * time.Millisecond)
					for ctx.Err() == nil {
						c, err := host.DialContext(ctx, "tcp", seedAt.String())
						if err == nil {
							stop := context.AfterFunc(ctx, func() { c.Close() })
							attack(c, mi.Hash(), mi.Info.NumPieces())
							c.Close()
							stop()
						}
						time.Sleep(time.Second)
					}
				})
			}
		}
		time.Sleep(time.Minute) // everybody is there
		honest := session(netip.MustParseAddr("10.2.0.1"), simnet.Link{Latency: 5 * time.Millisecond})
		start := time.Now()
		tor, err := honest.Add(mi, AddOptions{Storage: storage.NewMemoryLike(data), Peers: []netip.AddrPort{seedAt}})
		if err != nil {
			t.Fatal(err)
		}
		limit, done := context.WithTimeout(ctx, 10*time.Minute)
		defer done()
		if err := tor.Wait(limit); err != nil {
			t.Errorf("the honest leecher has %d of %d pieces: %v", tor.Stats().PiecesHave, mi.Info.NumPieces(), err)
		}
		took = time.Since(start)
		cancel()
		wg.Wait()
	})
	return took
}

// TestSiege holds that an honest leecher keeps 80 % of its rate, from the moment
// that it comes, whatever 600 others do that want nothing good.
func TestSiege(t *testing.T) {
	alone := besiege(t, nil)
	t.Logf("alone: %v", alone)
	for name, kinds := range map[string]map[int]attacker{
		"silent and greedy": {500: silent, 100: greedy},
		"shy and greedy":    {501: shy, 100: greedy},
		"flapping":          {300: flapper},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			took := besiege(t, kinds)
			t.Logf("%v, %.0f %% of the rate", took, 100*alone.Seconds()/took.Seconds())
			if took.Seconds() > alone.Seconds()/0.8 {
				t.Errorf("took %v, alone %v: under 80 %% of the rate", took, alone)
			}
		})
	}
}
