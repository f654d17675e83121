package torrent

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"spate"
	"spate/peerwire"
	"spate/torrent/internal/picker"
)

// A connection's way, told in the order of the functions below and of the files
// socket_unix.go, handle.go, request.go, finish.go, piece.go and upload.go:
//
//  1. receive    wait without a buffer until the socket is readable, then read
//     as much as there is into one from the free list
//  2. consume    parse every whole message of what was read, in place
//  3. handle     under the torrent's lock, once for up to maxBatch messages:
//     control messages change state; a block is claimed
//  4. copyBlocks without the lock: claimed blocks go to the buffer of their piece
//  5. settle     under the lock: blocks have arrived, complete pieces are taken,
//     the next requests are picked and encoded
//  6. gather     without the lock: complete pieces are hashed, many at a time while
//     they come fast, and written, with the help of another goroutine; under it:
//     verified, have
//  7. send       a goroutine that lives while there is something to write: all
//     control messages and a batch of blocks in one system call
//
// The reader runs 1 to 6, but for the helper. It writes no more to the socket than that
// takes at once, and only control messages, so that two sides that only write do not
// wait for each other. A fast peer's reader pauses after 6 (pause_linux.go).

// maxBatch bounds the messages that are handled under the lock at once.
const maxBatch = 256

// conn is a connection to a peer, after the handshake.
type conn struct {
	t        *Torrent
	nc       net.Conn
	addr     netip.AddrPort
	listens  netip.AddrPort // where the peer takes connections; guarded by t.mu; not valid: unknown
	peerID   spate.PeerID
	reserved peerwire.Reserved
	incoming bool
	v2       bool       // it goes by the v2 hash (BEP 52)
	unacked  func() int // bytes written that the peer has not acknowledged; nil: unknown
	greeted  bool       // the peer got our handshakes when metadata was fetched over the connection
	since    time.Time

	// Owned by the reader.
	raw         syscall.RawConn // of the socket; nil: it is none
	in          inbox
	need        int                  // bytes of the message that is only partly here
	batch       []peerwire.Message   // scratch
	copies      []arrival            // scratch: blocks of the batch that were claimed
	hashesAsked []peerwire.HashRange // by the peer, to be answered after the batch
	whole       []wholePiece         // scratch: pieces that the batch completed
	replay      []byte               // what the peer said before there was a torrent

	received, sent atomic.Int64 // payload
	lastRead       atomic.Int64 // unix nanoseconds
	closing        atomic.Bool
	held           atomic.Bool // the reader waits for a download limit or the disk
	limited        atomic.Bool // the writer waits for an upload limit
	writers        sync.WaitGroup

	// Guarded by t.mu.
	id             picker.PeerID
	gone           bool          // no longer in t.conns
	left           chan struct{} // closed when it is gone; nil: nobody waits for that
	heirs          int           // who do
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
	leafBudget     leafBudget
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

// arrival is a block of a batch between its claim and its arrival.
type arrival struct {
	block    picker.Block
	to, from []byte
}

// Errors by which this side ends a connection.
var (
	errSelf      = errors.New("connected to ourselves")
	errTwice     = errors.New("connected to that peer already")
	errFull      = errors.New("too many connections")
	errIdle      = errors.New("silent for too long")
	errUseless   = errors.New("the peer is useless, and another peer needs its connection slot")
	errSlowWrite = errors.New("the peer does not read")
	errFlood     = errors.New("the peer asks and does not read")
	errBanned    = errors.New("the peer sent bad data")
)

// protocolError is what a peer did that no honest peer does.
type protocolError struct{ what string }

func (e *protocolError) Error() string { return "protocol: " + e.what }

func badPeer(format string, args ...any) error {
	return &protocolError{fmt.Sprintf(format, args...)}
}

func newConn(t *Torrent, nc net.Conn, hs peerwire.Handshake, addr netip.AddrPort, incoming bool) *conn {
	now := time.Now()
	c := &conn{
		t: t, nc: nc, addr: addr, peerID: hs.PeerID, reserved: hs.Reserved, incoming: incoming, since: now,
		amChoking: true, peerChoking: true, reqq: defaultReqq, client: hs.PeerID.Client(),
		lastWrite: now, lastBlock: now, pipe: newPipeline(),
	}
	c.in.from, c.unacked = t.s.buf, unackedOf(nc)
	if !incoming {
		c.listens = addr
	}
	c.v2 = !t.info.HasV1() || t.isV2Hash(hs.InfoHash)
	c.lastRead.Store(now.UnixNano())
	return c
}

// run talks with the peer until either side ends the connection.
func (c *conn) run() {
	if err := c.join(); err != nil {
		c.nc.Close()
		c.t.s.hungUp()
		c.refused(err)
		return
	}
	err := c.hear(c.replay)
	c.replay = nil
	if err == nil {
		err = c.receive()
	}
	c.leave(err)
	c.in.release()
}

// hear consumes what was read before the connection came here.
func (c *conn) hear(b []byte) error {
	for len(b) > 0 {
		n := copy(c.in.space(c.need), b)
		b = b[n:]
		c.in.read(n)
		if err := c.consume(); err != nil {
			return err
		}
	}
	c.in.idle()
	return nil
}

// dropLocked ends the connection from outside its reader. t.mu is held.
func (c *conn) dropLocked(why error) {
	if c.reason == nil {
		c.reason = why
	}
	c.hangUp()
}

// hangUp makes the reader and a writer that waits end at once. The socket itself
// is closed by the reader when it leaves: closing waits for those who use the
// socket, and the caller may be one of them.
func (c *conn) hangUp() {
	if c.closing.CompareAndSwap(false, true) {
		c.nc.SetDeadline(time.Unix(1, 0))
	}
}

// consume handles every whole message that the inbox holds. It is called after
// each read, and an error ends the connection.
func (c *conn) consume() error {
	c.lastRead.Store(time.Now().UnixNano())
	for {
		c.batch = c.batch[:0]
		c.need = 0
		at := c.in.r
		for len(c.batch) < maxBatch {
			c.batch = append(c.batch, peerwire.Message{})
			m := &c.batch[len(c.batch)-1]
			n, need, err := peerwire.Parse(c.in.b[at:c.in.w], m)
			if err != nil {
				return &protocolError{err.Error()}
			}
			if n == 0 {
				c.batch = c.batch[:len(c.batch)-1]
				c.need = need
				break
			}
			at += n
		}
		if len(c.batch) > 0 {
			if err := c.handleBatch(); err != nil {
				return err
			}
		}
		c.in.r = at
		if c.closing.Load() {
			return net.ErrClosed // the reason stands in c.reason
		}
		if len(c.batch) < maxBatch {
			return nil
		}
	}
}

// handleBatch does steps 3 to 6 of a connection's way for c.batch.
func (c *conn) handleBatch() error {
	t := c.t
	now := time.Now()
	c.copies, c.whole = c.copies[:0], c.whole[:0]
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
	last := t.pick.Wanted() <= int(t.fin.unjudged.Load())
	t.mu.Unlock()
	c.say(say)
	if len(c.whole) > 0 {
		c.held.Store(true)
		t.gather(c.whole, last)
		c.held.Store(false)
		clear(c.whole)
	}
	if len(c.hashesAsked) > 0 {
		return c.answerHashes()
	}
	return nil
}

// settleLocked notes that the copied blocks are in place.
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
			c.whole = append(c.whole, wholePiece{int(a.block.Piece), t.bufs[slot][:size]})
			t.fin.unjudged.Add(1)
		}
	}
}

// unclaimLocked gives back the claims of a batch that is cut short.
func (t *Torrent) unclaimLocked(c *conn) {
	for _, a := range c.copies {
		t.pick.Abandon(a.block, c.id)
	}
	c.copies = c.copies[:0]
}
