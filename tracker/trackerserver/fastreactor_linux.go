package trackerserver

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// maxAccepts bounds the connections accepted in a row.
	maxAccepts = 256
	maxLast    = 64 // times that, once the listener is closed
	maxEvents  = 128
	readSize   = 16 << 10
)

// reactor serves connections with one goroutine and without a buffer for each:
//
//  1. the runtime's poller says that the epoll descriptor is readable
//  2. for each event: accept connections, or read from one
//  3. what was read is a whole request, nearly always: answer it in place; the
//     few that are not are copied aside until the rest comes
//  4. one write; a connection that was to be closed never got into the epoll, and
//     its answer waits for the close, to leave in one packet with it
type reactor struct {
	f      *fastListener
	file   *os.File // the epoll descriptor, known to the runtime's poller
	ep     int
	events [maxEvents]unix.EpollEvent
	buf    [readSize]byte
	out    []byte
	call   call
	n      *counters
	conns  map[int32]*fastConn
	oldest *fastConn // in the order of since
	newest *fastConn
	now    time.Time
	date   []byte // of the second now
	dateOf int64
	more   bool // there may be events that do not wake us, for they did before
	paused bool // the listening socket is out of the epoll, for want of descriptors
	name   unix.RawSockaddrInet6
}

// fastConn is a connection between two requests, or in the middle of one.
type fastConn struct {
	fd         int32
	from       netip.Addr
	place      *place
	since      time.Time // when it was accepted or last answered
	part       []byte    // of a request
	prev, next *fastConn
}

func newReactor(f *fastListener) (*reactor, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(ep, true); err != nil { // for os.NewFile to have it polled
		unix.Close(ep)
		return nil, err
	}
	r := &reactor{f: f, ep: ep, file: os.NewFile(uintptr(ep), "epoll"), n: f.s.newCounters(), conns: map[int32]*fastConn{}}
	if err := r.file.SetReadDeadline(time.Time{}); err != nil { // not polled after all
		r.file.Close()
		return nil, err
	}
	if err := r.listen(); err != nil {
		r.file.Close()
		return nil, err
	}
	return r, nil
}

func (r *reactor) listen() error {
	e := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLEXCLUSIVE, Fd: int32(r.f.fd)}
	return unix.EpollCtl(r.ep, unix.EPOLL_CTL_ADD, r.f.fd, &e)
}

// run serves until the listener is closed.
func (r *reactor) run() {
	defer r.shut()
	raw, err := r.file.SyscallConn()
	if err != nil {
		return
	}
	for {
		r.file.SetReadDeadline(time.Now().Add(time.Second))
		select {
		case <-r.f.closed: // after the deadline was set: Close sets it again
			r.last()
			return
		default:
		}
		until := time.Now().Add(time.Second)
		err = raw.Read(func(uintptr) bool {
			for {
				n, errno := r.poll()
				if errno != 0 && errno != unix.EINTR {
					return true
				}
				r.tick()
				for i := range n {
					r.event(&r.events[i])
				}
				if r.now.After(until) {
					return true
				}
				if n < maxEvents && !r.more {
					return false
				}
				r.more = false
			}
		})
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
		r.tick()
		r.expire()
		if r.paused && r.listen() == nil {
			r.paused = false
		}
	}
}

// last answers what came before the listener was closed: what waits in its queue
// would be refused otherwise.
func (r *reactor) last() {
	r.tick()
	r.more = true
	for rounds := 0; r.more && rounds < maxLast; rounds++ {
		r.more = false
		r.accept()
	}
	n, errno := r.poll()
	for i := range n {
		if errno == 0 && r.events[i].Fd != int32(r.f.fd) {
			r.event(&r.events[i])
		}
	}
}

// poll takes the events that there are. This and the other system calls of a
// reactor never wait, so they are raw ones: the runtime need not watch over them
// with a thread of its own, which costs a sixth of a connection.
func (r *reactor) poll() (n int, errno syscall.Errno) {
	m, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(r.ep), uintptr(unsafe.Pointer(&r.events)), maxEvents, 0, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(m), 0
}

// tick takes the time, once for a batch of events.
func (r *reactor) tick() {
	r.now = r.f.s.now()
	if sec := r.now.Unix(); sec != r.dateOf || len(r.date) == 0 {
		r.dateOf, r.date = sec, appendDate(r.date[:0], r.now)
	}
}

func (r *reactor) event(e *unix.EpollEvent) {
	if e.Fd == int32(r.f.fd) {
		r.accept()
		return
	}
	if c := r.conns[e.Fd]; c != nil {
		r.read(c, true)
	}
}

// accept takes connections until there are no more. Most have their request with
// them and are done at once.
func (r *reactor) accept() {
	for range maxAccepts {
		size := uint32(unsafe.Sizeof(r.name))
		fd, _, errno := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(r.f.fd), uintptr(unsafe.Pointer(&r.name)), uintptr(unsafe.Pointer(&size)),
			unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
		switch errno {
		case 0:
		case unix.EINTR, unix.ECONNABORTED:
			continue
		case unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM:
			// Spinning would not help; the next turn of run tries again.
			r.f.gate.relieve(r.now, r.n)
			if unix.EpollCtl(r.ep, unix.EPOLL_CTL_DEL, r.f.fd, nil) == nil {
				r.paused = true
				r.f.s.log.Warn("out of descriptors: connections wait", "error", errno)
			}
			return
		default:
			return
		}
		c := &fastConn{fd: int32(fd), from: r.sender(), since: r.now}
		if c.place = r.f.gate.enter(r.now, c.from, c, r.n); c.place == nil {
			closeRaw(c.fd)
			continue
		}
		if contains(r.f.s.proxies, c.from) {
			r.hand(c, nil) // what it says about its client is for net/http
			continue
		}
		r.read(c, false)
	}
	r.more = true
}

