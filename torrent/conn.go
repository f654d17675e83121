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
	"spate/peerwire"
	"spate/torrent/internal/picker"
	"spate/torrent/internal/transport"
)

// A connection handles data in this order, which is also the order of the functions
// below and of the files messages.go, request.go, finishpieces.go, piece.go and upload.go:
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
// The reader runs steps 1 to 5, except for the work of the other goroutine of step 5. It
// writes only control messages, and only as many bytes as the socket takes without waiting,
// so that two sides that write at the same time cannot block each other.

// maxBatch bounds the messages that are handled while the lock is held once.
const maxBatch = 256

// conn is a connection to a peer, after the handshake.
type conn struct {
	t    *Torrent
	sock *transport.Conn
	line SendLimit    // limits what all senders of the process send together; nil: no limit
	peer remotePeer   // does not change
	rx   receiveState // owned by the reader

	received, sent atomic.Int64   // bytes of payload
	lastRead       atomic.Int64   // when bytes last arrived, in Unix nanoseconds
	closing        atomic.Bool    // the reader and the writer should end
	finishing      atomic.Bool    // the reader waits until pieces that it completed are written
	writers        sync.WaitGroup // counts the goroutine that writes

	// Torrent.mu guards the fields below.
	id     picker.PeerID // handle of the peer in the picker and in Torrent.peerConns
	end    connEnd
	wire   wireState
	ext    extensionState
	hashes hashState
	due    dueWork
	work   workBudget
	req    requestState
	tx     sendState
	slot   slotUse
	proof  proof
}

// remotePeer describes the peer as it is known after the handshake.
type remotePeer struct {
	key       PeerKey        // identifies the peer
	addr      netip.AddrPort // not valid for a peer without an address, such as a browser
	from      netip.AddrPort // where the packets of a peer without addr come from; nobody can dial it
	id        spate.PeerID
	reserved  peerwire.Reserved
	transport Transport
	incoming  bool      // the peer dialled
	local     bool      // the peer is another program of this machine: see ofThisMachine
	punched   bool      // the connection goes through a hole that a relay helped to punch (BEP 55)
	v2        bool      // the connection uses the v2 info-hash (BEP 52)
	twin      bool      // the connection uses the info-hash of the v1 twin
	firstSent bool      // the metadata search has sent the first messages already
	namedNode bool      // the peer has named its DHT node
	since     time.Time // when the connection began
}

// source returns the address from which the packets of the peer come, by which connections are
// limited.
func (p *remotePeer) source() netip.AddrPort {
	if p.addr.IsValid() {
		return p.addr
	}
	return p.from
}

// receiveState is the state of the goroutine that reads. Its slices are reused for each
// batch.
type receiveState struct {
	batch        []peerwire.Message
	copies       []arrival            // blocks of the batch that were claimed
	completed    []completePiece      // pieces that the batch completed
	hashRequests []peerwire.HashRange // requests of the batch that are answered after it
	replay       []byte               // bytes that arrived before the connection had a torrent
}

// connEnd records how a connection ends, and which other connections wait for the end.
type connEnd struct {
	gone    bool          // the connection was removed from Torrent.peerConns
	done    chan struct{} // closed when gone is set; nil while no connection waits for the end
	waiters int           // connections that wait for done
	reason  error         // why this side ended the connection; nil if it did not
}

// arrival is a claimed block of a batch that handleBatch copies into its piece.
type arrival struct {
	block    picker.Block
	to, from []byte
}

// Reasons for which this side ends a connection.
var (
	errSelf      = errors.New("connected to ourselves")
	errDuplicate = errors.New("already connected to that peer")
	errFull      = errors.New("too many connections")
	errIdle      = errors.New("the peer was silent for too long")
	errUseless   = errors.New("the peer is useless, and another peer needs its connection slot")
	errSlowWrite = errors.New("the peer does not read")
	errFlood     = errors.New("the peer sends requests and does not read the answers")
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
	var begin []byte
	if b, ok := nc.(*begunConn); ok {
		nc, begin = b.Conn, b.begin
	}
	c := &conn{
		t: t,
		peer: remotePeer{
			key: peerKeyOf(addr), addr: addr, id: hs.PeerID, reserved: hs.Reserved,
			transport: transportOf(nc), incoming: incoming, local: ofThisMachine(nc), since: now,
		},
		wire: wireState{amChoking: true, peerChoking: true},
		ext:  extensionState{reqq: defaultReqq, client: hs.PeerID.Client()},
		req:  requestState{lastBlock: now, pipe: newPipeline()},
		tx:   sendState{lastWrite: now},
		rx:   receiveState{replay: begin},
	}
	if !addr.IsValid() {
		c.peer.from = sourceOf(nc)
	}
	up := []transport.Limit{t.up, t.s.up}
	if t.s.opt.Uplink != nil {
		if c.line = t.s.opt.Uplink(nc); c.line != nil {
			up = append(up, c.line)
		}
	}
	c.sock = transport.New(nc, transport.Options{
		Buffers: t.s.buf, Portable: t.s.opt.portableIO,
		Up: up, Down: []transport.Limit{t.down, t.s.down},
	})
	if !incoming {
		c.ext.listens = addr
	}
	c.peer.twin = t.ofTwin(hs.InfoHash)
	c.peer.punched = incoming && c.peer.transport == UTP && t.s.punches.awaits(addr, now)
	c.peer.v2 = !t.info.HasV1() || t.isV2Hash(hs.InfoHash)
	c.lastRead.Store(now.UnixNano())
	return c
}

