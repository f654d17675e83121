package torrent

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"spate"
	"spate/internal/simnet"
	"spate/metainfo"
	"spate/peerwire"
	"spate/storage"
)

// TestUselessPeers checks that an honest getter downloads at 80 % or more of the rate that it
// has alone, whatever the useless peers that connected before it do. All options of the seed
// have their defaults.
func TestUselessPeers(t *testing.T) {
	plain := seedScenario{size: 16 << 20, piece: 256 << 10, linkUp: 2 << 20, getters: []getter{{join: time.Minute}}}
	limited := plain
	limited.sessionUp, limited.linkUp = 2<<20, 0
	aloneTook := map[bool]time.Duration{false: plain.run(t)[0], true: limited.run(t)[0]}
	t.Logf("alone: %v, with a limit %v", aloneTook[false], aloneTook[true])
	check := func(t *testing.T, g seedScenario) {
		t.Parallel()
		took, alone := g.run(t)[0], aloneTook[g.sessionUp > 0]*time.Duration(g.size/plain.size)
		t.Logf("%v, %.0f %% of the rate", took, 100*alone.Seconds()/took.Seconds())
		if took.Seconds() > alone.Seconds()/0.8 {
			t.Errorf("took %v, alone %v: under 80 %% of the rate", took, alone)
		}
	}
	for name := range behaviors {
		if flag.Lookup("seeds").Value.String() == "0" && !typical[name] {
			continue // scripts/check plays all behaviors, with -seeds
		}
		for _, count := range []int{2, 50, 250} {
			t.Run(fmt.Sprintf("%d/%s", count, name), func(t *testing.T) {
				g := plain
				g.useless = map[string]int{name: count}
				check(t, g)
			})
		}
		t.Run("limit/"+name, func(t *testing.T) {
			g := limited
			g.useless = map[string]int{name: 50}
			check(t, g)
		})
		t.Run("just arrived/"+name, func(t *testing.T) {
			g := plain
			g.useless, g.getters = map[string]int{name: 50}, []getter{{join: 3 * time.Second}}
			g.size *= 4
			check(t, g)
		})
		t.Run("few networks/"+name, func(t *testing.T) {
			g := plain
			g.useless, g.networks = map[string]int{name: 250}, 3
			check(t, g)
		})
	}
	for _, format := range []metainfo.Format{metainfo.V2, metainfo.Hybrid} {
		t.Run(string(format), func(t *testing.T) {
			g := plain
			g.format, g.useless = format, map[string]int{"is interested and silent": 40, "asks and never reads": 40}
			check(t, g)
		})
	}
	for name, useless := range map[string]map[string]int{
		"silent and greedy": {"sends nothing": 500, "asks and never reads": 100},
		"idle and greedy":   {"is idle": 501, "asks and never reads": 100},
		"flipping and slow": {"interest comes and goes": 300, "reads 1 kB/s": 100},
		"liars and slow":    {"claims pieces that it lacks": 40, "reads 1 kB/s": 40},
	} {
		t.Run(name, func(t *testing.T) {
			g := plain
			g.useless = useless
			check(t, g)
		})
	}
}

// TestGettersOfUnequalLinks checks that slow and fast getters all download at the rates of
// their own links, whichever joins first and whichever side dials.
func TestGettersOfUnequalLinks(t *testing.T) {
	const up = 4 << 20
	for name, g := range map[string]seedScenario{
		"two slow ones first":    {size: 100 << 20, piece: 256 << 10, getters: []getter{{down: 100_000}, {down: 100_000}, {join: 10 * time.Second}}},
		"a slow one first":       {size: 32 << 20, piece: 256 << 10, getters: []getter{{down: 500_000}, {join: 10 * time.Second}}},
		"the fast one first":     {size: 32 << 20, piece: 256 << 10, getters: []getter{{join: 0}, {down: 500_000, join: time.Second / 2}}},
		"both at once":           {size: 32 << 20, piece: 256 << 10, getters: []getter{{}, {down: 100_000}}},
		"the seed dials":         {size: 32 << 20, piece: 256 << 10, getters: []getter{{down: 100_000}, {}, {down: 500_000}}, seedDials: true},
		"one piece":              {size: 1 << 20, piece: 1 << 20, getters: []getter{{down: 100_000}, {down: 100_000}, {join: time.Second}}},
		"two pieces":             {size: 2 << 20, piece: 1 << 20, getters: []getter{{down: 100_000}, {down: 100_000}, {join: time.Second}}},
		"pieces of many seconds": {size: 64 << 20, piece: 4 << 20, getters: []getter{{down: 100_000}, {down: 100_000}, {join: 10 * time.Second}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g.linkUp = up
			took := g.run(t)
			slow := 0.0
			for _, w := range g.getters {
				slow += float64(w.down)
			}
			for i, w := range g.getters {
				rate := float64(w.down)
				if rate == 0 {
					rate = up - slow
				}
				least := float64(g.size) / rate
				t.Logf("a getter of %.0f kB/s took %v, %.0f %% of its rate", rate/1000, took[i], 100*least/took[i].Seconds())
				// Other getters may send pieces too, and the first round trips take some time.
				if took[i].Seconds() > least/0.8+0.5 {
					t.Errorf("a getter of %.0f kB/s took %v, want at most %.1f s", rate/1000, took[i], least/0.8)
				}
			}
		})
	}
}

