package torrent

import (
	"cmp"
	"context"
	"slices"
	"time"

	"spate/internal/webseed"
	"spate/torrent/internal/picker"
)

// webConn is a connection to a web seed. It picks a run of pieces, reads the run block by
// block, and handles each block as a connection to a peer does.
type webConn struct {
	t      *Torrent
	seed   *webSeed
	id     picker.PeerID
	ctx    context.Context
	cancel context.CancelFunc
	blocks []picker.Block // blocks of the run that is being read
	began  time.Time      // when the run was picked
	got    int64          // bytes of the run that have arrived
	buf    []byte
	server *webseed.Conn
	whole  bool // some files are read from their beginning, because the server has no ranges
}

// joinLocked adds the connection to its torrent. The caller has reserved a connection of
// the session.
func (c *webConn) joinLocked() {
	t := c.t
	c.server = t.s.web.Connect(c.ctx, c.seed.src)
	now := time.Now()
	have, whole := t.webPiecesLocked(c.seed, now)
	for _, file := range whole {
		c.server.ReadWhole(file)
	}
	c.whole = len(whole) > 0
	c.server.SetPatient(t.webAloneLocked(c.seed, now))
	c.seed.conns[c] = true
	t.web.conns++
	t.pick.PeerJoined(c.id, have)
}

// leaveLocked removes the connection from its torrent.
func (c *webConn) leaveLocked() {
	t := c.t
	c.cancel()
	c.server.Close()
	t.pick.PeerLeft(c.id)
	t.peerConns.retired = append(t.peerConns.retired, retiredPeer{id: c.id, key: c.seed.key})
	delete(c.seed.conns, c)
	t.web.conns--
	t.s.hungUp()
}

