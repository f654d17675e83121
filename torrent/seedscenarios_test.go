package torrent

import (
	"context"
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

// behavior describes what a useless peer does once it has connected to the seed. A peer
// with the zero behavior sends nothing.
type behavior struct {
	handshake   bool          // sends a handshake
	silent      bool          // sends nothing after the handshake; otherwise have none follows
	interested  bool          // sends interested
	flips       bool          // ends and renews its interest every second
	chokes      bool          // chokes and unchokes the seed every second
	claims      bool          // announces every second piece at the start
	hasAllAfter time.Duration // announces every piece after this time; 0 means never
	asks        bool          // requests the pieces that the seed shows it
	guesses     bool          // requests pieces that the seed did not show it
	cancels     bool          // cancels each request at once
	unchokes    bool          // unchokes the other side
	noise       bool          // answers requests with blocks of zeros
	reads       int64         // bytes a second that it reads after its first request; 0 means none, below 0 no limit
	returns     time.Duration // disconnects after this time and connects again; 0 means that it stays
}

var behaviors = map[string]behavior{
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
	"has everything after 20 s":     {handshake: true, interested: true, hasAllAfter: 20 * time.Second, reads: -1},
	"claims pieces and is silent":   {handshake: true, interested: true, claims: true, unchokes: true, reads: -1},
	"sends noise":                   {handshake: true, interested: true, claims: true, unchokes: true, noise: true, reads: -1},
	"interest comes and goes":       {handshake: true, flips: true, reads: -1},
	"is idle, comes back each 5 s":  {handshake: true, interested: true, reads: -1, returns: 5 * time.Second},
	"asks, comes back each 5 s":     {handshake: true, interested: true, asks: true, returns: 5 * time.Second},
}

// typical holds the behaviors that the tests play without -seeds.
var typical = map[string]bool{
	"is interested and silent": true, "asks and never reads": true, "asks and cancels": true, "is idle, comes back each 5 s": true,
}

// uselessPeer is one connection of a useless peer.
type uselessPeer struct {
	behavior
	conn     net.Conn
	pieces   int
	mu       sync.Mutex // guards the writes
	unchoked bool
	shown    []uint32
}

// play plays the behavior on a connection until the seed or ctx ends it.
func (b behavior) play(ctx context.Context, conn net.Conn, hash spate.InfoHash, pieces int) {
	if b.returns > 0 {
		stop := time.AfterFunc(b.returns, func() { conn.Close() })
		defer stop.Stop()
	}
	p := &uselessPeer{behavior: b, conn: conn, pieces: pieces}
	if !b.handshake {
		io.Copy(io.Discard, conn)
		return
	}
	id := spate.PeerID([]byte(fmt.Sprintf("%20.20s", conn.LocalAddr()))) // the same in each run
	hs := peerwire.Handshake{Reserved: extendedAndFast(), InfoHash: hash, PeerID: id}
	hello := hs.Append(nil)
	switch {
	case b.claims:
		have := make([]byte, (pieces+7)/8)
		for i := 0; i < pieces; i += 2 {
			have[i/8] |= 0x80 >> (i % 8)
		}
		hello = peerwire.AppendBytes(hello, peerwire.Bitfield, have)
	case !b.silent:
		hello = peerwire.AppendSimple(hello, peerwire.HaveNone)
	}
	if b.interested || b.flips {
		hello = peerwire.AppendSimple(hello, peerwire.Interested)
	}
	if b.unchokes {
		hello = peerwire.AppendSimple(hello, peerwire.Unchoke)
	}
	if p.write(hello) != nil {
		return
	}
	if _, err := readHandshake(conn); err != nil {
		return
	}
	if b.flips || b.chokes {
		go p.everySecond(ctx)
	}
	if b.hasAllAfter > 0 {
		stop := time.AfterFunc(b.hasAllAfter, p.haveEverything)
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

// everySecond changes the peer's interest, or chokes the seed, many times each second.
func (p *uselessPeer) everySecond(ctx context.Context) {
	for ctx.Err() == nil {
		var b []byte
		for range 64 {
			if p.flips {
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

// haveEverything announces every piece.
func (p *uselessPeer) haveEverything() {
	var b []byte
	for i := range p.pieces {
		b = peerwire.AppendIndexed(b, peerwire.Have, uint32(i))
	}
	p.write(b)
}

// read reads messages without a limit until the first request, and then at the rate of
// its behavior.
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
			case peerwire.Request:
				if p.noise {
					block := make([]byte, min(m.Length, 16<<10))
					p.write(append(peerwire.AppendPieceHeader(nil, m.Index, m.Begin, uint32(len(block))), block...))
				}
			}
			buf = buf[n:]
		}
		asked = p.ask() || asked
	}
}

// ask requests blocks if its behavior includes that, and reports whether it did.
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

// getter is an honest peer that downloads the whole torrent.
type getter struct {
	down int64         // bytes a second of its link; 0 means no limit
	join time.Duration // time after the first useless peer at which it joins
}

// seedScenario is a seed with default options, useless peers, and honest getters.
type seedScenario struct {
	size, piece int
	format      metainfo.Format // "" means v1
	sessionUp   int64           // upload limit of the seed's session in bytes a second; 0 means none
	linkUp      int64           // bytes a second of the seed's link; 0 means no limit
	useless     map[string]int  // number of useless peers by behavior
	networks    int             // number of networks of the useless peers; 0 means one network for each peer
	getters     []getter
	seedDials   bool // the seed dials the getters, instead of the reverse
}

// run plays the scenario in simulated time and returns how long each getter took.
func (g seedScenario) run(t *testing.T) (took []time.Duration) {
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
			b, ok := behaviors[name]
			if !ok {
				t.Fatalf("no behavior %q", name)
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
							b.play(ctx, c, mi.Hash(), mi.Info.NumPieces())
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
