package torrent

import (
	"slices"

	"spate/peerwire"
)

// Bounds of the pieces that one peer named in messages of the Fast extension (BEP 6).
const (
	maxAllowedFast = 64
	maxSuggested   = 16 // a newer suggestion replaces the oldest one
)

// fastLocked handles suggest piece and allowed fast messages (BEP 6).
func (c *conn) fastLocked(m *peerwire.Message) error {
	if !c.peer.reserved.Fast() {
		return badPeer("%v without the Fast extension", m.ID)
	}
	if int64(m.Index) >= int64(c.t.info.NumPieces()) {
		return badPeer("%v of piece %d of %d", m.ID, m.Index, c.t.info.NumPieces())
	}
	piece := int32(m.Index)
	if m.ID == peerwire.Suggest {
		if len(c.req.suggested) == maxSuggested {
			c.req.suggested = append(c.req.suggested[:0], c.req.suggested[1:]...)
		}
		c.req.suggested = append(c.req.suggested, piece)
		return nil
	}
	if len(c.req.allowed) < maxAllowedFast && !slices.Contains(c.req.allowed, piece) {
		c.req.allowed = append(c.req.allowed, piece)
		c.req.generation = 0
	}
	return nil
}

// rejectedLocked handles a reject message: the block is requested from another peer. If the
// block arrived in the same batch, the reject is ignored.
func (c *conn) rejectedLocked(m *peerwire.Message) error {
	if !c.peer.reserved.Fast() {
		return badPeer("reject without the Fast extension")
	}
	if c.wire.peerChoking {
		// The peer broke its allowed fast message and would reject the next request too.
		c.req.allowed = slices.DeleteFunc(c.req.allowed, func(i int32) bool { return i == int32(m.Index) })
	}
	b, ok := c.t.blockOf(m.Index, m.Begin, m.Length)
	if ok && c.t.pick.Requested(b, c.id) && c.t.pick.Abandon(b, c.id) {
		c.due.refill = true
	}
	return nil
}
