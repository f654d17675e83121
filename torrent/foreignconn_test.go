package torrent_test

import (
	"io"
	"net"
	"net/netip"
	"slices"
	"time"

	"spate/bitfield"
	"spate/peerwire"
)

// foreignRequest is a request that was sent, or that waits in the queue of the model.
type foreignRequest struct {
	foreignBlock
	at        time.Time // when it was sent
	abandoned bool      // the block may be requested elsewhere, although it can still arrive
}

// foreignUpload is a request of the peer.
type foreignUpload struct {
	foreignBlock
	before []byte // messages to send before the block
}

// foreignConn is a connection of a foreignPeer. The lock of the peer guards all fields but
// the first three.
type foreignConn struct {
	p      *foreignPeer
	conn   net.Conn
	remote netip.Addr

	ready bool // handshakes were exchanged
	gone  bool
	fast  bool // both sides support the Fast extension

	introduced   bool              // the peer has sent its bitfield, or a message in its place
	known        bitfield.Bitfield // pieces that the peer has
	uploadOnly   bool              // the peer has said that it downloads nothing (BEP 21)
	reqq         int               // requests that the peer queues; 0 if it has not said
	choked       bool              // the peer chokes us
	amInterested bool
	asked        []*foreignRequest // requests without an answer, in the order in which they were sent

	amChoking  bool
	interested bool            // the peer is interested in us
	uploads    []foreignUpload // requests of the peer
	control    []byte          // messages to send before the next block
	released   int             // bytes of control that may be sent, if the model batches messages
	writing    bool
	uploading  int // length of the block that is being written

	down, up int64 // bytes of blocks that were received and sent

	lt libtorrentConn
	tr transmissionConn
	a2 aria2Conn
}

// shakeHands exchanges handshakes and sends the messages that follow.
func (c *foreignConn) shakeHands(hs *peerwire.Handshake, first bool) error {
	out := hs.Append(nil)
	if first {
		if _, err := c.conn.Write(out); err != nil {
			return err
		}
	}
	var in [peerwire.HandshakeLen]byte
	if _, err := io.ReadFull(c.conn, in[:]); err != nil {
		return err
	}
	theirs, err := peerwire.ParseHandshake(in[:])
	if err != nil {
		return err
	}
	p := c.p
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.gone {
		return net.ErrClosed
	}
	if !first {
		c.control = append(c.control, out...)
	}
	c.ready, c.fast, c.known = true, hs.Reserved.Fast() && theirs.Reserved.Fast(), p.noBitfield()
	if theirs.Reserved.Extended() {
		c.control = peerwire.AppendExtHandshake(c.control, &peerwire.ExtHandshake{
			Client: p.model.traits().name, Reqq: 500, UploadOnly: p.pieces.have.All(),
		})
	}
	switch have := p.pieces.have; {
	case c.fast && have.All():
		c.control = peerwire.AppendSimple(c.control, peerwire.HaveAll)
	case c.fast && have.None():
		c.control = peerwire.AppendSimple(c.control, peerwire.HaveNone)
	case !have.None():
		c.control = peerwire.AppendBytes(c.control, peerwire.Bitfield, have.Bytes())
	}
	p.model.joined(c)
	c.release() // what follows the handshake never waits
	p.flush()
	return nil
}

// read reads and handles messages until the connection ends.
func (c *foreignConn) read() {
	buf, n := make([]byte, 128<<10), 0
	for {
		k, err := c.conn.Read(buf[n:])
		if err != nil {
			return
		}
		n += k
		c.p.mu.Lock()
		used, ok := c.handleAll(buf[:n])
		c.p.model.handled(c)
		c.p.flush()
		c.p.mu.Unlock()
		if !ok {
			return
		}
		n = copy(buf, buf[used:n])
	}
}

// handleAll handles the complete messages in b, and returns their length. It returns false
// if the connection has to end.
func (c *foreignConn) handleAll(b []byte) (used int, ok bool) {
	for !c.gone {
		var m peerwire.Message
		n, _, err := peerwire.Parse(b[used:], &m)
		if err != nil {
			c.p.bad("peer %v sent a malformed message: %v", c.remote, err)
			return used, false
		}
		if n == 0 {
			return used, true
		}
		used += n
		c.handle(&m)
	}
	return used, false
}

