package torrent

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
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

// habit describes what a useless peer does once it has connected to the seed.
// The zero habit sends nothing at all.
type habit struct {
	handshake  bool          // sends a handshake
	silent     bool          // and nothing after it; otherwise "have none" follows
	interested bool          // says that it is interested
	flaps      bool          // withdraws its interest and renews it every second
	chokes     bool          // tells the seed that it is choked, over and over
	claims     bool          // claims every second piece from the start
	haves      time.Duration // says that it has every piece after this time; 0: never
	asks       bool          // requests the pieces that the seed shows it
	guesses    bool          // requests pieces that the seed did not show it
	cancels    bool          // cancels each request at once
	reads      int64         // bytes a second that it reads after its first request; 0: none, below 0: all
	stays      time.Duration // leaves after this time and comes back; 0: stays
}

var habits = map[string]habit{
	"sends nothing":                 {reads: -1},
	"sends a handshake":             {handshake: true, silent: true, reads: -1},
	"is idle":                       {handshake: true, reads: -1},
	"is interested and silent":      {handshake: true, interested: true, reads: -1},
	"asks and never reads":          {handshake: true, interested: true, asks: true},
	"asks unshown and never reads":  {handshake: true, interested: true, guesses: true},
	"reads 1 kB/s":                  {handshake: true, interested: true, asks: true, reads: 1000},
	"asks and cancels":              {handshake: true, interested: true, asks: true, cancels: true, reads: -1},
	"chokes the seed":               {handshake: true, interested: true, chokes: true, reads: -1},
	"claims pieces that it lacks":   {handshake: true, interested: true, claims: true, reads: -1},
	"claims pieces and never reads": {handshake: true, interested: true, claims: true, asks: true},
	"has everything after 20 s":     {handshake: true, interested: true, haves: 20 * time.Second, reads: -1},
	"flaps":                         {handshake: true, flaps: true, reads: -1},
	"is idle, comes back each 5 s":  {handshake: true, interested: true, reads: -1, stays: 5 * time.Second},
	"asks, comes back each 5 s":     {handshake: true, interested: true, asks: true, stays: 5 * time.Second},
}

// typical are the habits that everyday tests play.
var typical = map[string]bool{
	"is interested and silent": true, "asks and never reads": true, "asks and cancels": true, "is idle, comes back each 5 s": true,
}

// uselessPeer is one connection of a peer with a habit.
type uselessPeer struct {
	habit
	conn     net.Conn
	pieces   int
	mu       sync.Mutex // guards the writes
	unchoked bool
	shown    []uint32
}

// attack plays the habit on a connection until the seed or ctx ends it.
func (h habit) attack(ctx context.Context, conn net.Conn, hash spate.InfoHash, pieces int) {
	if h.stays > 0 {
		stop := time.AfterFunc(h.stays, func() { conn.Close() })
		defer stop.Stop()
	}
	p := &uselessPeer{habit: h, conn: conn, pieces: pieces}
	if !h.handshake {
		io.Copy(io.Discard, conn)
		return
	}
	hs := peerwire.Handshake{Reserved: everything(), InfoHash: hash, PeerID: spate.NewPeerID()}
	hello := hs.Append(nil)
	switch {
	case h.claims:
		have := make([]byte, (pieces+7)/8)
		for i := 0; i < pieces; i += 2 {
			have[i/8] |= 0x80 >> (i % 8)
		}
		hello = peerwire.AppendBytes(hello, peerwire.Bitfield, have)
	case !h.silent:
		hello = peerwire.AppendSimple(hello, peerwire.HaveNone)
	}
	if h.interested || h.flaps {
		hello = peerwire.AppendSimple(hello, peerwire.Interested)
	}
	if p.write(hello) != nil {
		return
	}
	if _, err := readHandshake(conn); err != nil {
		return
	}
	if h.flaps || h.chokes {
		go p.everySecond(ctx)
	}
	if h.haves > 0 {
		stop := time.AfterFunc(h.haves, p.haveEverything)
		defer stop.Stop()
	}
	p.read()
}

func (p *uselessPeer) write(b []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, err := p.conn.Write(b)
	return err
}

