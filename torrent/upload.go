package torrent

import (
	"context"
	"net"
	"time"

	"spate/internal/units"
	"spate/peerwire"
	"spate/torrent/internal/transport"
)

// upload is a block that a peer requested.
type upload struct {
	at     int64 // offset in the data of the torrent
	piece  uint32
	begin  uint32
	length uint32
}

// sendState is the state of this side's messages to one peer.
type sendState struct {
	control    []byte   // control messages to write
	uploads    []upload // blocks to write
	writing    bool     // a goroutine writes
	lastWrite  time.Time
	unchokedAt time.Time // when the peer was last unchoked
	meter      meter     // measures the payload to the peer
}

// Bounds of one write. Batches larger than half a megabyte save nothing that can be
// measured.
const (
	uploadBatch  = 512 << 10 // bytes of blocks
	uploadBlocks = 64
	maxUnsent    = 1 << 20 // bytes of control messages that may wait for a peer that does not read
	keptControl  = 8 << 10 // bytes of the buffer that a connection keeps for its next messages
)

// requestedLocked queues the block of a request message, or rejects the request.
func (c *conn) requestedLocked(m *peerwire.Message) error {
	t := c.t
	if int64(m.Index) >= int64(t.info.NumPieces()) ||
		m.Length == 0 || m.Length > peerwire.MaxBlockLen ||
		int64(m.Begin)+int64(m.Length) > t.servedSize(int64(m.Index)) {
		return badPeer("request for %s at %d of piece %d", units.Plural(m.Length, "byte"), m.Begin, m.Index)
	}
	switch {
	case c.wire.amChoking, !t.pick.Have(int(m.Index)), len(c.tx.uploads) >= maxUploadQueue, !t.super.Request(c.id, m.Index, int64(m.Length), time.Now()):
		return c.refuseLocked(m.Index, m.Begin, m.Length)
	}
	c.slot.idle = c.slot.idle && (c.tx.writing || c.slot.requested && !c.sentSinceUnchokeLocked())
	c.slot.requested = true
	c.goesOnLocked(time.Now())
	c.tx.uploads = append(c.tx.uploads, upload{
		at:    int64(m.Index)*t.info.PieceLength + int64(m.Begin),
		piece: m.Index, begin: m.Begin, length: m.Length,
	})
	return nil
}

// servedSize returns how many bytes of a piece peers may request. In a v2 torrent that
// includes the padding after the end of a file, which reads as zeros: libtorrent requests
// it, and BEP 52 does not forbid it.
func (t *Torrent) servedSize(piece int64) int64 {
	return min(t.info.PieceLength, t.info.TotalLength()-piece*t.info.PieceLength)
}

// refuseLocked queues a reject message if the peer has the Fast extension (BEP 6). Other
// peers expect no answer (BEP 3).
func (c *conn) refuseLocked(piece, begin, length uint32) error {
	if c.peer.reserved.Fast() {
		if len(c.tx.control) > maxUnsent {
			return errFlood
		}
		c.tx.control = peerwire.AppendBlock(c.tx.control, peerwire.Reject, piece, begin, length)
	}
	return nil
}

// canceledLocked removes the block of a cancel message from the queue. It ignores the message
// if the peer has caused too much work; then the peer gets the block.
func (c *conn) canceledLocked(m *peerwire.Message, now time.Time) {
	if !c.work.take(len(c.tx.uploads), now) {
		return
	}
	for i, u := range c.tx.uploads {
		if u.piece == m.Index && u.begin == m.Begin && u.length == m.Length {
			c.tx.uploads = append(c.tx.uploads[:i], c.tx.uploads[i+1:]...)
			c.t.super.Cancel(c.id, m.Index, int64(m.Length))
			c.refuseLocked(m.Index, m.Begin, m.Length)
			return
		}
	}
}