// TestFullDownloadDials checks that peers that connect to a download again and again and do nothing
// cannot keep it from a seed that it has to dial.
func TestFullDownloadDials(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		defer wg.Wait()
		defer cancel()
		world := simnet.New(simnet.Options{Seed: 1})
		session := func(host byte, opt Options) *Session {
			addr := netip.AddrFrom4([4]byte{10, 0, 0, host})
			opt.Network, opt.Bind, opt.PeerPort, opt.Seed = world.Host(addr, simnet.Link{}), addr, 6881, uint64(host)
			s, err := NewSession(opt)
			if err != nil {
				t.Fatal(err)
			}
			wg.Go(func() { s.Run(ctx) })
			return s
		}
		data, mi := noiseTorrent(t, 1<<18, 16<<10)
		if _, err := session(2, Options{}).Add(mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true}); err != nil {
			t.Fatal(err)
		}
		get, err := session(1, Options{MaxConnsPerTorrent: 3}).Add(mi, AddOptions{Storage: storage.NewMemory(int64(len(data)))})
		if err != nil {
			t.Fatal(err)
		}
		for i := range byte(3) {
			h := world.Host(netip.AddrFrom4([4]byte{10, 0, 1, i}), simnet.Link{})
			wg.Go(func() {
				for ; ctx.Err() == nil; time.Sleep(time.Second) {
					c, err := h.DialContext(ctx, "tcp", "10.0.0.1:6881")
					if err != nil {
						continue
					}
					stop := context.AfterFunc(ctx, func() { c.Close() })
					hs := peerwire.Handshake{Reserved: extendedAndFast(), InfoHash: mi.Hash(), PeerID: spate.NewPeerID()}
					c.Write(hs.Append(nil))
					io.Copy(io.Discard, c)
					stop()
					c.Close()
				}
			})
		}
		time.Sleep(time.Second)
		if n := get.Stats().Peers; n != 3 {
			t.Fatalf("the download has %d peers, want the 3 useless ones", n)
		}
		get.AddPeers([]netip.AddrPort{netip.MustParseAddrPort("10.0.0.2:6881")})
		time.Sleep(30 * time.Second)
		if st := get.Stats(); st.State != StateSeeding {
			t.Errorf("after 30 s the download has %d of %d pieces", st.PiecesHave, st.Pieces)
		}
	})
}

// TestSilentSourcesDoNotHoldBlocks checks that a peer that sends blocks is asked for those that were
// requested from two peers which claim everything and answer nothing.
func TestSilentSourcesDoNotHoldBlocks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		defer wg.Wait()
		defer cancel()
		world := simnet.New(simnet.Options{Seed: 1})
		session := func(host byte, link simnet.Link) *Session {
			addr := netip.AddrFrom4([4]byte{10, 0, 0, host})
			s, err := NewSession(Options{Network: world.Host(addr, link), Bind: addr, PeerPort: 6881, Seed: uint64(host)})
			if err != nil {
				t.Fatal(err)
			}
			wg.Go(func() { s.Run(ctx) })
			return s
		}
		data, mi := noiseTorrent(t, 1<<20, 16<<10)
		if _, err := session(2, simnet.Link{Up: 64 << 10}).Add(mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true, PlainSeed: true}); err != nil {
			t.Fatal(err)
		}
		seed := []netip.AddrPort{netip.MustParseAddrPort("10.0.0.2:6881")}
		get, err := session(1, simnet.Link{}).Add(mi, AddOptions{Storage: storage.NewMemory(int64(len(data))), Peers: seed})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		for i := range byte(60) {
			h := world.Host(netip.AddrFrom4([4]byte{10, 0, 1, i}), simnet.Link{})
			wg.Go(func() {
				c, err := h.DialContext(ctx, "tcp", "10.0.0.1:6881")
				if err != nil {
					return
				}
				defer context.AfterFunc(ctx, func() { c.Close() })()
				hs := peerwire.Handshake{Reserved: extendedAndFast(), InfoHash: mi.Hash(), PeerID: spate.NewPeerID()}
				say := peerwire.AppendSimple(peerwire.AppendSimple(hs.Append(nil), peerwire.HaveAll), peerwire.Unchoke)
				c.Write(say)
				io.Copy(io.Discard, c)
			})
		}
		time.Sleep(time.Minute)
		if st := get.Stats(); st.PiecesHave < st.Pieces/2 {
			t.Errorf("after a minute the download has %d of %d pieces", st.PiecesHave, st.Pieces)
		}
	})
}
