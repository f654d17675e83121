package torrent

import "sync"

// Sizes in bytes of the buffers that connections read into: small while little
// arrives, large where a read fills the small one. A large one stays in the cache of
// one processor until its blocks are copied.
const (
	smallRead = 64 << 10
	largeRead = 256 << 10
)

// freeList keeps up to max buffers of one size. Unlike a sync.Pool it is not
// emptied by the garbage collector, for its buffers are large, and it is bounded.
type freeList struct {
	size, max int

	mu   sync.Mutex
	free [][]byte
}

func (f *freeList) get() []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := len(f.free); n > 0 {
		b := f.free[n-1]
		f.free = f.free[:n-1]
		return b
	}
	return make([]byte, f.size)
}

func (f *freeList) put(b []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if cap(b) == f.size && len(f.free) < f.max {
		f.free = append(f.free, b[:f.size])
	}
}

// buffers are the free lists that all connections of a session share.
type buffers struct {
	small, large freeList      // for reading
	reads        chan struct{} // a place for each large one that a connection holds
	upload       freeList      // for the blocks of one write
}

// newBuffers allows as many large buffers for reading as readMemory bytes hold.
func newBuffers(readMemory int64) *buffers {
	return &buffers{
		reads:  make(chan struct{}, min(1<<20, readMemory/largeRead)),
		small:  freeList{size: smallRead, max: 64},
		large:  freeList{size: largeRead, max: 8},
		upload: freeList{size: uploadBatch, max: 16},
	}
}

// inbox is what one connection has read and not yet used: b[r:w]. It holds a
// buffer only while it holds data.
type inbox struct {
	from *buffers
	b    []byte
	r, w int
	big  bool // the last read filled its buffer: take a large one next
	lent bool // b is a large one, and holds one of their places
}

// space returns where the next read may write: at least one byte, and room for
// need bytes in all counted from the first that is unread.
func (in *inbox) space(need int) []byte {
	if in.r == in.w {
		in.r, in.w = 0, 0
	}
	switch {
	case in.big && len(in.b) < largeRead && in.lend():
	case in.b == nil:
		in.b = in.from.small.get()
	case in.r > 0 && in.cramped():
		in.w = copy(in.b, in.b[in.r:in.w])
		in.r = 0
	}
	if need > len(in.b) && in.w == len(in.b) {
		// A message longer than any buffer grows with what has really come.
		in.move(make([]byte, min(2*len(in.b), max(need, len(in.b)+1))))
	}
	return in.b[in.w:]
}

// cramped reports whether what is unread has to move to the start of the buffer: little
// of it for a quarter more of room, and more of it only if it frees more than there is.
func (in *inbox) cramped() bool {
	rest, room := in.w-in.r, len(in.b)-in.w
	return room < in.r || rest <= len(in.b)/8 && room < len(in.b)/4*3
}

// lend takes a large buffer in place of the one that there is, if there may be one
// more.
func (in *inbox) lend() bool {
	select {
	case in.from.reads <- struct{}{}:
	default:
		return false
	}
	in.move(in.from.large.get())
	in.lent = true
	return true
}

func (in *inbox) move(to []byte) {
	n := copy(to, in.b[in.r:in.w])
	in.release()
	in.b, in.r, in.w = to, 0, n
}

// read notes that n bytes were read into the last space.
func (in *inbox) read(n int) {
	in.w += n
	in.big = in.w == len(in.b) || in.big && n >= smallRead
}

// idle gives the buffer back when nothing in it is unread.
func (in *inbox) idle() {
	if in.r == in.w {
		in.release()
	}
}

func (in *inbox) release() {
	switch {
	case in.lent:
		in.from.large.put(in.b)
		<-in.from.reads
	case cap(in.b) == smallRead:
		in.from.small.put(in.b)
	}
	in.b, in.r, in.w, in.lent = nil, 0, 0, false
}