func (p *uselessPeer) everySecond(ctx context.Context) {
	for ctx.Err() == nil {
		var b []byte
		for range 64 {
			if p.flaps {
				b = peerwire.AppendSimple(peerwire.AppendSimple(b, peerwire.NotInterested), peerwire.Interested)
			} else {
				b = peerwire.AppendSimple(peerwire.AppendSimple(b, peerwire.Unchoke), peerwire.Choke)
			}
		}
		if p.write(b) != nil {
			return
		}
		time.Sleep(time.Second)
	}
}

func (p *uselessPeer) haveEverything() {
	var b []byte
	for i := range p.pieces {
		b = peerwire.AppendIndexed(b, peerwire.Have, uint32(i))
	}
	p.write(b)
}

// read reads messages, quickly until it has asked for something and then at the
// rate of its habit.
func (p *uselessPeer) read() {
	var buf []byte
	chunk := make([]byte, 4<<10)
	asked := false
	for {
		if asked && p.reads == 0 {
			<-time.After(24 * time.Hour)
			return
		}
		if asked && p.reads > 0 {
			time.Sleep(time.Second)
			chunk = chunk[:min(int64(cap(chunk)), p.reads)]
		}
		n, err := p.conn.Read(chunk)
		if err != nil {
			return
		}
		buf = append(buf, chunk[:n]...)
		for {
			var m peerwire.Message
			n, _, err := peerwire.Parse(buf, &m)
			if err != nil {
				return
			}
			if n == 0 {
				break
			}
			switch m.ID {
			case peerwire.Have:
				p.shown = append(p.shown, m.Index)
			case peerwire.HaveAll:
				for i := range p.pieces {
					p.shown = append(p.shown, uint32(i))
				}
			case peerwire.Unchoke:
				p.unchoked = true
			case peerwire.Choke:
				p.unchoked = false
			}
			buf = buf[n:]
		}
		asked = p.ask() || asked
	}
}

// ask requests blocks as its habit has it, and reports whether it did.
func (p *uselessPeer) ask() bool {
	if !p.unchoked || !p.asks && !p.guesses {
		return false
	}
	pieces := p.shown
	if p.guesses {
		pieces = nil
		for i := range min(p.pieces, 50) {
			pieces = append(pieces, uint32(i))
		}
	}
	var b []byte
	for _, i := range pieces {
		for begin := range uint32(8) {
			b = peerwire.AppendBlock(b, peerwire.Request, i, begin<<14, 1<<14)
			if p.cancels {
				b = peerwire.AppendBlock(b, peerwire.Cancel, i, begin<<14, 1<<14)
			}
		}
	}
	p.shown = nil
	return len(b) > 0 && p.write(b) == nil
}

// getter is an honest peer that wants the whole torrent.
type getter struct {
	down int64         // bytes a second of its link; 0: no limit
	join time.Duration // after the useless peers
}

// siege is a seed with the default options, useless peers, and honest getters.
type siege struct {
	size, piece int
	format      metainfo.Format // "": v1
	sessionUp   int64           // the limit that the seed's user sets; 0: none
	linkUp      int64           // of the seed's line
	useless     map[string]int  // number of peers by habit
	networks    int             // that the useless peers come from; 0: each from its own
	getters     []getter
	seedDials   bool // the seed dials the getters, not they it
}

