package torrent_test

import (
	"context"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"spate"
	"spate/bitfield"
	"spate/internal/simnet"
	"spate/peerwire"
	"spate/torrent"
	"spate/tracker"
)

// clientModel makes the decisions of a foreignPeer in the way of one BitTorrent program. All
// methods are called with the lock of the peer held. They may send messages through the
// methods of foreignConn.
type clientModel interface {
	// traits returns the properties of the program that the peer itself uses.
	traits() clientTraits
	// joined is called when both sides of a connection have exchanged handshakes.
	joined(c *foreignConn)
	// interestChanged is called when the peer's interest has begun or ended.
	interestChanged(c *foreignConn)
	// has is called when the peer has announced a piece. It is called with piece -1 after a
	// bitfield and after an extension handshake.
	has(c *foreignConn, piece int)
	// chokeChanged is called when the peer has choked or unchoked us.
	chokeChanged(c *foreignConn)
	// received is called after a block that was not there yet has arrived and was stored.
	received(c *foreignConn, b *foreignRequest)
	// wasted is called for a block that had already arrived from another peer.
	wasted(c *foreignConn)
	// rejected is called after the peer has rejected a request.
	rejected(c *foreignConn)
	// completed is called after a piece is complete.
	completed(piece int)
	// handled is called after the messages that had arrived were handled.
	handled(c *foreignConn)
	// wrote is called after a block or other messages were written to the connection.
	wrote(c *foreignConn)
	// left is called after a connection has ended.
	left(c *foreignConn)
	// tick is called once in each tick of clientTraits.
	tick(now time.Time)
}

// clientTraits are the properties of a program that a foreignPeer uses.
type clientTraits struct {
	name string
	fast bool          // the program supports the Fast extension
	tick time.Duration // time between two ticks

	dialAfter time.Duration // time from the answer of the tracker until the peer dials

	batches bool // messages wait until the model calls foreignConn.release
	ordered bool // messages wait behind the blocks that the peer requested before
}

// foreignPeer is a peer of a simulated swarm that behaves like another BitTorrent program. It
// announces to the tracker, dials the peers of the answer, accepts connections, downloads,
// checks each block against the data, and uploads. Its model makes all decisions.
type foreignPeer struct {
	host    *simnet.Host
	addr    netip.AddrPort
	id      spate.PeerID
	hash    spate.InfoHash
	data    []byte // contents of the torrent
	written *writtenPieces
	bad     func(format string, args ...any) // reports bad data

	mu     sync.Mutex // guards the fields below and those of the connections
	model  clientModel
	rng    *rand.Rand
	pieces foreignPieces
	conns  []*foreignConn
	stats  torrent.Stats
	ctx    context.Context // ends when the peer leaves
	done   chan struct{}   // closed when all pieces are complete
	ended  bool
	tasks  sync.WaitGroup
}

// betweenTicks delays the first dials, so that they do not begin at the moment of a tick. The
// order of two timers of one moment differs between runs.
const betweenTicks = 500 * time.Nanosecond

// newForeignPeer returns a peer that has no pieces yet, or all of them.
func newForeignPeer(host *simnet.Host, seed uint64, data []byte, pieceLength int, hash spate.InfoHash, complete bool) *foreignPeer {
	p := &foreignPeer{
		host: host, addr: netip.AddrPortFrom(host.Addr(), 6881), hash: hash, data: data, done: make(chan struct{}),
		rng: rand.New(rand.NewPCG(seed, 7)), pieces: newForeignPieces(len(data), pieceLength),
	}
	if complete {
		p.pieces.have.SetAll()
		close(p.done)
	}
	return p
}