// run reads pieces until none can be picked, web seeds are not needed any more, or the
// server fails.
func (c *webConn) run() {
	t := c.t
	c.buf = make([]byte, picker.BlockSize)
	err := c.fetch()
	for err == nil && c.next() {
		err = c.fetch()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil && c.ctx.Err() == nil {
		c.seed.failedLocked(t, time.Now(), err)
	}
	c.leaveLocked()
	t.refillOthersLocked()
}

// next picks another run. It returns false if web seeds are not needed or nothing can be
// picked.
func (c *webConn) next() bool {
	t := c.t
	t.mu.Lock()
	defer t.mu.Unlock()
	if c.ctx.Err() != nil || t.status.state != StateDownloading {
		return false
	}
	c.seed.workedLocked(time.Now())
	if !t.web.use.on {
		return false
	}
	c.pickLocked()
	return len(c.blocks) > 0
}

// pickLocked picks a run of pieces, or a part of a long piece. If it can, the run begins where
// the last one ended.
func (c *webConn) pickLocked() {
	t := c.t
	blocksPerPiece := int((t.info.PieceLength + picker.BlockSize - 1) / picker.BlockSize)
	// At most an eighth of the buffers, and at most this connection's share of the blocks
	// that are not requested.
	n := min(webRun/picker.BlockSize, t.pieces.mostOpen/(2*maxWebConns)*blocksPerPiece, t.pick.Unrequested()/t.web.conns)
	n = max(1, n/blocksPerPiece) * blocksPerPiece
	c.began, c.got = time.Now(), 0
	late := t.otherWebConnsLateLocked(c)
	n = min(n, webRun/picker.BlockSize) // a longer piece takes several requests, so that a failure costs only one of them
	c.blocks = t.pick.Pick(c.blocks[:0], c.id, n, picker.PickOptions{
		WholePieces: true, Adjacent: !c.whole, Sequential: t.opt.Sequential || c.whole,
		// Two web seeds send the same block only if one of them is late.
		Endgame: late, UrgentTwice: late && len(t.selection.readers) > 0,
	})
	slices.SortFunc(c.blocks, func(a, b picker.Block) int {
		return cmp.Or(cmp.Compare(a.Piece, b.Piece), cmp.Compare(a.Begin, b.Begin))
	})
}

// Assumptions about a web seed that is late.
const (
	webLateAfter = 10 * time.Second // how long a connection may take for a run before it can be late
	webLateRest  = 30 * time.Second // how long the rest of the run takes a connection that is late
	webLateRatio = 4                // how much slower a late connection is than the other
)

// otherWebConnsLateLocked reports whether all other connections to web seeds are late: the
// rest of their runs takes them long, and c is much faster. It is true if there is no other.
func (t *Torrent) otherWebConnsLateLocked(c *webConn) bool {
	for _, s := range t.web.seeds {
		for o := range s.conns {
			if o != c && !o.laterThanLocked(c.seed.meter.rate) {
				return false
			}
		}
	}
	return true
}

// laterThanLocked reports whether the connection is late, compared with a rate in bytes a
// second. A rate of 0 is not known.
func (c *webConn) laterThanLocked(rate float64) bool {
	took := time.Since(c.began)
	mine := float64(c.got) / max(took.Seconds(), 1)
	rest := float64(c.t.pick.PendingOf(c.id) * picker.BlockSize)
	return took >= webLateAfter && rest > mine*webLateRest.Seconds() && (rate == 0 || mine*webLateRatio < rate)
}

// fetch reads the picked blocks, with one request for each contiguous range of them.
func (c *webConn) fetch() error {
	for rest := c.blocks; len(rest) > 0 && c.pending(); {
		first := c.offset(rest[0])
		n, end := 0, first
		for n < len(rest) && c.offset(rest[n]) == end {
			end += int64(rest[n].Length)
			n++
		}
		if err := c.fetchRange(rest[:n], first, end-first); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

// pending reports whether blocks are outstanding. Peers may have sent all of them.
func (c *webConn) pending() bool {
	c.t.mu.Lock()
	defer c.t.mu.Unlock()
	return c.t.pick.PendingOf(c.id) > 0
}

// offset returns where a block begins in the byte space of the torrent.
func (c *webConn) offset(b picker.Block) int64 {
	return int64(b.Piece)*c.t.info.PieceLength + int64(b.Begin)
}

// fetchRange reads contiguous blocks: n bytes from off.
func (c *webConn) fetchRange(blocks []picker.Block, off, n int64) error {
	r := c.server.Open(off, n)
	defer r.Close()
	for _, b := range blocks {
		data := c.buf[:b.Length]
		if err := r.Fill(data); err != nil {
			return err
		}
		if err := c.t.down.Wait(c.ctx, len(data)); err != nil {
			return err
		}
		if err := c.t.s.down.Wait(c.ctx, len(data)); err != nil {
			return err
		}
		if !c.arrived(b, data) {
			return nil
		}
	}
	return nil
}

// arrived handles a block that was read; see steps 3 to 6 in conn.go. It returns false if
// no more blocks are needed, because others have sent them or the torrent has halted.
func (c *webConn) arrived(b picker.Block, data []byte) (more bool) {
	t := c.t
	n := int64(len(data))
	t.count.downloaded.Add(n)
	t.s.carried.down.Add(n)
	t.mu.Lock()
	c.seed.received += n
	t.web.received += n
	c.got += n
	if c.ctx.Err() != nil || t.status.state != StateDownloading {
		t.mu.Unlock()
		return false
	}
	claim := t.pick.Claim(b, c.id)
	more = t.pick.PendingOf(c.id) > 0
	if claim != picker.Fresh {
		t.mu.Unlock()
		t.count.wasted.Add(n)
		return more
	}
	c.seed.fails, c.seed.faultsInRow = 0, 0 // a server that sends data before it fails is asked again soon
	c.seed.fileWorkedLocked(t, c.offset(b), n)
	slot := t.pick.Slot(int(b.Piece))
	buf := t.pieceBufLocked(slot)
	t.mu.Unlock()

	copy(buf[b.Begin:], data)

	t.mu.Lock()
	complete, others := t.pick.Arrived(b, c.id)
	for _, id := range others {
		if o := t.peerConns.byID[id]; o != nil {
			o.cancelLocked(b)
		}
	}
	t.mu.Unlock()
	if complete {
		t.finishPiece(completePiece{int(b.Piece), buf[:t.info.PieceSize(int(b.Piece))]})
	}
	return more
}
