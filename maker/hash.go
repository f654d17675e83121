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

// The way of the bytes, in the order of this package's files:
//
//  1. layout.go cuts the byte space into pieces; a cutter hands them out in
//     order, a batch at a time.
//  2. Each worker (worker.go) reads its batch into its own buffer. On a disk that
//     has to seek, one worker reads at a time, so that the disk sees one
//     sequential reader, while the others hash.
//  3. It hashes the batch from that buffer (digest.go): SHA-1 for v1 and the
//     leaves of SHA-256 for v2 from the same read.
//  4. It hands over the sums of each piece, which have a place of their own: the
//     result is the same whatever the number of workers and their order.

// Sizes of the pipeline.
const (
	// memory bounds all buffers together.
	memory = 32 << 20
	// bufferSize is what a worker reads at a time, over all of its lanes: it about
	// stays in a core's second cache between reading and hashing, and sixteen files
	// of 64 KiB fill sixteen lanes. 512 KiB and 2 MiB take longer (AMD Zen 4).
	bufferSize = 1 << 20
	// seekBuffer is that on a disk that has to seek.
	seekBuffer = 4 << 20
	// minBuffer holds two leaves of v2 for each of two lanes.
	minBuffer = 64 << 10
	// readSize is the most bytes of one read, after which a cancellation is
	// noticed: 100 ms at 10 MB/s.
	readSize = 1 << 20
	// maxBatch bounds the pieces of a batch of small ones.
	maxBatch = 256
)

// source is a file that is read.
type source struct {
	rel  string
	stat fileStat
	err  error // it is known that it cannot be read
}

// sums are the hashes of a piece.
type sums struct {
	v1  [20]byte
	v2  [32]byte
	err error // the data could not be read; only in a lenient run
}

// run hashes the pieces of a layout.
type run struct {
	layout  *layout
	from    *opener
	files   []source // what extents name
	workers int      // 0: GOMAXPROCS
	ordered bool     // the device has to seek
	lenient bool     // a piece that cannot be read is reported, and does not end the run
	strict  bool     // a file that is not as files says ends the run
	done    func(piece, *sums)
	count   *atomic.Int64 // bytes of data done

	fewFiles atomic.Bool // the process has too many open files: a worker keeps one

	lanes int // large pieces that a worker has in hand at a time

	mu  sync.Mutex // guards cut; held while reading when ordered
	cut cutter
}

// hash does the whole run. done is called once for every piece, by several
// goroutines at a time, each for pieces of its own.
func (r *run) hash(ctx context.Context) error {
	r.cut = cutter{l: r.layout}
	n := r.procs()
	size := r.bufferFor(n)
	n = int(min(int64(n), r.layout.dataSize()/int64(size)+1))
	r.lanes = r.lanesFor(n, size)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			w := newWorker(r, size)
			defer w.files.close()
			if err := w.work(ctx); err != nil {
				cancel(err) // the first one counts
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// procs returns how many goroutines work.
func (r *run) procs() int {
	if r.workers > 0 {
		return r.workers
	}
	return runtime.GOMAXPROCS(0)
}

// bufferFor returns the size of each of n workers' buffers, a multiple of
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

// dataSize returns the bytes of all files.
func (l *layout) dataSize() (n int64) {
	for _, e := range l.extents {
		n += e.size
	}
	return n
}

// take cuts the next batch into w.batch: pieces that fit the buffer together, or
// a few large ones that are read bit by bit. It returns whether they fit.
func (r *run) take(w *worker) (fits bool) {
	w.batch = w.batch[:0]
	room := int64(len(w.buf))
	for len(w.batch) < maxBatch {
		before := r.cut
		p, ok := r.cut.cut()
		if !ok {
			break
		}
		if len(w.batch) == 0 && p.data > room/2 {
			w.batch = append(w.batch, p)
			for len(w.batch) < r.lanes {
				p, ok = r.cut.cut()
				if !ok {
					break
				}
				w.batch = append(w.batch, p)
			}
			return false
		}
		if p.data > room {
			r.cut = before
			break
		}
		room -= p.data
		w.batch = append(w.batch, p)
	}
	return true
}

// lanesFor returns how many large pieces each of n workers with a buffer of size
// bytes reads and hashes in turn: as many as SHA-1 likes best, if there are
// enough for all. It is one on a disk that would have to seek, and one for v2
// alone, where a piece's leaves are many messages.
func (r *run) lanesFor(n, size int) int {
	if r.ordered || !r.layout.v1 {
		return 1
	}
	return max(1, min(hashing.Width(), r.layout.numPieces()/n, size/merkle.BlockSize))
}

// errShort is the error for a file that ends before its size.
var errShort = io.ErrUnexpectedEOF

// layerRoot returns the root of a file from the hashes of its pieces.
func layerRoot(layer []byte, pieceLen int64) [32]byte {
	if len(layer) == 32 {
		return [32]byte(layer)
	}
	return merkle.Root(layer, merkle.Layer(pieceLen))
}