// run takes part in the swarm until ctx is done.
func (p *foreignPeer) run(ctx context.Context, announcer torrent.Announcer) error {
	p.ctx = ctx
	l, err := p.host.Listen(ctx, "tcp", p.addr.String())
	if err != nil {
		return err
	}
	p.tasks.Go(func() { p.accept(l) })
	left := int64(len(p.data))
	if p.complete() {
		left = 0
	}
	req := tracker.AnnounceRequest{InfoHash: p.hash, PeerID: p.id, Port: p.addr.Port(), Left: left, Event: tracker.EventStarted}
	resp, err := announcer.Announce(ctx, "", &req)
	if err != nil {
		return err
	}
	dialling := time.AfterFunc(p.model.traits().dialAfter+betweenTicks, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, to := range resp.Peers {
			p.dialSoon(to)
		}
	})
	defer dialling.Stop()
	tick := time.NewTicker(p.model.traits().tick)
	defer tick.Stop()
	done := p.done
	if left == 0 {
		done = nil
	}
	for ctx.Err() == nil {
		select {
		case now := <-tick.C:
			p.mu.Lock()
			p.model.tick(now)
			p.flush()
			p.mu.Unlock()
		case <-done:
			done = nil
			req.Left, req.Event = 0, tracker.EventCompleted
			if _, err := announcer.Announce(ctx, "", &req); err != nil {
				return err
			}
		case <-ctx.Done():
		}
	}
	l.Close()
	p.mu.Lock()
	p.ended = true
	for _, c := range slices.Clone(p.conns) {
		c.end()
	}
	p.mu.Unlock()
	p.tasks.Wait()
	return nil
}

// inTurn runs f in its own goroutine in the order that the simulation decides.
func (p *foreignPeer) inTurn(f func()) {
	wait := p.host.Turn()
	p.tasks.Go(func() {
		wait()
		f()
	})
}

func (p *foreignPeer) complete() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pieces.have.All()
}

func (p *foreignPeer) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		p.inTurn(func() { p.connected(c, false) })
	}
}

// dialSoon connects to a peer in the background. The caller holds the lock.
func (p *foreignPeer) dialSoon(to netip.AddrPort) {
	if p.ended {
		return
	}
	p.inTurn(func() {
		c, err := p.host.DialContext(p.ctx, "tcp", to.String())
		if err == nil {
			p.connected(c, true)
		}
	})
}

// connected exchanges handshakes over a connection and serves it until it ends. A second
// connection to the same address is closed.
func (p *foreignPeer) connected(conn net.Conn, dialed bool) {
	defer conn.Close()
	c := &foreignConn{p: p, conn: conn, remote: netip.MustParseAddrPort(conn.RemoteAddr().String()).Addr(), amChoking: true, choked: true}
	p.mu.Lock()
	duplicate := p.ended || slices.ContainsFunc(p.conns, func(o *foreignConn) bool { return o.remote == c.remote })
	if !duplicate {
		p.conns = append(p.conns, c)
	}
	p.mu.Unlock()
	if duplicate {
		return
	}
	hs := peerwire.Handshake{InfoHash: p.hash, PeerID: p.id}
	hs.Reserved.SetExtended()
	if p.model.traits().fast {
		hs.Reserved.SetFast()
	}
	if err := c.shakeHands(&hs, dialed); err == nil {
		c.read()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	c.end()
	p.flush()
}

// store records a block that has arrived, and reports whether it was missing.
func (p *foreignPeer) store(c *foreignConn, piece, begin int, block []byte) (*foreignRequest, bool) {
	b := foreignBlock{piece, begin / peerwire.BlockLen}
	off := p.pieces.offset(b)
	if off+len(block) > len(p.data) || string(p.data[off:off+len(block)]) != string(block) {
		p.bad("peer %v sent a bad block of piece %d to %v", c.remote, piece, p.addr)
		return nil, false
	}
	n := int64(len(block))
	p.stats.Downloaded += n
	c.down += n
	r := c.takeRequest(b)
	if r == nil || !p.pieces.store(b, c) {
		p.stats.Wasted += n
		return r, false
	}
	p.stats.BytesDone += n
	return r, true
}

// finish records a complete piece. The model has not announced it yet.
func (p *foreignPeer) finish(piece int) {
	p.pieces.complete(piece)
	if p.written != nil {
		p.written.record(int64(piece) * int64(p.pieces.length))
	}
	p.model.completed(piece)
	if p.pieces.have.All() {
		close(p.done)
	}
}

// flush starts the writers of all connections that have something to send.
func (p *foreignPeer) flush() {
	for _, c := range p.conns {
		c.kick()
	}
}

// noBitfield returns an empty bitfield for a new connection.
func (p *foreignPeer) noBitfield() bitfield.Bitfield { return bitfield.New(p.pieces.have.Len()) }
