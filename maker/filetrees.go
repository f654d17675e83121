package maker

import (
	"crypto/sha256"
	"slices"
	"sync"

	"spate/merkle"
)

// fileTrees computes the pieces roots (BEP 52) of the files of a v1 torrent, which can start
// anywhere in a piece. Its methods are safe for concurrent use.
//
// Workers hash pieces in any order, and a block of a file can lie in two pieces. So a worker
// hashes the blocks of a file that lie in its own bytes, and passes them on as a run. Runs
// that arrive before their turn wait. They are few, because workers take pieces in order.
type fileTrees struct {
	l     *layout
	roots []byte // 32 bytes for each extent

	mu   sync.Mutex
	open map[int]*fileTree // trees that are begun, by index of the extent
}

// fileTree is the unfinished tree of one file.
type fileTree struct {
	tree    merkle.Builder
	next    int64               // offset in the file after the runs that the tree contains
	begun   []byte              // the bytes before next that are not a complete block
	waiting map[int64]*blockRun // runs that arrived too early, by offset
}

// blockRun is a run of bytes of one file: the end of a block that another run begins, then
// complete blocks, then the start of a block that another run ends. Each of them may be
// missing.
type blockRun struct {
	ext    int
	at     int64 // offset in the file
	length int64
	head   []byte
	hashes [][32]byte
	tail   []byte
}

func newFileTrees(l *layout) *fileTrees {
	return &fileTrees{l: l, roots: make([]byte, merkle.HashSize*len(l.extents)), open: map[int]*fileTree{}}
}

// add takes a run of a file. The caller may change the hashes of r afterwards.
func (t *fileTrees) add(r *blockRun) {
	size := t.l.extents[r.ext].size
	if r.length == size { // most files of a torrent of many small ones
		tree := merkle.Builder{}
		tree.AddAll(r.hashes)
		t.store(r.ext, tree.Root())
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.open[r.ext]
	if f == nil {
		f = &fileTree{waiting: map[int64]*blockRun{}}
		t.open[r.ext] = f
	}
	if r.at != f.next {
		r.hashes = slices.Clone(r.hashes)
		f.waiting[r.at] = r
		return
	}
	for next := r; next != nil; next = f.waiting[f.next] {
		delete(f.waiting, f.next)
		f.take(next, size)
	}
	if f.next == size {
		t.store(r.ext, f.tree.Root())
		delete(t.open, r.ext)
	}
}

// take adds a run that starts at f.next.
func (f *fileTree) take(r *blockRun, size int64) {
	f.next = r.at + r.length
	f.begun = append(f.begun, r.head...)
	if len(r.head) > 0 && (len(f.begun) == merkle.BlockSize || f.next == size && len(r.hashes) == 0) {
		h := sha256.Sum256(f.begun)
		f.tree.Add(&h)
		f.begun = f.begun[:0]
	}
	f.tree.AddAll(r.hashes)
	f.begun = append(f.begun, r.tail...)
}

// root returns the root of the file of an extent. All its runs must have been added.
func (t *fileTrees) root(ext int) []byte {
	return t.roots[merkle.HashSize*ext : merkle.HashSize*(ext+1)]
}

func (t *fileTrees) store(ext int, root [32]byte) {
	copy(t.roots[merkle.HashSize*ext:], root[:])
}

// fileBlock stands for the index of a piece at blocks that belong to the tree of a file.
const fileBlock = -1

// plannedRun is a run whose complete blocks are being hashed.
type plannedRun struct {
	run blockRun
	// The hashes of the run are those of the blocks [from, to), then those of [more, end).
	from, to, more, end int
}

// planRuns adds the blocks of the files in part, the bytes of piece p from offset at, to the
// blocks that are hashed next. first is the index of the first block of part; blocks of a file
// that are also blocks of the piece are not hashed twice.
func (w *worker) planRuns(p piece, at int64, part []byte, first int) {
	l := w.r.layout
	l.spans(p, at, at+int64(len(part)), func(s span) bool {
		data := part[s.into-at:][:s.length]
		size := l.extents[s.ext].size
		plan := plannedRun{run: blockRun{ext: s.ext, at: s.at, length: s.length}}
		r := &plan.run
		head := min(-s.at&(merkle.BlockSize-1), s.length)
		r.head = append(r.head, data[:head]...)
		data = data[head:]
		if s.at+s.length < size {
			whole := len(data) &^ (merkle.BlockSize - 1)
			r.tail = append(r.tail, data[whole:]...)
			data = data[:whole]
		}
		if (s.into-at+head)%merkle.BlockSize == 0 {
			same := len(data) / merkle.BlockSize
			if s.into-at+s.length == int64(len(part)) {
				same = (len(data) + merkle.BlockSize - 1) / merkle.BlockSize
			}
			plan.from = first + int((s.into-at+head)/merkle.BlockSize)
			plan.to = plan.from + same
			data = data[min(same*merkle.BlockSize, len(data)):]
		}
		plan.more = len(w.blocks)
		w.addBlocks(data, fileBlock)
		plan.end = len(w.blocks)
		w.runs = append(w.runs, plan)
		return true
	})
}

// finishRuns passes on the runs whose blocks are hashed.
func (w *worker) finishRuns() {
	for k := range w.runs {
		plan := &w.runs[k]
		r := plan.run
		r.hashes = w.hashes[plan.more:plan.end]
		if same := w.hashes[plan.from:plan.to]; len(same) > 0 {
			r.hashes = slices.Concat(same, r.hashes)
		}
		w.r.fileTrees.add(&r)
	}
}