// run exchanges messages with the peer until either side ends the connection.
func (c *conn) run() {
	if err := c.join(); err != nil {
		c.closeSocket()
		c.t.s.hungUp()
		c.refused(err)
		return
	}
	err := c.sock.Replay(c.rx.replay, c)
	c.rx.replay = nil
	if err == nil {
		err = c.sock.Receive(c.t.life.ctx, c)
	}
	c.leave(err)
}

// dropLocked ends the connection; why is the reason. Any goroutine may call it.
func (c *conn) dropLocked(why error) {
	if c.end.reason == nil {
		c.end.reason = why
	}
	c.hangUp()
}

// closeSocket closes the socket.
func (c *conn) closeSocket() {
	if c.line != nil {
		c.line.Close()
	}
	c.sock.Close()
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
		c.rx.batch = c.rx.batch[:0]
		need = 0
		b := c.sock.In.Unread()
		used := 0
		for len(c.rx.batch) < maxBatch {
			c.rx.batch = append(c.rx.batch, peerwire.Message{})
			m := &c.rx.batch[len(c.rx.batch)-1]
			n, more, err := peerwire.Parse(b[used:], m)
			if err != nil {
				return 0, &protocolError{err.Error()}
			}
			if n == 0 {
				c.rx.batch = c.rx.batch[:len(c.rx.batch)-1]
				need = more
				break
			}
			used += n
		}
		if len(c.rx.batch) > 0 {
			if err := c.handleBatch(); err != nil {
				return 0, err
			}
		}
		c.sock.In.Discard(used)
		if c.closing.Load() {
			return 0, net.ErrClosed // c.end.reason holds the reason
		}
		if len(c.rx.batch) < maxBatch {
			return need, nil
		}
	}
}

// handleBatch runs steps 2 to 5 of the list above for the messages in c.rx.batch.
func (c *conn) handleBatch() error {
	t := c.t
	now := time.Now()
	c.rx.copies, c.rx.completed = c.rx.copies[:0], c.rx.completed[:0]
	t.mu.Lock()
	for i := range c.rx.batch {
		if err := c.handleLocked(&c.rx.batch[i], now); err != nil {
			t.unclaimLocked(c)
			t.mu.Unlock()
			return err
		}
	}
	if len(c.rx.copies) > 0 {
		t.mu.Unlock()
		for _, a := range c.rx.copies {
			copy(a.to, a.from)
		}
		t.mu.Lock()
		c.settleLocked()
	}
	c.doDueLocked(now)
	c.refillLocked(now)
	c.askHashesLocked(now)
	say := c.controlLocked(now)
	last := t.pick.Wanted() <= int(t.fin.unfinished.Load())
	t.mu.Unlock()
	c.say(say)
	if len(c.rx.completed) > 0 {
		c.finishing.Store(true)
		t.gather(c.rx.completed, last)
		c.finishing.Store(false)
		clear(c.rx.completed)
	}
	if len(c.rx.hashRequests) > 0 {
		return c.answerHashes()
	}
	return nil
}

// settleLocked tells the picker that the copied blocks have arrived.
func (c *conn) settleLocked() {
	t := c.t
	for i := range c.rx.copies {
		a := &c.rx.copies[i]
		complete, others := t.pick.Arrived(a.block, c.id)
		for _, id := range others {
			if o := t.peerConns.byID[id]; o != nil {
				o.cancelLocked(a.block)
			}
		}
		if complete {
			slot := t.pick.Slot(int(a.block.Piece))
			size := t.info.PieceSize(int(a.block.Piece))
			c.rx.completed = append(c.rx.completed, completePiece{int(a.block.Piece), t.pieces.bufs[slot][:size]})
			t.fin.unfinished.Add(1)
		}
	}
}

// unclaimLocked releases the claimed blocks of a batch that ended with an error.
func (t *Torrent) unclaimLocked(c *conn) {
	for _, a := range c.rx.copies {
		t.pick.Abandon(a.block, c.id)
	}
	c.rx.copies = c.rx.copies[:0]
}
