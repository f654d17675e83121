package torrent

import (
	"bytes"
	"time"

	"spate/peerwire"
	"spate/torrent/internal/choker"
	"spate/torrent/internal/superseed"
)

// Package superseed makes the decisions of super-seeding (BEP 16). The functions in this
// file tell it what happens to the connections of a torrent, and send the have messages
// that it decides on. Torrent.mu guards all of it.

// maySuperSeedLocked reports whether the torrent has every piece and may super-seed. A torrent
// in two swarms may not, because a piece that it sends in one need not reach the other.
func (t *Torrent) maySuperSeedLocked() bool {
	return t.status.state == StateSeeding && !t.opt.PlainSeed && t.twin.Load() == nil && t.pick.HaveCount() == t.info.NumPieces()
}

// firstCopyMost limits how many times its size a torrent sends as a first copy. Peers that
// leave before they announce their last pieces, or that hide pieces, do not keep it before other
// torrents.
const firstCopyMost = 1.25

// sendsFirstCopyLocked reports whether the torrent seeds and its peers do not have all of it yet.
// Its blocks then go before those of torrents whose peers can help each other.
func (t *Torrent) sendsFirstCopyLocked() bool {
	return t.status.state == StateSeeding && float64(t.count.uploaded.Load()) < firstCopyMost*float64(t.info.TotalLength()) && !t.super.Spread()
}

// foundSeeds tells the super-seeder if a tracker counts another seed. complete is the
// tracker's count of the seeds, which includes this side.
func (t *Torrent) foundSeeds(complete int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.status.state == StateSeeding && complete > 1 {
		t.sawSeedLocked(time.Now())
	}
}

// sawSeedLocked tells the super-seeder that another seed was seen. If this side has sent as much as
// the torrent, the seed may be a peer that completed its download here and connects again.
func (t *Torrent) sawSeedLocked(now time.Time) {
	if t.downloadedNothingLocked() && t.count.uploaded.Load() >= t.info.TotalLength() {
		t.super.Completed(now)
	} else {
		t.super.OtherSeed(now)
	}
}

// completedLocked tells the super-seeder that a connected peer now has every piece. For a torrent
// that has downloaded pieces itself, this is a seed like any other, because it is not the first seed.
func (t *Torrent) completedLocked(now time.Time) {
	if t.downloadedNothingLocked() {
		t.super.Completed(now)
	} else {
		t.super.OtherSeed(now)
	}
}

// downloadedNothingLocked reports whether the torrent seeds data that did not come from its swarm.
func (t *Torrent) downloadedNothingLocked() bool {
	return t.status.state == StateSeeding && t.count.downloaded.Load() == 0
}

// hidesPiecesLocked decides, when a peer joins, whether it is shown pieces one by one
// instead of being told which pieces we have.
func (c *conn) hidesPiecesLocked(now time.Time) bool {
	t := c.t
	return t.super.Join(superseed.Joining{
		ID: c.id, Connected: c.peer.since, Complete: t.maySuperSeedLocked(),
	}, now)
}

// readyLocked shows pieces to a peer that has sent a bitfield or an extension handshake.
func (c *conn) readyLocked() {
	c.t.super.Ready(c.id)
	c.showPiecesLocked()
}

// hasPieceLocked tells the super-seeder that a peer has a piece, and shows the peer more
// pieces.
func (c *conn) hasPieceLocked(piece uint32) {
	if c.t.super.Has(c.id, piece, time.Now()) {
		c.chokeLocked()
	}
	c.showPiecesLocked()
}

// writtenLocked tells the super-seeder which blocks the writer has written to the peer. The
// writer calls it before it takes the next blocks.
func (c *conn) writtenLocked(blocks []upload) {
	t := c.t
	if c.end.gone || !t.super.Active() {
		return // another peer may have the handle of a connection that is gone
	}
	t.super.Writing(c.id, 0)
	for i := 0; i < len(blocks); {
		piece, n := blocks[i].piece, int64(0)
		for i < len(blocks) && blocks[i].piece == piece {
			n += int64(blocks[i].length)
			i++
		}
		if t.super.Written(c.id, piece, n) && t.pick.PeerHave(c.id, int(piece)) {
			c.wire.sent.add(int(piece), t.info.NumPieces())
			c.sentWholeLocked(piece)
			c.hasPieceLocked(piece)
		}
	}
	if len(blocks) > 0 && len(c.tx.uploads) == 0 && !c.wire.amChoking {
		t.super.Drained(c.id, c.upRateLocked(time.Now()))
		c.showPiecesLocked()
	}
}

