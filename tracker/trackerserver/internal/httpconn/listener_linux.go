package httpconn

import (
	"errors"
	"net"
	"os"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// maxReactors limits the reactors of a listener; there is one for each processor.
	maxReactors = 8
	// deferAccept is the time for which the kernel holds back a connection that has
	// sent nothing.
	deferAccept = 10 * time.Second
)

// fastListener answers the requests of the handler, and gives other connections to the
// caller of Accept. Its reactors share the listening socket. Each of them serves the
// connections that it accepted.
type fastListener struct {
	o        *Options
	addr     net.Addr
	fd       int           // a duplicate of the listening socket
	accepted chan net.Conn // connections for Accept
	closed   chan struct{}
	once     sync.Once
	gate     *gate
	wg       sync.WaitGroup
	files    []*os.File // the epoll descriptors of the reactors
}

func (o *Options) listenFast(l *net.TCPListener) (_ net.Listener, err error) {
	raw, err := l.SyscallConn()
	if err != nil {
		return nil, err
	}
	f := &fastListener{o: o, addr: l.Addr(), gate: newGate(o), accepted: make(chan net.Conn), closed: make(chan struct{})}
	cerr := raw.Control(func(fd uintptr) { f.fd, err = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) })
	if err := errors.Join(cerr, err); err != nil {
		return nil, err
	}
	// Accepted sockets inherit these options.
	unix.SetsockoptInt(f.fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	unix.SetsockoptInt(f.fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
	unix.SetsockoptInt(f.fd, unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, int(deferAccept/time.Second))
	var reactors []*reactor
	for range min(runtime.GOMAXPROCS(0), maxReactors) {
		r, err := newReactor(f)
		if err != nil {
			break // fewer reactors are enough
		}
		reactors = append(reactors, r)
		f.files = append(f.files, r.file)
	}
	if len(reactors) == 0 {
		unix.Close(f.fd)
		return nil, errors.ErrUnsupported
	}
	l.Close() // f.fd keeps the socket open
	for _, r := range reactors {
		f.wg.Go(r.run)
	}
	return f, nil
}

// Accept returns the next connection with a request that is not for the handler.
func (f *fastListener) Accept() (net.Conn, error) {
	select {
	case c := <-f.accepted:
		return c, nil
	case <-f.closed:
		return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: f.addr, Err: net.ErrClosed}
	}
}

// Addr returns the address of the listening socket.
func (f *fastListener) Addr() net.Addr { return f.addr }

// Close stops listening, answers the requests that have arrived, and closes the connections
// that Accept has not returned.
func (f *fastListener) Close() error {
	f.once.Do(func() {
		f.handOver()
		close(f.closed)
		for _, file := range f.files {
			file.SetReadDeadline(time.Unix(1, 0))
		}
		f.wg.Wait()
		unix.Close(f.fd)
	})
	return nil
}

// handOverTime is the time for which handOver waits for TCP handshakes that have started.
const handOverTime = 150 * time.Millisecond

// handOver makes the kernel give new connections to another process that listens on the
// same address with SO_REUSEPORT, if there is one, and waits until handshakes that have
// started are done, because closing the socket would reset these connections. This socket
// is the first in the kernel's group, and the socket of the other process is the second. If
// there is no second socket, nothing changes.
func (f *fastListener) handOver() {
	if shared, err := unix.GetsockoptInt(f.fd, unix.SOL_SOCKET, unix.SO_REUSEPORT); err != nil || shared == 0 {
		return
	}
	second := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: 1}
	err := unix.SetsockoptSockFprog(f.fd, unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_CBPF, &unix.SockFprog{Len: 1, Filter: &second})
	if err == nil {
		time.Sleep(handOverTime)
	}
}