// sender is the address in r.name.
func (r *reactor) sender() netip.Addr {
	b := (*[unix.SizeofSockaddrInet6]byte)(unsafe.Pointer(&r.name))
	switch binary.NativeEndian.Uint16(b[:]) {
	case unix.AF_INET:
		return netip.AddrFrom4([4]byte(b[4:8]))
	case unix.AF_INET6:
		return netip.AddrFrom16([16]byte(b[8:24])).Unmap()
	}
	return netip.Addr{}
}

// read reads what came over c and answers it. known says that c is in the epoll.
func (r *reactor) read(c *fastConn, known bool) {
	have := copy(r.buf[:], c.part)
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(c.fd), uintptr(unsafe.Pointer(&r.buf[have])), uintptr(len(r.buf)-have))
	switch {
	case errno == unix.EAGAIN || errno == unix.EINTR:
		r.keep(c, known)
		return
	case errno != 0 || n == 0:
		r.drop(c, known)
		return
	}
	b := r.buf[:have+int(n)]
	r.more = r.more || len(b) == len(r.buf)
	r.out = r.out[:0]
	for len(b) > 0 {
		h, v := r.f.s.parseHead(b)
		if v == decline && len(r.out) == 0 {
			if known {
				r.forget(c)
			}
			r.hand(c, b)
			return
		}
		if v != take || len(r.out) > readSize {
			break // a request in part, or answers enough for now
		}
		r.call.reset(r.now, HTTP, c.from)
		r.call.token = h.token
		body := r.f.s.answerHTTP(&r.call, r.n, h.route, h.query)
		r.out = appendResponse(r.out, r.date, body, h.keep)
		b = b[h.size:]
		if !h.keep {
			r.write(c, unix.MSG_MORE)
			r.drop(c, known)
			return
		}
	}
	if len(r.out) > 0 {
		if !r.write(c, 0) {
			r.drop(c, known)
			return
		}
		c.since = r.now
		r.f.gate.took(r.now, c.place, int64(len(r.out)))
		if known {
			r.unlink(c)
			r.link(c)
		}
		if len(b) > 0 && r.pending(c, b, known) {
			return
		}
	}
	c.part = append(c.part[:0], b...)
	if len(b) == 0 {
		c.part = nil
	}
	r.keep(c, known)
}

// pending looks at what is left behind requests that were answered. It reports
// whether c is gone.
func (r *reactor) pending(c *fastConn, b []byte, known bool) bool {
	if _, v := r.f.s.parseHead(b); v == wait {
		return false
	}
	if known {
		r.forget(c)
	}
	r.hand(c, b) // net/http takes it from here
	return true
}

// write sends r.out. A client that does not read what it asked for is dropped.
func (r *reactor) write(c *fastConn, flags uintptr) bool {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(c.fd), uintptr(unsafe.Pointer(&r.out[0])), uintptr(len(r.out)),
			flags|unix.MSG_NOSIGNAL, 0, 0)
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 || int(n) < len(r.out) {
			r.n.dropped.Add(1)
			return false
		}
		return true
	}
}

// keep waits for more from c.
func (r *reactor) keep(c *fastConn, known bool) {
	if known {
		return
	}
	e := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP, Fd: c.fd}
	if unix.EpollCtl(r.ep, unix.EPOLL_CTL_ADD, int(c.fd), &e) != nil {
		r.close(c)
		return
	}
	r.conns[c.fd] = c
	r.link(c)
}

// drop closes c.
func (r *reactor) drop(c *fastConn, known bool) {
	if known {
		delete(r.conns, c.fd)
		r.unlink(c)
	}
	r.close(c)
}

func (r *reactor) close(c *fastConn) {
	r.f.gate.leave(r.now, c.place) // first: until then the descriptor may be shut down
	closeRaw(c.fd)                 // and out of the epoll, for it has no duplicate
}

// end implements ender: the reactor that has c sees that it has ended.
func (c *fastConn) end() { unix.RawSyscall(unix.SYS_SHUTDOWN, uintptr(c.fd), unix.SHUT_RDWR, 0) }

func closeRaw(fd int32) { unix.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0) }

// forget takes c out of the epoll.
func (r *reactor) forget(c *fastConn) {
	unix.EpollCtl(r.ep, unix.EPOLL_CTL_DEL, int(c.fd), nil)
	delete(r.conns, c.fd)
	r.unlink(c)
}

// link puts c at the end of the list by since.
func (r *reactor) link(c *fastConn) {
	c.prev, c.next = r.newest, nil
	if r.newest != nil {
		r.newest.next = c
	} else {
		r.oldest = c
	}
	r.newest = c
}

func (r *reactor) unlink(c *fastConn) {
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		r.oldest = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	} else {
		r.newest = c.prev
	}
	c.prev, c.next = nil, nil
}

// expire drops connections that had their time.
func (r *reactor) expire() {
	for r.oldest != nil && r.now.Sub(r.oldest.since) > idleLimit {
		r.drop(r.oldest, true)
	}
}

// shut drops all connections.
func (r *reactor) shut() {
	for r.oldest != nil {
		r.drop(r.oldest, true)
	}
	r.file.Close()
}
