package httpconn

import (
	"golang.org/x/sys/unix"
)

// keep adds c to the epoll, unless known.
func (r *reactor) keep(c *conn, known bool) {
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
func (r *reactor) drop(c *conn, known bool) {
	if known {
		delete(r.conns, c.fd)
		r.unlink(c)
	}
	r.close(c)
}

func (r *reactor) close(c *conn) {
	r.f.gate.leave(r.now, c.slot) // before the close, because end uses the descriptor
	closeRaw(c.fd)                // removes it from the epoll, because it has no duplicate
}

// end implements ender. The reactor of c then reads the end of the connection.
func (c *conn) end() { unix.RawSyscall(unix.SYS_SHUTDOWN, uintptr(c.fd), unix.SHUT_RDWR, 0) }

func closeRaw(fd int32) { unix.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0) }

// forget removes c from the epoll.
func (r *reactor) forget(c *conn) {
	unix.EpollCtl(r.ep, unix.EPOLL_CTL_DEL, int(c.fd), nil)
	delete(r.conns, c.fd)
	r.unlink(c)
}

// link adds c at the end of the list.
func (r *reactor) link(c *conn) {
	c.prev, c.next = r.newest, nil
	if r.newest != nil {
		r.newest.next = c
	} else {
		r.oldest = c
	}
	r.newest = c
}

// unlink removes c from the list.
func (r *reactor) unlink(c *conn) {
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

// expire drops connections that have been idle for too long.
func (r *reactor) expire() {
	for r.oldest != nil && r.now.Sub(r.oldest.since) > idleLimit {
		r.drop(r.oldest, true)
	}
}

// shut drops all connections and closes the epoll.
func (r *reactor) shut() {
	for r.oldest != nil {
		r.drop(r.oldest, true)
	}
	r.file.Close()
}
