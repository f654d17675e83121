package torrent

import (
	"slices"

	"spate/peerwire"
)

// Bounds of what the Fast extension (BEP 6) lets a peer tell us.
const (
	maxAllowedFast = 64
	maxSuggested   = 16 // the latest
)

// fastLocked takes a piece that the peer suggests, or that we may ask for while it
// chokes us (BEP 6).
func (c *conn) fastLocked(m *peerwire.Message) error {
	if !c.reserved.Fast() {
		return badPeer("%v without the Fast extension", m.ID)
	}
	if int64(m.Index) >= int64(c.t.info.NumPieces()) {
		return badPeer("%v of piece %d of %d", m.ID, m.Index, c.t.info.NumPieces())
	}
	piece := int32(m.Index)
	if m.ID == peerwire.Suggest {
		if len(c.suggested) == maxSuggested {
			c.suggested = append(c.suggested[:0], c.suggested[1:]...)
		}
		c.suggested = append(c.suggested, piece)
		return nil
	}
	if len(c.allowed) < maxAllowedFast && !slices.Contains(c.allowed, piece) {
		c.allowed = append(c.allowed, piece)
		c.generation = 0
	}
	return nil
}

// rejectedLocked gives up one request. A claim of the same batch stands: its bytes
// are on their way to the buffer.
func (c *conn) rejectedLocked(m *peerwire.Message) error {
	if !c.reserved.Fast() {
		return badPeer("reject without the Fast extension")
	}
	t := c.t
	if c.peerChoking {
		// It does not keep its word; asking again would get the same answer.
		c.allowed = slices.DeleteFunc(c.allowed, func(i int32) bool { return i == int32(m.Index) })
	}
	b, ok := t.blockOf(m.Index, m.Begin, m.Length)
	if ok && t.pick.Requested(b, c.id) && t.pick.Abandon(b, c.id) {
		t.refillOthersLocked()
	}
	return nil
}