// chokeLocked chokes the peer and rejects its queued requests.
func (c *conn) chokeLocked() {
	if c.wire.amChoking {
		return
	}
	c.wire.amChoking = true
	c.slot.stopped = c.stopsLocked(time.Now(), c.t.proofPauseLocked())
	c.slot.idle = c.slot.idle || c.t.status.state == StateSeeding && !c.slot.requested && time.Since(c.tx.unchokedAt) >= noRequestWait
	c.tx.control = peerwire.AppendSimple(c.tx.control, peerwire.Choke)
	for _, u := range c.tx.uploads {
		c.refuseLocked(u.piece, u.begin, u.length)
	}
	c.tx.uploads = c.tx.uploads[:0]
	c.t.super.Choked(c.id)
}

// unchokeLocked unchokes the peer, if it may be served.
func (c *conn) unchokeLocked(now time.Time) {
	if !c.wire.amChoking || !c.mayServeLocked() {
		return
	}
	c.wire.amChoking, c.slot.requested, c.slot.sentAtUnchoke = false, false, c.sent.Load()
	c.tx.unchokedAt = now
	c.tx.control = peerwire.AppendSimple(c.tx.control, peerwire.Unchoke)
	c.t.super.Unchoked(c.id, now)
	c.showPiecesLocked()
}

// kickLocked starts a goroutine that writes, if there is something to write and none runs.
func (c *conn) kickLocked() {
	if c.tx.writing || c.end.gone || len(c.tx.control) == 0 && len(c.tx.uploads) == 0 {
		return
	}
	if len(c.tx.control) > maxUnsent {
		c.dropLocked(errSlowWrite)
		return
	}
	c.tx.writing = true
	c.writers.Go(c.t.s.inTurn(c.send))
}

// controlLocked returns the control messages that the reader should write. If blocks have
// to be written too, or the reader might have to wait, it starts a writer and returns nil.
func (c *conn) controlLocked(now time.Time) []byte {
	if !c.sock.CanTryWrite() || c.tx.writing || c.end.gone || len(c.tx.control) == 0 || len(c.tx.uploads) > 0 {
		c.kickLocked()
		return nil
	}
	say := c.tx.control
	c.tx.control, c.tx.writing, c.tx.lastWrite = nil, true, now
	return say
}

// say writes as much of the messages from controlLocked as the socket takes without
// waiting. A writer writes the rest.
func (c *conn) say(control []byte) {
	if len(control) == 0 {
		return
	}
	n := c.sock.TryWrite(control)
	c.t.mu.Lock()
	defer c.t.mu.Unlock()
	c.tx.writing = false
	switch {
	case n < len(control):
		c.tx.control = append(control[n:], c.tx.control...)
	case c.tx.control == nil && cap(control) <= keptControl:
		c.tx.control = control[:0]
	}
	c.kickLocked()
}

// sendBatch holds the messages that send writes at once.
type sendBatch struct {
	control []byte
	blocks  []upload
	data    []byte // contents of the blocks, one after the other
	headers []byte

	priority transport.Priority
	waits    context.Context    // ends the wait with this priority
	hurry    context.CancelFunc // ends waits; nil if that is the context of the torrent
	vec      net.Buffers
	rest     net.Buffers // the part of vec that is not written yet
}

// send writes until nothing is left to write. Errors end the connection.
func (c *conn) send() {
	var b sendBatch
	defer func() {
		if b.data != nil {
			c.t.s.uploads.Put(b.data)
		}
	}()
	for c.nextBatch(&b) {
		if err := c.writeBatch(&b); err != nil {
			c.t.mu.Lock()
			c.dropLocked(err)
			c.t.mu.Unlock()
			return
		}
	}
}

// nextBatch moves all control messages and as many blocks as one write may have into b. If
// there is nothing to write, it returns false and the caller must end.
func (c *conn) nextBatch(b *sendBatch) bool {
	c.t.mu.Lock()
	defer c.t.mu.Unlock()
	c.writtenLocked(b.blocks)
	c.updateInUseLocked()
	if len(c.tx.control) == 0 && len(c.tx.uploads) == 0 || c.end.gone {
		c.tx.writing = false
		if c.tx.control == nil && cap(b.control) <= keptControl {
			c.tx.control = b.control[:0]
		}
		return false
	}
	b.control, c.tx.control = c.tx.control, b.control[:0]
	b.blocks = b.blocks[:0]
	most := c.sock.UpBatch(c.batchLocked())
	total := 0
	for _, u := range c.tx.uploads {
		if len(b.blocks) == uploadBlocks || len(b.blocks) > 0 && total+int(u.length) > most {
			break
		}
		b.blocks = append(b.blocks, u)
		total += int(u.length)
	}
	c.tx.uploads = c.tx.uploads[:copy(c.tx.uploads, c.tx.uploads[len(b.blocks):])]
	c.t.super.Writing(c.id, len(b.blocks))
	c.showPiecesLocked()
	b.priority, b.waits, b.hurry = c.priorityLocked(), c.t.life.ctx, nil
	if b.priority == transport.Last && len(b.blocks) > 0 { // waitUp, which only blocks need, ends this context
		b.waits, b.hurry = context.WithCancel(c.t.life.ctx)
		c.proof.hurry = b.hurry
	}
	c.tx.lastWrite = time.Now()
	return true
}