// handle handles a message.
func (c *foreignConn) handle(m *peerwire.Message) {
	p := c.p
	switch m.ID {
	case peerwire.Choke, peerwire.Unchoke:
		if c.choked != (m.ID == peerwire.Choke) {
			c.choked = !c.choked
			if c.choked && !c.fast {
				c.dropRequests()
			}
			p.model.chokeChanged(c)
		}
	case peerwire.Interested, peerwire.NotInterested:
		if c.interested != (m.ID == peerwire.Interested) {
			c.interested = !c.interested
			p.model.interestChanged(c)
		}
	case peerwire.Have:
		c.introduced = true
		if i := int(m.Index); !c.known.Get(i) {
			c.known.Set(i)
			p.pieces.peers[i]++
			p.model.has(c, i)
		}
	case peerwire.Bitfield, peerwire.HaveAll, peerwire.HaveNone:
		c.introduced = true
		if m.ID == peerwire.HaveAll {
			c.learn(nil)
		} else if m.ID == peerwire.Bitfield {
			c.learn(m.Payload)
		}
		p.model.has(c, -1)
	case peerwire.Request:
		b := foreignBlock{int(m.Index), int(m.Begin) / peerwire.BlockLen}
		switch {
		case !c.amChoking && p.pieces.have.Get(b.piece):
			c.upload(b)
		default:
			c.reject(b)
		}
	case peerwire.Cancel:
		if !p.model.traits().ordered {
			c.uploads = slices.DeleteFunc(c.uploads, func(u foreignUpload) bool {
				return u.piece == int(m.Index) && u.index == int(m.Begin)/peerwire.BlockLen
			})
		}
	case peerwire.Reject:
		if r := c.takeRequest(foreignBlock{int(m.Index), int(m.Begin) / peerwire.BlockLen}); r != nil {
			if !r.abandoned {
				p.pieces.release(r.foreignBlock)
			}
			p.model.rejected(c)
		}
	case peerwire.Extended:
		if h, err := peerwire.ParseExtHandshake(m.Payload); err == nil && m.Index == 0 {
			c.uploadOnly, c.reqq = h.UploadOnly, h.Reqq
			p.model.has(c, -1)
		}
	case peerwire.Piece:
		r, missing := p.store(c, int(m.Index), int(m.Begin), m.Payload)
		switch {
		case missing:
			p.model.received(c, r)
		case r != nil:
			p.model.wasted(c)
		}
	}
}

// learn records the pieces of a bitfield; nil stands for all pieces.
func (c *foreignConn) learn(b []byte) {
	all := c.p.noBitfield()
	if b == nil {
		all.SetAll()
	} else {
		copy(all.Bytes(), b)
	}
	for i := range all.Ones() {
		if !c.known.Get(i) {
			c.known.Set(i)
			c.p.pieces.peers[i]++
		}
	}
}

// ask sends a request for a block. The caller has recorded it with foreignPieces.request.
func (c *foreignConn) ask(r *foreignRequest) {
	r.at = time.Now()
	c.asked = append(c.asked, r)
	c.control = peerwire.AppendBlock(c.control, peerwire.Request, uint32(r.piece), uint32(r.index*peerwire.BlockLen), uint32(c.p.pieces.size(r.foreignBlock)))
}

// cancel sends a cancel message for a request. The answer is still awaited.
func (c *foreignConn) cancel(r *foreignRequest) {
	c.control = peerwire.AppendBlock(c.control, peerwire.Cancel, uint32(r.piece), uint32(r.index*peerwire.BlockLen), uint32(c.p.pieces.size(r.foreignBlock)))
}

// takeRequest removes the request for a block from the list, or returns nil.
func (c *foreignConn) takeRequest(b foreignBlock) *foreignRequest {
	i := slices.IndexFunc(c.asked, func(r *foreignRequest) bool { return r.foreignBlock == b })
	if i < 0 {
		return nil
	}
	r := c.asked[i]
	c.asked = slices.Delete(c.asked, i, i+1)
	return r
}

// dropRequests forgets all requests without an answer.
func (c *foreignConn) dropRequests() {
	for _, r := range c.asked {
		if !r.abandoned {
			c.p.pieces.release(r.foreignBlock)
		}
	}
	c.asked = nil
}

