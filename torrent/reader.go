package torrent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"spate/torrent/internal/picker"
)

// ErrNotWanted is the error for reading what is not there and not wanted: see
// [Torrent.SetPriority].
var ErrNotWanted = errors.New("torrent: the file is not wanted")

// defaultReadahead is how many bytes beyond the next read a [Reader] has fetched
// before all else, and at least two pieces.
const defaultReadahead = 8 << 20

// readerPatience is how long a reader waits before blocks are taken from slow
// peers.
const readerPatience = time.Second

// Reader reads one file of a torrent while it downloads. Where data is missing it
// waits, and what is to be read next is fetched before all else. It implements
// [io.ReadSeekCloser], and so serves [net/http.ServeContent].
//
// A Reader is for one goroutine at a time, but for Close, which may be called
// from any. There may be many of them: they share what can be fetched first.
type Reader struct {
	t      *Torrent
	ctx    context.Context
	cancel context.CancelCauseFunc
	path   string
	base   int64 // where the file begins in the byte space
	length int64
	pos    int64
	ahead  atomic.Int64

	// The pieces to be fetched first; none while last < first. Guarded by t.mu.
	first, last int
	waits       time.Time // since when a read waits for the first of them; zero: none does
}

// errReaderClosed is why a Reader does not wait any more.
var errReaderClosed = errors.New("torrent: the reader is closed")

// NewReader returns a reader of a file, by its index in the metainfo. When ctx is
// done, a read that waits returns its cause. The caller closes the reader.
//
// Reading what is missing fails with [ErrNotWanted] where the file is not wanted,
// with the reason when the torrent is halted, and with [ErrClosed] once it is
// removed or the session has ended.
func (t *Torrent) NewReader(ctx context.Context, file int) (*Reader, error) {
	if file < 0 || file >= len(t.info.Files) {
		return nil, fmt.Errorf("torrent: %s has no file %d", t.name, file)
	}
	f := &t.info.Files[file]
	if f.IsSymlink() {
		return nil, fmt.Errorf("torrent: file %d of %s is a symbolic link", file, t.name)
	}
	r := &Reader{t: t, path: f.DisplayPath(), base: f.Offset, length: f.Length, last: -1}
	r.ctx, r.cancel = context.WithCancelCause(ctx)
	r.ahead.Store(defaultReadahead)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.readers = append(t.readers, r)
	r.moveLocked()
	return r, nil
}

// Size returns the length of the file in bytes.
func (r *Reader) Size() int64 { return r.length }

// SetReadahead sets how many bytes beyond what is read are fetched before all
// else; it is rounded up to whole pieces. The default is 8 MiB, or two pieces.
func (r *Reader) SetReadahead(n int64) {
	r.ahead.Store(max(0, n))
	r.t.mu.Lock()
	defer r.t.mu.Unlock()
	r.moveLocked()
}

// Close ends the reader and a read that waits.
func (r *Reader) Close() error {
	r.cancel(errReaderClosed)
	t := r.t
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, o := range t.readers {
		if o == r {
			t.readers = append(t.readers[:i], t.readers[i+1:]...)
			t.updateUrgentLocked()
			break
		}
	}
	return nil
}

// Seek implements [io.Seeker]. Beyond the end is allowed, and reads as the end.
func (r *Reader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		offset += r.pos
	case io.SeekEnd:
		offset += r.length
	default:
		return 0, fmt.Errorf("torrent: seek: whence %d", whence)
	}
	if offset < 0 {
		return 0, errors.New("torrent: seek before the beginning")
	}
	r.t.mu.Lock()
	defer r.t.mu.Unlock()
	r.pos = offset
	r.moveLocked()
	return offset, nil
}

// Read implements [io.Reader]: it returns what is verified, at least a byte, and
// waits as long as there is nothing.
func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if r.pos >= r.length {
		return 0, io.EOF
	}
	n, err := r.await(min(int64(len(p)), r.length-r.pos))
	if err != nil {
		return 0, err
	}
	at := r.base + r.pos
	got := 0
	err = r.t.s.onDisk(func() error {
		got, err = r.t.store.ReadAt(p[:n], at)
		return err
	})
	r.pos += int64(got)
	return got, err
}

