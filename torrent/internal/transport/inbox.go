package transport

import "sync"

// Sizes in bytes of the buffers that connections read into. A connection reads into a small
// buffer, and into a large one after a read has filled the small one. A large buffer fits
// into the cache of one processor, where it stays until its blocks are copied.
const (
	smallRead = 64 << 10
	// LargeRead is the size in bytes of the buffers in [Buffers.Large].
	LargeRead = 256 << 10
)

// FreeList keeps up to a number of buffers of one size for reuse. Unlike a sync.Pool it
// is bounded, and the garbage collector does not empty it, because its buffers are
// large. It is safe for concurrent use.
type FreeList struct {
	size, max int

	mu   sync.Mutex
	free [][]byte // guarded by mu
}

// NewFreeList returns a list that keeps at most max buffers of size bytes.
func NewFreeList(size, max int) *FreeList { return &FreeList{size: size, max: max} }

// Get returns a buffer from the list, or a new one if the list is empty.
func (f *FreeList) Get() []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := len(f.free); n > 0 {
		b := f.free[n-1]
		f.free = f.free[:n-1]
		return b
	}
	return make([]byte, f.size)
}

// Put gives a buffer back. The caller must not use it any more.
func (f *FreeList) Put(b []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if cap(b) == f.size && len(f.free) < f.max {
		f.free = append(f.free, b[:f.size])
	}
}

// Buffers are the buffers that all connections of a session share. It is safe for
// concurrent use.
type Buffers struct {
	// Small and Large keep buffers to read into; a Large one has [LargeRead] bytes.
	Small, Large *FreeList

	larges chan struct{} // a token for each large buffer that an inbox holds
	pauses chan struct{} // a token for each reader that may pause; see pause_linux.go
}

// NewBuffers returns the buffers of a session. The large buffers that connections hold at
// one time take at most readMemory bytes. pauses bounds the readers of fast peers that wait
// in the kernel for more data at the same time; each of them occupies a thread.
func NewBuffers(readMemory int64, pauses int) *Buffers {
	return &Buffers{
		Small:  NewFreeList(smallRead, 64),
		Large:  NewFreeList(LargeRead, 8),
		larges: make(chan struct{}, min(1<<20, readMemory/LargeRead)),
		pauses: make(chan struct{}, pauses),
	}
}

// Inbox holds the bytes that one connection has read and not yet used. It holds a buffer only
// while it holds data. It is not safe for concurrent use.
type Inbox struct {
	from  *Buffers
	b     []byte
	r, w  int  // b[r:w] is unread
	fills bool // the last read filled its buffer, so that the next one takes a large buffer
	large bool // b is a large buffer, for which from.larges holds a token
}

// NewInbox returns an empty inbox.
func NewInbox(from *Buffers) Inbox { return Inbox{from: from} }

// Unread returns the bytes that were read and not yet used. They are valid until the next
// call of Space, Idle or Release.
func (in *Inbox) Unread() []byte { return in.b[in.r:in.w] }

// Discard marks the first n unread bytes as used.
func (in *Inbox) Discard(n int) { in.r += n }

// Held reports whether the inbox holds a buffer.
func (in *Inbox) Held() bool { return in.b != nil }

// Space returns the free part of the buffer for the next read: at least one byte, and enough
// that the buffer can hold need unread bytes in all.
func (in *Inbox) Space(need int) []byte {
	if in.r == in.w {
		in.r, in.w = 0, 0
	}
	switch {
	case in.fills && len(in.b) < LargeRead && in.takeLarge():
	case in.b == nil:
		in.b = in.from.Small.Get()
	case in.r > 0 && in.cramped():
		in.w = copy(in.b, in.b[in.r:in.w])
		in.r = 0
	}
	if need > len(in.b) && in.w == len(in.b) {
		// The buffer of a very long message grows only with the bytes that have arrived.
		in.moveTo(make([]byte, min(2*len(in.b), max(need, len(in.b)+1))))
	}
	return in.b[in.w:]
}

// cramped reports whether the unread bytes should move to the start of the buffer: a
// few bytes if that frees a quarter of the buffer, more bytes only if the space behind
// them is smaller than the space before them.
func (in *Inbox) cramped() bool {
	unread, behind := in.w-in.r, len(in.b)-in.w
	return behind < in.r || unread <= len(in.b)/8 && behind < len(in.b)/4*3
}

// takeLarge replaces the buffer by a large one, if connections may hold one more.
func (in *Inbox) takeLarge() bool {
	select {
	case in.from.larges <- struct{}{}:
	default:
		return false
	}
	in.moveTo(in.from.Large.Get())
	in.large = true
	return true
}

func (in *Inbox) moveTo(to []byte) {
	n := copy(to, in.b[in.r:in.w])
	in.Release()
	in.b, in.r, in.w = to, 0, n
}

// Fill records that n bytes were read into the slice that Space returned last.
func (in *Inbox) Fill(n int) {
	in.w += n
	in.fills = in.w == len(in.b) || in.fills && n >= smallRead
}

// Idle gives the buffer back if nothing in it is unread.
func (in *Inbox) Idle() {
	if in.r == in.w {
		in.Release()
	}
}

// Release gives the buffer back and drops its unread bytes.
func (in *Inbox) Release() {
	switch {
	case in.large:
		in.from.Large.Put(in.b)
		<-in.from.larges
	case cap(in.b) == smallRead:
		in.from.Small.Put(in.b)
	}
	in.b, in.r, in.w, in.large = nil, 0, 0, false
}