// setInterested tells the peer whether we are interested.
func (c *foreignConn) setInterested(yes bool) {
	if c.amInterested == yes {
		return
	}
	c.amInterested = yes
	id := peerwire.NotInterested
	if yes {
		id = peerwire.Interested
	}
	c.control = peerwire.AppendSimple(c.control, id)
}

// setChoking chokes or unchokes the peer. A choke ends its requests.
func (c *foreignConn) setChoking(yes bool) {
	if c.amChoking == yes {
		return
	}
	c.amChoking = yes
	if !yes {
		c.control = peerwire.AppendSimple(c.control, peerwire.Unchoke)
		return
	}
	c.control = peerwire.AppendSimple(c.control, peerwire.Choke)
	if c.p.model.traits().ordered {
		return // the blocks have left the hands of the program
	}
	for _, u := range c.uploads {
		c.reject(u.foreignBlock)
	}
	c.uploads = nil
}

// upload accepts a request of the peer.
func (c *foreignConn) upload(b foreignBlock) {
	u := foreignUpload{foreignBlock: b}
	if c.p.model.traits().ordered {
		u.before, c.control = c.control, nil
	}
	c.uploads = append(c.uploads, u)
}

// reject rejects a request if the peer understands that.
func (c *foreignConn) reject(b foreignBlock) {
	if c.fast {
		c.control = peerwire.AppendBlock(c.control, peerwire.Reject, uint32(b.piece), uint32(b.index*peerwire.BlockLen), uint32(c.p.pieces.size(b)))
	}
}

// tellHave sends a have message.
func (c *foreignConn) tellHave(piece int) {
	c.control = peerwire.AppendIndexed(c.control, peerwire.Have, uint32(piece))
}

// isSeed reports whether the peer has announced all pieces.
func (c *foreignConn) isSeed() bool { return c.known.All() }

// release lets the messages that were collected until now be sent.
func (c *foreignConn) release() { c.released = len(c.control) }

// kick starts a writer if there is something to send and none runs.
func (c *foreignConn) kick() {
	if !c.p.model.traits().batches {
		c.release()
	}
	if c.writing || c.gone || !c.ready || c.released == 0 && len(c.uploads) == 0 {
		return
	}
	c.writing = true
	c.p.inTurn(c.write)
}

// write sends messages and requested blocks until none are left.
func (c *foreignConn) write() {
	p := c.p
	var b []byte
	for {
		p.mu.Lock()
		b = c.next(b[:0])
		n := c.uploading
		if len(b) == 0 || c.gone {
			c.writing = false
			p.mu.Unlock()
			return
		}
		p.mu.Unlock()
		_, err := c.conn.Write(b)
		p.mu.Lock()
		if err != nil {
			c.end()
		} else {
			c.up += int64(n)
			p.stats.Uploaded += int64(n)
			p.model.wrote(c)
		}
		p.mu.Unlock()
	}
}

// next appends what has to be written next to b: messages, or a block. It sets c.uploading to
// the length of the block.
func (c *foreignConn) next(b []byte) []byte {
	p, traits := c.p, c.p.model.traits()
	c.uploading = 0
	if !traits.batches {
		c.release()
	}
	if c.released > 0 && !(traits.ordered && len(c.uploads) > 0) {
		b = append(b, c.control[:c.released]...)
		c.control = append(c.control[:0], c.control[c.released:]...)
		c.released = 0
		return b
	}
	if len(c.uploads) == 0 {
		return b
	}
	u := c.uploads[0]
	c.uploads = c.uploads[1:]
	c.uploading = p.pieces.size(u.foreignBlock)
	off := p.pieces.offset(u.foreignBlock)
	b = append(b, u.before...)
	b = peerwire.AppendPieceHeader(b, uint32(u.piece), uint32(u.index*peerwire.BlockLen), uint32(c.uploading))
	return append(b, p.data[off:off+c.uploading]...)
}

// end closes the connection and forgets all that was known about it.
func (c *foreignConn) end() {
	if c.gone {
		return
	}
	c.gone = true
	c.conn.Close()
	p := c.p
	p.conns = slices.DeleteFunc(p.conns, func(o *foreignConn) bool { return o == c })
	if !c.ready {
		return
	}
	for i := range c.known.Ones() {
		p.pieces.peers[i]--
	}
	c.dropRequests()
	p.model.left(c)
}