// batchLocked returns how many bytes of blocks to write at once. Slow and unknown peers get
// small batches, so that a peer that takes no data is noticed within seconds.
func (c *conn) batchLocked() int {
	const little, known = 16 << 10, 1 << 20
	switch rate := int(c.tx.meter.rate); {
	case rate > 0 && rate < uploadBatch:
		return max(little, rate/2)
	case c.doubtfulLocked():
		return little
	case c.sent.Load() < known:
		return 4 * little
	}
	return uploadBatch
}

// writeBatch reads the blocks, with one read for each contiguous run, and writes
// everything at once.
func (c *conn) writeBatch(b *sendBatch) error {
	if len(b.blocks) == 0 {
		return c.sock.Write(b.control)
	}
	t := c.t
	total := 0
	for _, u := range b.blocks {
		total += int(u.length)
	}
	if err := c.waitUp(b, total); err != nil {
		return err
	}
	if b.data == nil {
		b.data = t.s.uploads.Get()
	}
	if err := t.readBlocks(b.blocks, b.data[:total]); err != nil {
		t.dataGone(err)
		return err
	}
	b.headers = b.headers[:0]
	for _, u := range b.blocks {
		b.headers = peerwire.AppendPieceHeader(b.headers, u.piece, u.begin, u.length)
	}
	if err := c.writeVec(b); err != nil {
		return err
	}
	c.sent.Add(int64(total))
	t.count.uploaded.Add(int64(total))
	t.s.carried.up.Add(int64(total))
	return nil
}

// waitUp waits for the upload limits. If the peer proves meanwhile that it uses data, the rest of the
// wait is that of other peers.
func (c *conn) waitUp(b *sendBatch, n int) error {
	err := c.sock.WaitUp(b.waits, n, b.priority)
	if b.hurry == nil {
		return err
	}
	b.hurry()
	if err == nil || c.t.life.ctx.Err() != nil {
		return err
	}
	return c.sock.WaitUp(c.t.life.ctx, n, transport.Normal)
}

// writeVec writes the control messages and the blocks with their headers.
func (c *conn) writeVec(b *sendBatch) error {
	vec := b.vec[:0]
	if len(b.control) > 0 {
		vec = append(vec, b.control)
	}
	data := b.data
	for i, u := range b.blocks {
		vec = append(vec, b.headers[i*peerwire.PieceHeaderLen:(i+1)*peerwire.PieceHeaderLen], data[:u.length])
		data = data[u.length:]
	}
	b.vec, b.rest = vec, vec // WriteBuffers consumes rest, vec keeps its array
	return c.sock.WriteBuffers(&b.rest)
}

// readBlocks reads the blocks into p, one after the other.
func (t *Torrent) readBlocks(blocks []upload, p []byte) error {
	return t.s.onDisk(func() error {
		for i := 0; i < len(blocks); {
			first, n := blocks[i].at, int64(0)
			for i < len(blocks) && blocks[i].at == first+n {
				n += int64(blocks[i].length)
				i++
			}
			if _, err := t.data.store.ReadAt(p[:n], first); err != nil {
				return err
			}
			p = p[n:]
		}
		return nil
	})
}

// dataGone halts the torrent because verified data cannot be read.
func (t *Torrent) dataGone(err error) {
	if t.life.ctx.Err() == nil {
		t.fail(err)
	}
}
