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

// ErrNotWanted is the error for reading missing data of a file that is not wanted; see
// [Torrent.SetPriority].
var ErrNotWanted = errors.New("torrent: the file is not wanted")

// defaultReadahead is the number of bytes after the position of a [Reader] that are
// downloaded first, at least two pieces.
const defaultReadahead = 8 << 20

// readerPatience is how long a reader waits for a piece before the blocks that were
// requested from slow peers are requested from other peers.
const readerPatience = time.Second

// Reader reads one file of a torrent while the torrent downloads. It waits for missing data,
// and the data that follows its position is downloaded first. It implements
// [io.ReadSeekCloser], as [net/http.ServeContent] needs it.
//
// Only one goroutine at a time may use a Reader, except for Close, which any goroutine may
// call. A torrent can have many readers, whose pieces are downloaded in turn.
type Reader struct {
	t      *Torrent
	ctx    context.Context
	cancel context.CancelCauseFunc
	path   string
	base   int64 // where the file begins in the byte space
	length int64
	pos    int64
	ahead  atomic.Int64

	// Guarded by t.mu.
	first, last  int       // the pieces to download first; none if last < first
	waitingSince time.Time // when a read began to wait for the first piece; zero while no read waits
}

// errReaderClosed is the error of a waiting read when the reader is closed.
var errReaderClosed = errors.New("torrent: the reader is closed")

// NewReader returns a reader of the file with an index in the metainfo. When ctx is done, a
// read that waits returns the cause of ctx. The caller must close the reader.
//
// Reading missing data fails with [ErrNotWanted] if the file is not wanted, with the error
// of the torrent if it has halted, and with [ErrClosed] if it was removed or the session is
// closed.
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
	t.selection.readers = append(t.selection.readers, r)
	r.moveLocked()
	return r, nil
}

// Size returns the length of the file in bytes.
func (r *Reader) Size() int64 { return r.length }

// SetReadahead sets how many bytes after the position are downloaded first, rounded up to
// whole pieces. The default is 8 MiB, and at least two pieces.
func (r *Reader) SetReadahead(n int64) {
	r.ahead.Store(max(0, n))
	r.t.mu.Lock()
	defer r.t.mu.Unlock()
	r.moveLocked()
}

// Close closes the reader. A read that waits returns an error.
func (r *Reader) Close() error {
	r.cancel(errReaderClosed)
	t := r.t
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, o := range t.selection.readers {
		if o == r {
			t.selection.readers = append(t.selection.readers[:i], t.selection.readers[i+1:]...)
			t.updateUrgentLocked()
			break
		}
	}
	return nil
}

// Seek implements [io.Seeker]. At a position beyond the end, Read returns [io.EOF].
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

// Read implements [io.Reader]. It waits until at least one byte is verified, and returns the
// verified bytes.
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
		got, err = r.t.data.store.ReadAt(p[:n], at)
		return err
	})
	r.pos += int64(got)
	return got, err
}

// await waits until at least one of the next n bytes is verified, and returns how many are.
func (r *Reader) await(n int64) (int64, error) {
	t := r.t
	for {
		t.mu.Lock()
		r.moveLocked()
		if have := r.haveLocked(n); have > 0 {
			r.waitingSince = time.Time{}
			t.mu.Unlock()
			return have, nil
		}
		if r.waitingSince.IsZero() {
			r.waitingSince = time.Now()
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
		case <-t.life.ctx.Done():
			return 0, ErrClosed
		}
	}
}

// haveLocked returns how many of the next n bytes are verified.
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

// hopelessLocked returns an error if the next byte will not arrive.
func (r *Reader) hopelessLocked() error {
	t := r.t
	switch {
	case r.ctx.Err() != nil:
		return context.Cause(r.ctx)
	case t.status.err != nil:
		return t.status.err
	case t.status.state == StateChecking, t.status.state == StateStopped, t.blindLocked():
		return nil // it is not known yet which pieces are on disk or wanted
	case t.pick.Priority(int((r.base+r.pos)/t.info.PieceLength)) == 0:
		return fmt.Errorf("%w: %s", ErrNotWanted, r.path)
	}
	return nil
}

// moveLocked sets the pieces to download first from the position of the reader.
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

// updateUrgentLocked tells the picker which pieces to download first: the next piece of each
// reader, then the one after it, and so on.
func (t *Torrent) updateUrgentLocked() {
	if t.pick == nil || len(t.selection.readers) == 0 && !t.selection.urgentSet {
		return
	}
	t.selection.urgentSet = len(t.selection.readers) > 0
	var urgent []int
	for d, more := 0, true; more && len(urgent) < picker.MaxUrgent; d++ {
		more = false
		for _, r := range t.selection.readers {
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

// relieveReadersLocked frees the blocks that readers wait for and that were requested from
// much slower peers, so that they are requested from others. Blocks that the slow peers
// still send are used.
func (t *Torrent) relieveReadersLocked(now time.Time) {
	freed := false
	for _, r := range t.selection.readers {
		if r.waitingSince.IsZero() || now.Sub(r.waitingSince) < readerPatience || r.last < r.first || t.pick.Slot(r.first) < 0 {
			continue
		}
		for _, c := range t.peerConns.byID {
			if c == nil || !c.tooSlowLocked() {
				continue
			}
			for n := range t.pick.BlocksOf(r.first) {
				freed = t.pick.Abandon(t.pick.BlockAt(r.first, n), c.id) || freed
			}
		}
	}
	if freed {
		t.refillOthersLocked()
	}
}

// tooSlowLocked reports whether the peer is too slow for the urgent pieces of readers: its
// rate is less than a tenth of the rate of the fastest peer.
func (c *conn) tooSlowLocked() bool {
	if len(c.t.selection.readers) == 0 {
		return false
	}
	best := 0.0
	for _, o := range c.t.peerConns.byID {
		if o != nil {
			best = max(best, o.req.meter.rate)
		}
	}
	return c.req.meter.rate > 0 && c.req.meter.rate < best/10
}

// SetSequential sets whether the pieces are downloaded in order.
func (t *Torrent) SetSequential(on bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.opt.Sequential = on
}
