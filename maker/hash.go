package maker

import (
	"context"
	"io"
	"runtime"
	"sync"
	"sync/atomic"

	"spate/internal/hashing"
	"spate/merkle"
)

// The steps of hashing, in the order of the files of this package:
//
//   1. layout.go divides the byte space into pieces. A cutter returns them in order.
//   2. Each worker (worker.go) reads a batch of pieces into its own buffer. On a rotational
//      disk only one worker reads at a time, so that the disk is read sequentially, while
//      the other workers hash.
//   3. The worker hashes the batch from its buffer (digest.go): SHA-1 for v1, and SHA-256 of
//      the blocks for v2.
//   4. The worker passes the hashes of each piece to a function that stores them by the index
//      of the piece. The result does not depend on the number of workers and their order.

// Sizes of buffers and reads in bytes.
const (
	// memory limits the total size of all buffers.
	memory = 32 << 20
	// bufferSize is the size of a worker's buffer. The data mostly stays in the
	// second-level cache of a core between reading and hashing, and sixteen files of 64 KiB
	// fill 16 lanes. 512 KiB and 2 MiB are slower (AMD Zen 4).
	bufferSize = 1 << 20
	// seekBuffer is the size of a worker's buffer on a rotational disk.
	seekBuffer = 4 << 20
	// minBuffer is the minimum size of a buffer: two blocks for each of two lanes.
	minBuffer = 64 << 10
	// readSize limits a single read, so that a cancelled context is noticed within 100
	// ms at 10 MB/s.
	readSize = 1 << 20
	// maxBatch limits the number of pieces in a batch.
	maxBatch = 256
)

// source is a file that is read.
type source struct {
	rel  string
	stat fileStat
	err  error // why the file cannot be read, if that is already known
}

// sources is the list of the files of a run. It computes each source when it is needed, so
// that a million files do not take memory twice. It is safe for concurrent use.
type sources interface {
	count() int
	at(k int) source
}

// sums holds the hashes of a piece.
type sums struct {
	v1  [20]byte
	v2  [32]byte
	err error // why the data could not be read; only set in a lenient run
}

// run hashes the pieces of a layout.
type run struct {
	layout    *layout
	from      *opener
	files     sources // the files of the extents
	workers   int     // 0 selects GOMAXPROCS
	ordered   bool    // only one worker reads at a time, because the disk is rotational
	lenient   bool    // report pieces that cannot be read instead of failing
	strict    bool    // fail if a file differs from the scanned one
	done      func(piece, *sums)
	fileTrees *fileTrees    // the trees of the files of a v1 torrent with v2 hashes; else nil
	count     *atomic.Int64 // number of bytes of data that were processed

	fewFiles atomic.Bool // the process has too many open files, so each worker keeps only one

	piecesAtOnce int // number of large pieces that a worker hashes together

	mu  sync.Mutex // guards cut; held during reads if ordered is set
	cut cutter
}

// hash hashes all pieces. It calls done once for each piece, from several goroutines
// concurrently.
func (r *run) hash(ctx context.Context) error {
	r.cut = cutter{l: r.layout}
	n := r.procs()
	size := r.bufferFor(n)
	n = int(min(int64(n), r.layout.dataSize()/int64(size)+1))
	r.piecesAtOnce = r.piecesFor(n, size)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			w := newWorker(r, size)
			defer w.files.close()
			if err := w.work(ctx); err != nil {
				cancel(err) // the first error counts
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// procs returns the number of worker goroutines.
func (r *run) procs() int {
	if r.workers > 0 {
		return r.workers
	}
	return runtime.GOMAXPROCS(0)
}

// bufferFor returns the size of the buffer of each of n workers, a multiple of
// minBuffer.
func (r *run) bufferFor(n int) int {
	size := bufferSize
	if r.ordered {
		size = seekBuffer
	}
	size = min(size, memory/n)
	if d := r.layout.dataSize(); d < int64(size) {
		size = int(d)
	}
	return max(minBuffer, size/minBuffer*minBuffer)
}

// dataSize returns the total size of all extents.
func (l *layout) dataSize() (n int64) {
	for _, e := range l.extents {
		n += e.size
	}
	return n
}

// nextBatch stores the next pieces in w.batch: either pieces that fit into the buffer
// together, or a few large pieces that must be read in parts. It reports whether the
// batch fits.
func (r *run) nextBatch(w *worker) (fits bool) {
	w.batch = w.batch[:0]
	space := int64(len(w.buf))
	for len(w.batch) < maxBatch {
		before := r.cut
		p, ok := r.cut.cut()
		if !ok {
			break
		}
		if len(w.batch) == 0 && p.data > space/2 {
			w.batch = append(w.batch, p)
			for len(w.batch) < r.piecesAtOnce {
				p, ok = r.cut.cut()
				if !ok {
					break
				}
				w.batch = append(w.batch, p)
			}
			return false
		}
		if p.data > space {
			r.cut = before
			break
		}
		space -= p.data
		w.batch = append(w.batch, p)
	}
	return true
}

// piecesFor returns the number of large pieces that each of n workers should hash together
// with a buffer of size bytes: the number for which SHA-1 is fastest, or fewer if there are
// too few pieces. It returns 1 for a rotational disk, and for v2 torrents, because the
// blocks of one v2 piece are hashed as separate messages.
func (r *run) piecesFor(n, size int) int {
	if r.ordered || !r.layout.v1 {
		return 1
	}
	return max(1, min(hashing.Width(), r.layout.numPieces()/n, size/merkle.BlockSize))
}

// errShort is the error for a file that is shorter than expected.
var errShort = io.ErrUnexpectedEOF

// layerRoot returns the root of a file from its piece layer.
func layerRoot(layer []byte, pieceLen int64) [32]byte {
	if len(layer) == 32 {
		return [32]byte(layer)
	}
	return merkle.Root(layer, merkle.Layer(pieceLen))
}
