package httpconn

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// maxAccepts limits the connections that are accepted before others are served. When
	// the listener is closed, up to maxLastAccepts times as many are accepted.
	maxAccepts     = 256
	maxLastAccepts = 64
	maxEvents      = 128
	readSize       = 16 << 10 // size of the read buffer in bytes
	// idleLimit is the time in which the next request of a connection must be complete.
	idleLimit = 30 * time.Second
)

// reactor serves connections with one goroutine and one read buffer:
//
//  1. The runtime's poller reports that the epoll descriptor is readable.
//  2. For each event the reactor accepts connections, or reads from one.
//  3. Nearly always it has read a complete request, which it answers without a copy. An
//     incomplete request is copied until the rest arrives.
//  4. It writes the answers with one system call. A new connection that is closed after
//     its first answer is never added to the epoll descriptor, and the kernel sends its
//     answer together with the end of the connection.
type reactor struct {
	f      *fastListener
	file   *os.File // the epoll descriptor, known to the runtime's poller
	ep     int      // the epoll descriptor as a number
	events [maxEvents]unix.EpollEvent
	buf    [readSize]byte
	out    []byte // responses
	worker Worker
	req    Request
	conns  map[int32]*conn // connections by descriptor
	oldest *conn           // the list of conns, sorted by since
	newest *conn
	now    time.Time
	date   []byte // the field Date for now
	dateOf int64  // the second of date
	more   bool   // there may be events that the poller does not report again
	paused bool   // the listening socket is not in the epoll, because descriptors have run out
	name   unix.RawSockaddrInet6
}

// conn is a connection that a reactor serves.
type conn struct {
	fd         int32
	from       netip.Addr
	slot       *slot
	since      time.Time // when the connection was accepted or last answered
	part       []byte    // an incomplete request
	prev, next *conn
}

func newReactor(f *fastListener) (*reactor, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(ep, true); err != nil { // os.NewFile then adds the descriptor to the poller
		unix.Close(ep)
		return nil, err
	}
	r := &reactor{f: f, ep: ep, file: os.NewFile(uintptr(ep), "epoll"), worker: f.o.Handler.NewWorker(), conns: map[int32]*conn{}}
	if err := r.file.SetReadDeadline(time.Time{}); err != nil { // the descriptor is not in the poller
		r.file.Close()
		return nil, err
	}
	if err := r.listen(); err != nil {
		r.file.Close()
		return nil, err
	}
	return r, nil
}

// listen adds the listening socket to the epoll.
func (r *reactor) listen() error {
	e := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLEXCLUSIVE, Fd: int32(r.f.fd)}
	return unix.EpollCtl(r.ep, unix.EPOLL_CTL_ADD, r.f.fd, &e)
}

// run serves connections until the listener is closed.
func (r *reactor) run() {
	defer r.shut()
	raw, err := r.file.SyscallConn()
	if err != nil {
		return
	}
	for {
		r.file.SetReadDeadline(time.Now().Add(time.Second))
		select {
		case <-r.f.closed: // Close sets the deadline after it has closed the channel
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

// last accepts the connections in the queue of the listening socket, because
// closing the socket would reset them, and answers the requests that have arrived.
func (r *reactor) last() {
	r.tick()
	r.more = true
	for rounds := 0; r.more && rounds < maxLastAccepts; rounds++ {
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

// poll gets the current events. It and the other system calls of a reactor never wait.
// They are made with RawSyscall, which saves the runtime's preparation for calls that
// wait; that takes a sixth of the time of a connection.
func (r *reactor) poll() (n int, errno syscall.Errno) {
	m, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(r.ep), uintptr(unsafe.Pointer(&r.events)), maxEvents, 0, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(m), 0
}

// tick updates the time, once for each batch of events.
func (r *reactor) tick() {
	r.now = r.f.o.Now()
	if sec := r.now.Unix(); sec != r.dateOf || len(r.date) == 0 {
		r.dateOf, r.date = sec, appendDate(r.date[:0], r.now)
	}
}

// event handles one event.
func (r *reactor) event(e *unix.EpollEvent) {
	if e.Fd == int32(r.f.fd) {
		r.accept()
		return
	}
	if c := r.conns[e.Fd]; c != nil {
		r.read(c, true)
	}
}

// accept accepts connections until none waits. Most of them have sent their request
// already and are served at once.
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
			// Another attempt would fail too. run tries again within a second.
			r.f.gate.relieve(r.now)
			if unix.EpollCtl(r.ep, unix.EPOLL_CTL_DEL, r.f.fd, nil) == nil {
				r.paused = true
				r.f.o.Log.Warn("HTTP connections wait: file descriptors or memory have run out", "error", errno)
			}
			return
		default:
			return
		}
		c := &conn{fd: int32(fd), from: r.sender(), since: r.now}
		c.slot = r.f.gate.enter(r.now, c.from, c)
		if c.slot == nil {
			closeRaw(c.fd)
			continue
		}
		if r.f.o.proxy(c.from) {
			r.hand(c, nil) // the http.Server's handler determines the client of a proxy
			continue
		}
		r.read(c, false)
	}
	r.more = true
}

// sender returns the address in r.name.
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

// read reads from c and answers the complete requests. known means that c is in the epoll.
func (r *reactor) read(c *conn, known bool) {
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
		h, v := r.f.o.parseHead(b)
		if v == decline && len(r.out) == 0 {
			if known {
				r.forget(c)
			}
			r.hand(c, b)
			return
		}
		if v != take || len(r.out) > readSize {
			break // the request is incomplete or declined, or there are enough responses
		}
		r.req = Request{Now: r.now, From: c.from, Path: h.path, Query: h.query}
		r.out = appendResponse(r.out, r.date, r.worker.Answer(&r.req), h.keep)
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
		r.f.gate.answered(r.now, c.slot, int64(len(r.out)))
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

// pending handles b, which follows requests that were answered. If it is more than an
// incomplete request, pending gives c to net/http and returns true.
func (r *reactor) pending(c *conn, b []byte, known bool) bool {
	if _, v := r.f.o.parseHead(b); v == wait {
		return false
	}
	if known {
		r.forget(c)
	}
	r.hand(c, b)
	return true
}

// hand gives c, of which read has been read already, to the caller of Accept.
func (r *reactor) hand(c *conn, read []byte) {
	f := r.f
	file := os.NewFile(uintptr(c.fd), "tcp")
	own, err := net.FileConn(file) // duplicates the descriptor
	if err != nil {
		f.gate.leave(r.now, c.slot)
		file.Close()
		return
	}
	std := &stdConn{Conn: own, read: append([]byte(nil), read...), gate: f.gate, slot: c.slot}
	f.gate.give(c.slot, std)
	file.Close()
	conn := f.o.fromProxy(std)
	select {
	case f.accepted <- conn:
	default:
		go func() { // MaxConns limits the number of these goroutines
			select {
			case f.accepted <- conn:
			case <-f.closed:
				conn.Close()
			}
		}()
	}
}

// write sends r.out. It returns false if the send buffer is full, because the client does
// not read, or if the connection is broken.
func (r *reactor) write(c *conn, flags uintptr) bool {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(c.fd), uintptr(unsafe.Pointer(&r.out[0])), uintptr(len(r.out)),
			flags|unix.MSG_NOSIGNAL, 0, 0)
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 || int(n) < len(r.out) {
			r.f.o.Counts.Dropped.Add(1)
			return false
		}
		return true
	}
}
