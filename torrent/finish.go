package torrent

import (
	"crypto/sha1"
	"time"

	"spate/internal/lanes"
)

// What becomes of the pieces that a connection completes:
//
//  1. awaitPair   while they come fast, the first waits a moment for the second:
//     two are hashed together in little more time than one
//  2. finishPair  a helper takes both, if a processor may be free for it, so that
//     the reader goes on reading; otherwise the reader finishes them itself. A
//     connection has one helper at most, so that a slow disk holds back the peer
//  3. finish      hash, write, say so

// piecesAtOnce is how many complete pieces are hashed together.
const piecesAtOnce = 2

// longestPairWait bounds how long a piece waits for a second one.
const longestPairWait = 20 * time.Millisecond

// finishing is what a connection has for the pieces that it completes. All but the
// helper's finisher is the reader's.
type finishing struct {
	own    finisher
	helper chan *finisher // holds the helper's while there is no helper
	last   time.Time      // when a piece became whole last
	gap    time.Duration  // since the one before
	waits  bool           // one waits for a second, and the socket has a deadline for that
}

// finisher finishes pieces. It belongs to one goroutine at a time.
type finisher struct {
	whole   []wholePiece
	digests [piecesAtOnce]lanes.SHA1
	sums    [piecesAtOnce]*lanes.SHA1
	parts   [piecesAtOnce][]byte
}

// completed notes that a piece is whole.
func (c *conn) completed(w wholePiece) {
	if c.fin == nil {
		c.fin = &finishing{helper: make(chan *finisher, 1)}
		c.fin.helper <- &finisher{}
	}
	now := time.Now()
	c.fin.gap, c.fin.last = now.Sub(c.fin.last), now
	c.whole = append(c.whole, w)
}

// awaitPair reports whether the piece that is whole should wait for the next one:
// the last two came so fast that it will be here soon. The wait for the socket then
// ends by itself if it is not. The reader calls it when the socket is empty.
func (c *conn) awaitPair() bool {
	f := c.fin
	if len(c.whole) != 1 || f.gap > longestPairWait/2 {
		return false
	}
	if !f.waits {
		f.waits = true
		c.nc.SetReadDeadline(f.last.Add(min(longestPairWait, 4*f.gap)))
	}
	return !c.closing.Load() // after the deadline was set: it may have replaced hangUp's
}

// pairTimeout is called when the wait for the socket has ended by a deadline. It
// finishes what waited for a second piece in vain, and reports whether the
// connection goes on.
func (c *conn) pairTimeout() bool {
	if c.fin == nil {
		return false
	}
	c.finishWhole()
	c.nc.SetReadDeadline(time.Time{})
	return !c.closing.Load()
}

// finishPair hands the complete pieces to the connection's helper, once that has
// nothing else to do, or finishes them itself if there are helpers enough.
func (c *conn) finishPair() {
	t := c.t
	f := <-c.fin.helper
	select {
	case t.s.helpers <- struct{}{}:
	default:
		c.fin.helper <- f
		c.finishWhole()
		return
	}
	f.whole, c.whole = c.whole, f.whole[:0]
	c.fin.waits = false
	go func() {
		f.finish(t)
		<-t.s.helpers
		c.fin.helper <- f
	}()
}

// finishWhole finishes the pieces that the connection completed.
func (c *conn) finishWhole() {
	if len(c.whole) == 0 {
		return
	}
	f := &c.fin.own
	c.fin.waits = false
	f.whole, c.whole = c.whole, f.whole[:0]
	f.finish(c.t)
}

// awaitHelper returns when no helper is at work any more.
func (c *conn) awaitHelper() {
	if c.fin != nil {
		c.fin.helper <- <-c.fin.helper
	}
}

// finish hashes the pieces while they are warm, a few at a time, writes them, and
// says so.
func (f *finisher) finish(t *Torrent) {
	for all := f.whole; len(all) > 0; {
		few := all[:min(len(all), piecesAtOnce)]
		all = all[len(few):]
		if t.info.HasV1() {
			for i, w := range few {
				f.digests[i].Reset()
				f.sums[i], f.parts[i] = &f.digests[i], w.data
			}
			lanes.WriteSHA1(f.sums[:len(few)], f.parts[:len(few)])
		}
		for i, w := range few {
			var sum [sha1.Size]byte
			if t.info.HasV1() {
				sum = f.digests[i].Sum()
			}
			t.finishSummed(w, sum)
		}
	}
	clear(f.whole)
	clear(f.parts[:])
	f.whole = f.whole[:0]
}