// run returns how long each getter took.
func (g siege) run(t *testing.T) (took []time.Duration) {
	data, mi := noiseTorrent(t, g.size, g.piece)
	if g.format != "" {
		data, mi = torrentOfFormat(t, g.size, g.piece, g.format)
	}
	took = make([]time.Duration, len(g.getters))
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		var all sync.WaitGroup
		defer all.Wait()
		defer cancel()
		world := simnet.New(simnet.Options{Seed: 3, Window: 128 << 10})
		session := func(addr netip.Addr, link simnet.Link, up int64) *Session {
			s, err := NewSession(Options{Network: world.Host(addr, link), Bind: addr, PeerPort: 6881, Seed: 5, Up: up})
			if err != nil {
				t.Fatal(err)
			}
			all.Go(func() { s.Run(ctx) })
			return s
		}
		const latency = 5 * time.Millisecond
		seedAt := netip.MustParseAddrPort("10.0.0.1:6881")
		var known []netip.AddrPort
		for i := range g.getters {
			if at := netip.AddrFrom4([4]byte{10, 2, 0, byte(i + 1)}); g.seedDials {
				known = append(known, netip.AddrPortFrom(at, 6881))
			}
		}
		seed := session(seedAt.Addr(), simnet.Link{Up: g.linkUp, Latency: latency}, g.sessionUp)
		added(t, seed, mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true, Peers: known})
		time.Sleep(time.Second)
		n := 0
		for name, count := range g.useless {
			h, ok := habits[name]
			if !ok {
				t.Fatalf("no habit %q", name)
			}
			for range count {
				network, host := n, 1
				if g.networks > 0 {
					network, host = n%g.networks, 1+n/g.networks
				}
				at := netip.AddrFrom4([4]byte{10, 16 + byte(network>>8), byte(network), byte(host)})
				from := world.Host(at, simnet.Link{Latency: latency})
				start := time.Duration(n) * 20 * time.Millisecond
				n++
				all.Go(func() {
					time.Sleep(start)
					for ctx.Err() == nil {
						if c, err := from.DialContext(ctx, "tcp", seedAt.String()); err == nil {
							stop := context.AfterFunc(ctx, func() { c.Close() })
							h.attack(ctx, c, mi.Hash(), mi.Info.NumPieces())
							c.Close()
							stop()
						}
						time.Sleep(time.Second)
					}
				})
			}
		}
		var honest sync.WaitGroup
		for i, w := range g.getters {
			honest.Go(func() {
				time.Sleep(w.join)
				at := netip.AddrFrom4([4]byte{10, 2, 0, byte(i + 1)})
				s := session(at, simnet.Link{Down: w.down, Latency: latency}, 0)
				opt := AddOptions{Storage: storage.NewMemoryLike(data)}
				if !g.seedDials {
					opt.Peers = []netip.AddrPort{seedAt}
				}
				start := time.Now()
				tor, err := s.Add(mi, opt)
				if err != nil {
					t.Error(err)
					return
				}
				limit, done := context.WithTimeout(ctx, time.Hour)
				defer done()
				if err := tor.Wait(limit); err != nil {
					t.Errorf("getter %d has %d of %d pieces: %v", i, tor.Stats().PiecesHave, mi.Info.NumPieces(), err)
				}
				took[i] = time.Since(start)
			})
		}
		honest.Wait()
		cancel()
		all.Wait()
	})
	return took
}

// TestUselessPeers holds that an honest getter keeps 80 % of the rate that it has
// alone, from the moment when it comes, whatever peers do that were there before
// it and want nothing good. All options of the seed are the defaults.
func TestUselessPeers(t *testing.T) {
	plain := siege{size: 16 << 20, piece: 256 << 10, linkUp: 2 << 20, getters: []getter{{join: time.Minute}}}
	limited := plain
	limited.sessionUp, limited.linkUp = 2<<20, 0
	aloneTook := map[bool]time.Duration{false: plain.run(t)[0], true: limited.run(t)[0]}
	t.Logf("alone: %v, with a limit %v", aloneTook[false], aloneTook[true])
	check := func(t *testing.T, g siege) {
		t.Parallel()
		took, alone := g.run(t)[0], aloneTook[g.sessionUp > 0]*time.Duration(g.size/plain.size)
		t.Logf("%v, %.0f %% of the rate", took, 100*alone.Seconds()/took.Seconds())
		if took.Seconds() > alone.Seconds()/0.8 {
			t.Errorf("took %v, alone %v: under 80 %% of the rate", took, alone)
		}
	}
	for name := range habits {
		if flag.Lookup("seeds").Value.String() == "0" && !typical[name] {
			continue // scripts/check plays all of them, as it plays swarms of fifty
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
		"flapping and slow": {"flaps": 300, "reads 1 kB/s": 100},
		"liars and slow":    {"claims pieces that it lacks": 40, "reads 1 kB/s": 40},
	} {
		t.Run(name, func(t *testing.T) {
			g := plain
			g.useless = useless
			check(t, g)
		})
	}
}

// TestGettersOfUnequalLinks holds that a slow getter and a fast one both keep the
// rates of their own links, whichever comes first and whichever side dials.
func TestGettersOfUnequalLinks(t *testing.T) {
	const up = 4 << 20
	for name, g := range map[string]siege{
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
				// Others may give it pieces too, and the first round trips cost some time.
				if took[i].Seconds() > least/0.8+0.5 {
					t.Errorf("a getter of %.0f kB/s took %v, want at most %.1f s", rate/1000, took[i], least/0.8)
				}
			}
		})
	}
}