// await returns how many of the n bytes that come next are verified, at least
// one.
func (r *Reader) await(n int64) (int64, error) {
	t := r.t
	for {
		t.mu.Lock()
		r.moveLocked()
		if have := r.haveLocked(n); have > 0 {
			r.waits = time.Time{}
			t.mu.Unlock()
			return have, nil
		}
		if r.waits.IsZero() {
			r.waits = time.Now()
		}
		err := r.hopelessLocked()
		wake := t.nextEventLocked()
		t.mu.Unlock()
		if err != nil {
			return 0, err
		}
		select {
		case <-wake:
		case <-r.ctx.Done():
			return 0, context.Cause(r.ctx)
		case <-t.ctx.Done():
			return 0, ErrClosed
		}
	}
}

// haveLocked returns how many of the n bytes that come next are verified.
func (r *Reader) haveLocked(n int64) int64 {
	if r.ctx.Err() != nil {
		return 0
	}
	t := r.t
	at, end := r.base+r.pos, r.base+r.pos+n
	for at < end && t.pick.Have(int(at/t.info.PieceLength)) {
		at = (at/t.info.PieceLength + 1) * t.info.PieceLength
	}
	return min(at, end) - r.base - r.pos
}

// hopelessLocked says why nothing can be waited for.
func (r *Reader) hopelessLocked() error {
	t := r.t
	switch {
	case r.ctx.Err() != nil:
		return context.Cause(r.ctx)
	case t.err != nil:
		return t.err
	case t.state == StateChecking, t.state == StateStopped, t.blindLocked():
		return nil // what is here, or wanted, is not known yet
	case t.pick.Priority(int((r.base+r.pos)/t.info.PieceLength)) == 0:
		return fmt.Errorf("%w: %s", ErrNotWanted, r.path)
	}
	return nil
}

// moveLocked sets the pieces to be fetched first by where the reader stands.
func (r *Reader) moveLocked() {
	first, last := 0, -1
	if r.pos < r.length && r.ctx.Err() == nil {
		at := r.base + r.pos
		ahead := r.ahead.Load()
		if ahead == defaultReadahead {
			ahead = max(ahead, 2*r.t.info.PieceLength)
		}
		end := min(r.base+r.length, at+1+ahead)
		first, last = int(at/r.t.info.PieceLength), int((end-1)/r.t.info.PieceLength)
		last = min(last, first+picker.MaxUrgent-1)
	}
	if first != r.first || last != r.last {
		r.first, r.last = first, last
		r.t.updateUrgentLocked()
	}
}

// updateUrgentLocked tells the picker what is to be fetched first: the piece that
// each reader needs next, then the one after it, and so on.
func (t *Torrent) updateUrgentLocked() {
	if t.pick == nil || len(t.readers) == 0 && !t.urgentSet {
		return
	}
	t.urgentSet = len(t.readers) > 0
	var urgent []int
	for d, more := 0, true; more && len(urgent) < picker.MaxUrgent; d++ {
		more = false
		for _, r := range t.readers {
			if p := r.first + d; p <= r.last {
				more = true
				if !t.pick.Have(p) && len(urgent) < picker.MaxUrgent {
					urgent = append(urgent, p)
				}
			}
		}
	}
	t.pick.SetUrgent(urgent)
	if len(urgent) > 0 {
		t.refillOthersLocked()
	}
}

// relieveReadersLocked takes blocks that readers wait for away from peers that are
// much slower than others. What those peers send all the same is welcome.
func (t *Torrent) relieveReadersLocked(now time.Time) {
	gave := false
	for _, r := range t.readers {
		if r.waits.IsZero() || now.Sub(r.waits) < readerPatience || r.last < r.first || t.pick.Slot(r.first) < 0 {
			continue
		}
		for _, c := range t.conns {
			if c == nil || !c.tooSlowLocked() {
				continue
			}
			for n := range t.pick.BlocksOf(r.first) {
				gave = t.pick.Abandon(t.pick.BlockAt(r.first, n), c.id) || gave
			}
		}
	}
	if gave {
		t.refillOthersLocked()
	}
}

// tooSlowLocked reports whether a reader would wait for this peer longer than for
// others: whoever gives less than a tenth of what the fastest gives is not asked
// for what is needed first.
func (c *conn) tooSlowLocked() bool {
	if len(c.t.readers) == 0 {
		return false
	}
	best := 0.0
	for _, o := range c.t.conns {
		if o != nil {
			best = max(best, o.downMeter.rate)
		}
	}
	return c.downMeter.rate > 0 && c.downMeter.rate < best/10
}

// SetSequential asks for the pieces in order from now on, or no longer.
func (t *Torrent) SetSequential(on bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.opt.Sequential = on
}
