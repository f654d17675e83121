package torrent

import (
	"iter"
	"time"

	"spate/bitfield"
	"spate/internal/units"
	"spate/peerwire"
	"spate/torrent/internal/picker"
)

// wireState is the state of a connection by BEP 3: which side chokes and which is
// interested.
type wireState struct {
	amChoking      bool
	amInterested   bool
	peerChoking    bool
	peerInterested bool
	gotFirst       bool // a bitfield, have all, have none or have message has arrived
	gotMessage     bool // any message but a keep-alive has arrived
	sent           sentPieces
}

// handleLocked applies one message. An error ends the connection.
func (c *conn) handleLocked(m *peerwire.Message, now time.Time) error {
	c.wire.gotMessage = c.wire.gotMessage || m.ID != peerwire.KeepAlive
	switch m.ID {
	case peerwire.Piece:
		return c.blockLocked(m, now)
	case peerwire.Request:
		return c.requestedLocked(m)
	case peerwire.Have:
		return c.haveLocked(int64(m.Index))
	case peerwire.Cancel:
		c.canceledLocked(m, now)
	case peerwire.Choke:
		c.chokedLocked()
	case peerwire.Unchoke:
		c.wire.peerChoking = false
		c.req.generation = 0
		c.req.lastBlock = now
	case peerwire.Interested:
		c.due.slots = c.due.slots || !c.wire.peerInterested
		c.wire.peerInterested = true
	case peerwire.NotInterested:
		if c.wire.peerInterested && !c.slot.requested {
			c.slot.flips++
			if c.slot.flips > maxFlips {
				return badPeer("interest ended %s without a request", units.Plural(c.slot.flips, "time"))
			}
		}
		c.due.slots = c.due.slots || c.wire.peerInterested
		c.wire.peerInterested = false
	case peerwire.Bitfield, peerwire.HaveAll, peerwire.HaveNone:
		return c.piecesLocked(m)
	case peerwire.Reject:
		return c.rejectedLocked(m)
	case peerwire.HashRequest:
		return c.hashRequestLocked(m)
	case peerwire.Hashes, peerwire.HashReject:
		return c.hashesLocked(m, now)
	case peerwire.Extended:
		return c.extendedLocked(m, now)
	case peerwire.Suggest, peerwire.AllowedFast:
		return c.fastLocked(m)
	case peerwire.Port:
		c.portLocked(m)
	}
	// Unknown messages are ignored.
	return nil
}

// piecesLocked handles bitfield, have all and have none, which a peer sends at most once
// and before any have (BEP 3, BEP 6). aria2 also sends bitfields and have all later, in
// place of many have messages.
func (c *conn) piecesLocked(m *peerwire.Message) error {
	if m.ID != peerwire.Bitfield && !c.peer.reserved.Fast() {
		return badPeer("%v without the Fast extension", m.ID)
	}
	if c.wire.gotFirst {
		switch m.ID {
		case peerwire.Bitfield:
			have, err := bitfield.FromBytes(m.Payload, c.t.info.NumPieces())
			if err != nil {
				return badPeer("%v", err)
			}
			return c.moreLocked(have.Ones())
		case peerwire.HaveAll:
			if c.t.pick.PeerIsSeed(c.id) && c.wire.sent.n == 0 {
				return nil
			}
			return c.moreLocked(c.t.emptyLocked().Zeros())
		}
		return badPeer("%v after other messages", m.ID)
	}
	c.wire.gotFirst = true
	t := c.t
	defer c.readyLocked()
	switch m.ID {
	case peerwire.HaveNone:
		return nil
	case peerwire.HaveAll:
		t.pick.PeerLeft(c.id)
		t.pick.SeedJoined(c.id)
	default:
		have, err := bitfield.FromBytes(m.Payload, t.info.NumPieces())
		if err != nil {
			return badPeer("%v", err)
		}
		t.pick.PeerLeft(c.id)
		t.pick.PeerJoined(c.id, have.Clone())
		c.claimsLocked()
	}
	if t.pick.PeerIsSeed(c.id) {
		t.sawSeedLocked(time.Now())
	}
	return c.knowsMoreLocked()
}

// moreLocked handles a later bitfield like a have message for each new piece.
func (c *conn) moreLocked(pieces iter.Seq[int]) error {
	more := false
	for i := range pieces {
		c.wire.sent.announced(i)
		if c.t.pick.PeerHave(c.id, i) {
			more = true
			c.announcedLocked(uint32(i))
			c.hasPieceLocked(uint32(i))
		}
	}
	if !more && !c.t.pick.PeerIsSeed(c.id) {
		return nil
	}
	return c.knowsMoreLocked()
}

func (c *conn) haveLocked(piece int64) error {
	if piece >= int64(c.t.info.NumPieces()) {
		return badPeer("have of piece %d of %d", piece, c.t.info.NumPieces())
	}
	c.wire.gotFirst = true
	c.wire.sent.announced(int(piece))
	c.goesOnLocked(time.Now())
	if !c.t.pick.PeerHave(c.id, int(piece)) && !c.t.pick.PeerIsSeed(c.id) {
		return nil
	}
	c.announcedLocked(uint32(piece))
	c.hasPieceLocked(uint32(piece))
	return c.knowsMoreLocked()
}