// upRateLocked returns the rate to the peer in bytes a second. The meter measures over
// seconds, so the rate of a peer that was just unchoked is computed from the bytes that it has
// acknowledged since.
func (c *conn) upRateLocked(now time.Time) float64 {
	since := now.Sub(c.tx.unchokedAt)
	if since > 2*time.Second {
		return c.tx.meter.rate
	}
	unacked, known := c.sock.Unacked()
	if !known {
		return c.tx.meter.rate
	}
	n := c.sent.Load() - c.slot.sentAtUnchoke - int64(unacked)
	return max(c.tx.meter.rate, float64(n)/max(since, time.Millisecond).Seconds())
}

// showPiecesLocked shows the peer the pieces that it may ask for next.
func (c *conn) showPiecesLocked() {
	if !c.t.super.Hides(c.id) {
		return
	}
	now := time.Now()
	pieces, retry := c.t.super.Show(c.id, superseed.Link{
		Choked: c.wire.amChoking, Queued: len(c.tx.uploads), Rate: c.upRateLocked(now), Unacked: c.sock.Unacked,
	}, now)
	c.appendHavesLocked(pieces)
	if retry > 0 {
		time.AfterFunc(retry, c.showPiecesAgain)
	}
}

// showPiecesAgain shows more pieces to a peer that was still receiving blocks at the last
// try.
func (c *conn) showPiecesAgain() {
	c.t.mu.Lock()
	defer c.t.mu.Unlock()
	if !c.end.gone {
		c.t.super.Retry(c.id)
		c.showPiecesLocked()
		c.kickLocked()
	}
}

func (c *conn) appendHavesLocked(pieces []uint32) {
	for _, piece := range pieces {
		c.tx.control = peerwire.AppendIndexed(c.tx.control, peerwire.Have, piece)
	}
}

// tickSuperSeedLocked ends super-seeding when it is of no more use, shows pieces, and sends
// have messages for hidden pieces to the peers that may now know all pieces.
func (t *Torrent) tickSuperSeedLocked(now time.Time) {
	if !t.super.Active() {
		return
	}
	t.super.Tick(t.peerConns.n, t.maySuperSeedLocked(), now)
	for _, c := range t.peerConns.byID {
		if c != nil && !c.end.gone {
			t.super.SetKeeps(c.id, c.proof.claims || c.keepsLocked(now))
			c.showPiecesLocked()
			c.appendHavesLocked(t.super.Rest(c.id))
		}
	}
}

// sentWholeLocked records that a whole piece was sent to the peer.
func (c *conn) sentWholeLocked(piece uint32) {
	t := c.t
	if t.passedOn == nil {
		t.passedOn = choker.NewPassedOn(t.info.PieceLength)
	}
	now := time.Now()
	t.passedOn.Sent(uint32(c.id), piece, t.super.Alone(c.id, int(piece)), now)
	if bytes.Equal(c.peer.id[:3], t.s.opt.PeerID[:3]) { // spate unchokes others within a second
		t.passedOn.SetPrompt(uint32(c.id), now)
	}
}

// keepsLocked reports whether the peer passes on nothing. It is false for a peer that may pass
// pieces on to the other swarm of a release, because this swarm sees nothing of that.
func (c *conn) keepsLocked(now time.Time) bool {
	o, t := c.t.passedOn, c.t
	return o != nil && !(c.ext.carries && t.super.FeedsOtherSwarm()) && o.Keeps(uint32(c.id), now)
}

// announcedLocked records that the peer has announced a piece that was not sent to it as a whole.
func (c *conn) announcedLocked(piece uint32) {
	now := time.Now()
	if o := c.t.passedOn; o != nil {
		o.Has(uint32(c.id), piece, now)
	}
	c.passedLocked(piece, now)
}
