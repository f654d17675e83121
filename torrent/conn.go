package torrent

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"spate"
	"spate/internal/ratelimit"
	"spate/peerwire"
	"spate/torrent/internal/picker"
	"spate/torrent/internal/transport"
)

// A connection handles data in this order, which is also the order of the functions
// below and of the files handle.go, request.go, finish.go, piece.go and upload.go:
//
//  1. Received     is called by package transport after each read, and parses every
//     whole message in place
//  2. handle       under the torrent's lock, once for up to maxBatch messages: control
//     messages change state, and blocks are claimed
//  3. handleBatch  without the lock: copies claimed blocks into the buffers of their
//     pieces
//  4. settle       under the lock: tells the picker that the blocks arrived, collects
//     complete pieces, and picks and encodes the next requests
//  5. gather       without the lock: hashes complete pieces, several at a time while they
//     come fast, and writes them, with the help of another goroutine; then takes the
//     lock to mark them verified and to queue have messages
//  6. send         in a goroutine that lives while there is something to write: writes
//     all control messages and a batch of blocks in one system call
//
// The reader runs 1 to 5, except what the other goroutine of 5 does. It writes only
// control messages, and only as far as the socket takes them at once. So two sides that
// both write do not wait for each other.

// maxBatch bounds the messages that are handled while the lock is held once.
const maxBatch = 256

// conn is a connection to a peer, after the handshake.
type conn struct {
	t        *Torrent
	sock     *transport.Conn
	key      PeerKey        // identifies the peer
	addr     netip.AddrPort // of the peer; not valid: it has none, such as a browser
	listens  netip.AddrPort // where the peer takes connections; guarded by t.mu; not valid: unknown
	peerID   spate.PeerID
	reserved peerwire.Reserved
	incoming bool
	v2       bool // it goes by the v2 hash (BEP 52)
	greeted  bool // the peer got our handshakes when metadata was fetched over the connection
	since    time.Time

	// Owned by the reader.
	batch       []peerwire.Message   // scratch
	copies      []arrival            // scratch: blocks of the batch that were claimed
	hashesAsked []peerwire.HashRange // by the peer, to be answered after the batch
	completed   []completePiece      // scratch: pieces that the batch completed
	replay      []byte               // what the peer said before there was a torrent

	received, sent atomic.Int64 // payload
	lastRead       atomic.Int64 // unix nanoseconds
	closing        atomic.Bool
	finishing      atomic.Bool // the reader waits until pieces that it completed are written
	writers        sync.WaitGroup

	// Guarded by t.mu.
	id             picker.PeerID
	gone           bool          // no longer in t.conns
	left           chan struct{} // closed when it is gone; nil: nobody waits for that
	waiters        int           // who do
	reason         error
	amChoking      bool
	amInterested   bool
	peerChoking    bool
	peerInterested bool
	gotFirst       bool // a message that may only come first has come or is too late
	snubbed        bool
	spoke          bool // something came after the handshake
	slot           slotUse
	knownUseless   bool // its address was useless before it connected
	reqq           int  // requests that the peer queues
	client         string
	ext            peerwire.ExtHandshake // what the peer said last
	pex            pexState
	noHashes       bool      // the peer does not have the piece hashes
	gaveHashes     bool      // it does
	probed         time.Time // when it was asked for some of them first
	hashBudget     hashBudget
	pipe           pipeline
	allowed        []int32 // pieces that may be asked for while the peer chokes us (BEP 6)
	suggested      []int32 // pieces that it would rather send than others (BEP 6)
	late           int     // blocks that may come although they are asked for no longer; below 0: that came unasked
	generation     uint32  // of the picker when it had nothing for us
	out            []byte  // control messages to write
	uploads        []upload
	writing        bool
	lastWrite      time.Time
	lastBlock      time.Time // when a block, or an unchoke, came last
	unchokedAt     time.Time
	downMeter      meter
	busyRate       float64 // average, in bytes a second, while something was asked of the peer
	busyFor        int     // seconds that it was
	busyBytes      int64   // received at the last of them
	upMeter        meter
}

// arrival is a block of a batch that was claimed and is to be copied.
type arrival struct {
	block    picker.Block
	to, from []byte
}

// Errors by which this side ends a connection.
var (
	errSelf      = errors.New("connected to ourselves")
	errDuplicate = errors.New("connected to that peer already")
	errFull      = errors.New("too many connections")
	errIdle      = errors.New("silent for too long")
	errUseless   = errors.New("the peer is useless, and another peer needs its connection slot")
	errSlowWrite = errors.New("the peer does not read")
	errFlood     = errors.New("the peer asks and does not read")
	errBanned    = errors.New("the peer sent bad data")
)

// protocolError is the error for a peer that breaks the protocol.
type protocolError struct{ what string }

func (e *protocolError) Error() string { return "protocol: " + e.what }

func badPeer(format string, args ...any) error {
	return &protocolError{fmt.Sprintf(format, args...)}
}

