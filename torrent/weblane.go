package torrent

import (
	"cmp"
	"context"
	"slices"
	"time"

	"spate/torrent/internal/picker"
)

// webLane is one connection to a web seed. It picks a run of pieces, reads it
// block by block, and does with each block what a connection to a peer does.
type webLane struct {
	t      *Torrent
	seed   *webSeed
	id     picker.PeerID
	ctx    context.Context
	cancel context.CancelFunc
	blocks []picker.Block // of the run that is being read
	buf    []byte
}

// joinLocked enters the lane into its torrent. The caller has reserved a place for a
// connection.
func (l *webLane) joinLocked() {
	l.seed.lanes[l] = true
	l.t.web.lanes++
	l.t.pick.SeedJoined(l.id)
}

// leaveLocked takes the lane out of its torrent.
func (l *webLane) leaveLocked() {
	t := l.t
	l.cancel()
	t.pick.PeerLeft(l.id)
	t.retired = append(t.retired, retiredPeer{l.id, l.seed.name})
	delete(l.seed.lanes, l)
	t.web.lanes--
	t.s.hungUp()
}

// run works until nothing is to be had or the server fails.
func (l *webLane) run() {
	t := l.t
	l.buf = make([]byte, picker.BlockSize)
	err := l.fetch()
	for err == nil && l.next() {
		err = l.fetch()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil && l.ctx.Err() == nil {
		l.seed.failedLocked(t, time.Now(), err)
	}
	l.leaveLocked()
	t.refillOthersLocked()
}

// next picks another run, if web seeds are still needed.
func (l *webLane) next() bool {
	t := l.t
	t.mu.Lock()
	defer t.mu.Unlock()
	if l.ctx.Err() != nil || t.state != StateDownloading {
		return false
	}
	l.seed.proven, l.seed.fails, l.seed.err = true, 0, nil
	if !t.web.need.on {
		return false
	}
	l.pickLocked()
	return len(l.blocks) > 0
}

// pickLocked picks a run of pieces, which goes on where the last one ended if it
// can.
func (l *webLane) pickLocked() {
	t := l.t
	each := int((t.info.PieceLength + picker.BlockSize - 1) / picker.BlockSize)
	// No more than an eighth of the buffers, and near the end no more than a share.
	n := min(webRun/picker.BlockSize, len(t.bufs)/(2*webLanes)*each, t.pick.Unrequested()/t.web.lanes)
	n = max(1, n/each) * each
	l.blocks = t.pick.Pick(l.blocks[:0], l.id, n, picker.PickOptions{
		WholePieces: true, Adjacent: true, Sequential: t.opt.Sequential,
		Endgame: t.web.lanes == 1, // lanes do not race each other
	})
	slices.SortFunc(l.blocks, func(a, b picker.Block) int {
		return cmp.Or(cmp.Compare(a.Piece, b.Piece), cmp.Compare(a.Begin, b.Begin))
	})
}

// fetch reads the blocks that were picked, by one request for each run of them
// that has no gaps.
func (l *webLane) fetch() error {
	for rest := l.blocks; len(rest) > 0 && l.awaited(); {
		first := l.at(rest[0])
		n, end := 0, first
		for n < len(rest) && l.at(rest[n]) == end {
			end += int64(rest[n].Length)
			n++
		}
		if err := l.fetchRun(rest[:n], first, end-first); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

// awaited reports whether anything is outstanding: peers may have sent all of it.
func (l *webLane) awaited() bool {
	l.t.mu.Lock()
	defer l.t.mu.Unlock()
	return l.t.pick.PendingOf(l.id) > 0
}

// at is where a block lies in the byte space.
func (l *webLane) at(b picker.Block) int64 {
	return int64(b.Piece)*l.t.info.PieceLength + int64(b.Begin)
}

// fetchRun reads blocks that follow each other: n bytes from off.
func (l *webLane) fetchRun(blocks []picker.Block, off, n int64) error {
	r := l.t.s.web.Open(l.ctx, l.seed.src, off, n)
	defer r.Close()
	for _, b := range blocks {
		data := l.buf[:b.Length]
		if err := r.Fill(data); err != nil {
			return err
		}
		if err := l.t.down.Wait(l.ctx, len(data)); err != nil {
			return err
		}
		if err := l.t.s.down.Wait(l.ctx, len(data)); err != nil {
			return err
		}
		if !l.arrived(b, data) {
			return nil
		}
	}
	return nil
}

// arrived takes a block that was read: steps 3 to 6 of a connection's way. It
// returns false when nothing more is needed: others may have sent the rest, or the
// torrent has halted.
func (l *webLane) arrived(b picker.Block, data []byte) (more bool) {
	t := l.t
	n := int64(len(data))
	t.downloaded.Add(n)
	t.mu.Lock()
	l.seed.received += n
	t.web.received += n
	if l.ctx.Err() != nil || t.state != StateDownloading {
		t.mu.Unlock()
		return false
	}
	claim := t.pick.Claim(b, l.id)
	more = t.pick.PendingOf(l.id) > 0
	if claim != picker.Fresh {
		t.mu.Unlock()
		t.wasted.Add(n)
		return more
	}
	l.seed.fails = 0 // what it gives before it fails counts
	slot := t.pick.Slot(int(b.Piece))
	buf := t.pieceBufLocked(slot)
	t.mu.Unlock()

	copy(buf[b.Begin:], data)

	t.mu.Lock()
	complete, others := t.pick.Arrived(b, l.id)
	for _, id := range others {
		if c := t.conns[id]; c != nil {
			c.cancelLocked(b)
		}
	}
	t.mu.Unlock()
	if complete {
		t.finishPiece(completePiece{int(b.Piece), buf[:t.info.PieceSize(int(b.Piece))]})
	}
	return more
}