// knowsMoreLocked updates this side's interest after the peer announced pieces. It returns
// errBothSeeds if neither side needs the other.
func (c *conn) knowsMoreLocked() error {
	if c.t.pick.PeerIsSeed(c.id) && c.wire.sent.n == 0 {
		if c.ext.listens.IsValid() {
			c.listLocked().SetSeed(c.ext.listens, true)
		}
		c.t.completedLocked(time.Now())
		if c.neitherNeedsLocked(time.Now()) {
			return errBothSeeds
		}
	}
	c.updateInterestLocked()
	return nil
}

// updateInterestLocked sends interested or not interested if that has changed.
func (c *conn) updateInterestLocked() {
	want := c.t.pick.Interest(c.id) > 0 && !c.ext.onlyReports
	if want == c.wire.amInterested {
		return
	}
	c.wire.amInterested = want
	id := peerwire.NotInterested
	if want {
		id = peerwire.Interested
	}
	c.tx.control = peerwire.AppendSimple(c.tx.control, id)
}

// chokedLocked handles a choke message. It makes outstanding requests void (BEP 3), except
// with the Fast extension, where the peer rejects each request that it drops (BEP 6).
func (c *conn) chokedLocked() {
	c.wire.peerChoking, c.req.askedAt = true, time.Time{}
	if c.peer.reserved.Fast() {
		return
	}
	if n := c.t.pick.AbandonAll(c.id); n > 0 {
		c.req.late += n // the blocks may be on their way
		c.due.refill = true
	}
}

// dueWork records work on all connections that the messages of a batch cause. It is done once,
// after the batch, so that a message costs the same in a torrent with many connections.
type dueWork struct {
	refill bool // blocks became free, which any peer can be asked for
	slots  bool // the peer's interest changed, so that an upload slot may be given
}

// doDueLocked does the work in c.due.
func (c *conn) doDueLocked(now time.Time) {
	due := c.due
	c.due = dueWork{}
	if due.refill {
		c.t.refillOthersLocked()
	}
	switch {
	case !due.slots:
	case !c.wire.peerInterested:
		c.t.fillSlotsLocked(now)
	case c.wire.amChoking && (c.t.freeSlotLocked(now) || c.t.uploadStalledLocked(now)):
		c.unchokeLocked(now)
	}
}

// blockOf returns the block that a message names, and whether that block exists.
func (t *Torrent) blockOf(index, begin, length uint32) (picker.Block, bool) {
	if int64(index) >= int64(t.info.NumPieces()) {
		return picker.Block{}, false
	}
	size := t.info.PieceSize(int(index))
	if int64(begin) >= size || begin%picker.BlockSize != 0 ||
		int64(length) != min(picker.BlockSize, size-int64(begin)) {
		return picker.Block{}, false
	}
	return picker.Block{Piece: int32(index), Begin: int32(begin), Length: int32(length)}, true
}

// maxUnasked bounds the blocks that a peer may send without a request.
const maxUnasked = 256

// blockLocked claims a block that arrived, so that it is copied after the lock is
// released. Blocks without a request are counted and dropped, because they might be sent
// to spoil a piece of other peers. Blocks of canceled requests may arrive late.
func (c *conn) blockLocked(m *peerwire.Message, now time.Time) error {
	t := c.t
	n := int64(len(m.Payload))
	c.received.Add(n)
	t.count.downloaded.Add(n)
	t.s.carried.down.Add(n)
	b, ok := t.blockOf(m.Index, m.Begin, m.Length)
	if !ok {
		return badPeer("piece message for %s at %d of piece %d", units.Plural(m.Length, "byte"), m.Begin, m.Index)
	}
	c.req.lastBlock = now
	c.req.snubbed = false
	c.req.pipe.block()
	if t.status.state != StateDownloading {
		t.count.wasted.Add(n)
		return nil
	}
	asked := t.pick.Requested(b, c.id)
	if !asked {
		c.req.late--
		if c.req.late < -maxUnasked {
			return badPeer("more than %s without a request", units.Plural(maxUnasked, "block"))
		}
	}
	if !asked && c.req.late < 0 || t.pick.Claim(b, c.id) != picker.Fresh {
		t.count.wasted.Add(n)
		return nil
	}
	slot := t.pick.Slot(int(b.Piece))
	buf := t.pieceBufLocked(slot)
	c.rx.copies = append(c.rx.copies, arrival{b, buf[b.Begin : b.Begin+b.Length], m.Payload})
	return nil
}

// sendFirstLocked queues the first messages: the extension handshake, and the pieces that this
// side has.
func (c *conn) sendFirstLocked() {
	t := c.t
	hides := c.hidesPiecesLocked(time.Now())
	if c.peer.reserved.Extended() {
		h := c.extHandshakeLocked()
		c.tx.control = peerwire.AppendExtHandshake(c.tx.control, &h)
	}
	fast := c.peer.reserved.Fast()
	have := t.pick.HaveCount()
	switch {
	case c.peer.firstSent && fast: // the metadata search has sent have none
	case hides && fast:
		c.tx.control = peerwire.AppendSimple(c.tx.control, peerwire.HaveNone)
	case hides:
	case fast && have == t.info.NumPieces():
		c.tx.control = peerwire.AppendSimple(c.tx.control, peerwire.HaveAll)
	case fast && have == 0:
		c.tx.control = peerwire.AppendSimple(c.tx.control, peerwire.HaveNone)
	case have > 0:
		c.tx.control = peerwire.AppendBytes(c.tx.control, peerwire.Bitfield, t.pick.Bitfield().Bytes())
	}
	c.sendPortLocked()
}

// emptyLocked returns a bitfield for the pieces of the torrent with no bit set.
func (t *Torrent) emptyLocked() bitfield.Bitfield { return bitfield.New(t.info.NumPieces()) }