func newConn(t *Torrent, nc net.Conn, hs peerwire.Handshake, addr netip.AddrPort, incoming bool) *conn {
	now := time.Now()
	c := &conn{
		t: t, key: peerKeyOf(addr), addr: addr, peerID: hs.PeerID, reserved: hs.Reserved, incoming: incoming, since: now,
		amChoking: true, peerChoking: true, reqq: defaultReqq, client: hs.PeerID.Client(),
		lastWrite: now, lastBlock: now, pipe: newPipeline(),
	}
	c.sock = transport.New(nc, transport.Options{
		Buffers: t.s.buf, Portable: t.s.opt.portableIO,
		Up: []*ratelimit.Limiter{t.up, t.s.up}, Down: []*ratelimit.Limiter{t.down, t.s.down},
	})
	if !incoming {
		c.listens = addr
	}
	c.v2 = !t.info.HasV1() || t.isV2Hash(hs.InfoHash)
	c.lastRead.Store(now.UnixNano())
	return c
}

// run exchanges messages with the peer until either side ends the connection.
func (c *conn) run() {
	if err := c.join(); err != nil {
		c.sock.Close()
		c.t.s.hungUp()
		c.refused(err)
		return
	}
	err := c.sock.Replay(c.replay, c)
	c.replay = nil
	if err == nil {
		err = c.sock.Receive(c.t.ctx, c)
	}
	c.leave(err)
}

// dropLocked ends the connection because of why. Any goroutine may call it.
func (c *conn) dropLocked(why error) {
	if c.reason == nil {
		c.reason = why
	}
	c.hangUp()
}

// hangUp makes the reader and a waiting writer return at once. The reader then closes the
// socket: Close waits for all users of the socket, and the caller may be one of them.
func (c *conn) hangUp() {
	if c.closing.CompareAndSwap(false, true) {
		c.sock.Interrupt()
	}
}

// Received implements [transport.Handler]: it handles every whole message that was
// read.
func (c *conn) Received() (need int, err error) {
	c.lastRead.Store(time.Now().UnixNano())
	for {
		c.batch = c.batch[:0]
		need = 0
		b := c.sock.In.Unread()
		used := 0
		for len(c.batch) < maxBatch {
			c.batch = append(c.batch, peerwire.Message{})
			m := &c.batch[len(c.batch)-1]
			n, more, err := peerwire.Parse(b[used:], m)
			if err != nil {
				return 0, &protocolError{err.Error()}
			}
			if n == 0 {
				c.batch = c.batch[:len(c.batch)-1]
				need = more
				break
			}
			used += n
		}
		if len(c.batch) > 0 {
			if err := c.handleBatch(); err != nil {
				return 0, err
			}
		}
		c.sock.In.Discard(used)
		if c.closing.Load() {
			return 0, net.ErrClosed // c.reason holds the reason
		}
		if len(c.batch) < maxBatch {
			return need, nil
		}
	}
}

// handleBatch does steps 2 to 5 of the list above for c.batch.
func (c *conn) handleBatch() error {
	t := c.t
	now := time.Now()
	c.copies, c.completed = c.copies[:0], c.completed[:0]
	t.mu.Lock()
	for i := range c.batch {
		if err := c.handleLocked(&c.batch[i], now); err != nil {
			t.unclaimLocked(c)
			t.mu.Unlock()
			return err
		}
	}
	if len(c.copies) > 0 {
		t.mu.Unlock()
		for _, a := range c.copies {
			copy(a.to, a.from)
		}
		t.mu.Lock()
		c.settleLocked()
	}
	c.refillLocked(now)
	c.askHashesLocked(now)
	say := c.controlLocked(now)
	last := t.pick.Wanted() <= int(t.fin.unfinished.Load())
	t.mu.Unlock()
	c.say(say)
	if len(c.completed) > 0 {
		c.finishing.Store(true)
		t.gather(c.completed, last)
		c.finishing.Store(false)
		clear(c.completed)
	}
	if len(c.hashesAsked) > 0 {
		return c.answerHashes()
	}
	return nil
}

// settleLocked tells the picker that the copied blocks have arrived.
func (c *conn) settleLocked() {
	t := c.t
	for i := range c.copies {
		a := &c.copies[i]
		complete, others := t.pick.Arrived(a.block, c.id)
		for _, id := range others {
			if o := t.conns[id]; o != nil {
				o.cancelLocked(a.block)
			}
		}
		if complete {
			slot := t.pick.Slot(int(a.block.Piece))
			size := t.info.PieceSize(int(a.block.Piece))
			c.completed = append(c.completed, completePiece{int(a.block.Piece), t.bufs[slot][:size]})
			t.fin.unfinished.Add(1)
		}
	}
}

// unclaimLocked releases the claims of a batch that an error cut short.
func (t *Torrent) unclaimLocked(c *conn) {
	for _, a := range c.copies {
		t.pick.Abandon(a.block, c.id)
	}
	c.copies = c.copies[:0]
}
