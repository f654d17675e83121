package trackerserver

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
	maxReactors = 8
	// deferAccept has the kernel keep a connection until data came, this long.
	deferAccept = 10 * time.Second
)

// fastListener answers plain announces and scrapes and hands other connections
// on. Its reactors share the listening socket; each has the connections that it
// accepted.
type fastListener struct {
	s      *Server
	addr   net.Addr
	fd     int // of the listening socket
	handed chan net.Conn
	closed chan struct{}
	once   sync.Once
	gate   *gate
	wg     sync.WaitGroup
	files  []*os.File // the epoll descriptors
}

func (s *Server) fastListener(l *net.TCPListener) (_ net.Listener, err error) {
	raw, err := l.SyscallConn()
	if err != nil {
		return nil, err
	}
	f := &fastListener{s: s, addr: l.Addr(), gate: newGate(s), handed: make(chan net.Conn), closed: make(chan struct{})}
	err = control(raw, func(fd int) error {
		f.fd, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return nil, err
	}
	// Accepted sockets inherit these.
	unix.SetsockoptInt(f.fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	unix.SetsockoptInt(f.fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
	unix.SetsockoptInt(f.fd, unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, int(deferAccept/time.Second))
	var reactors []*reactor
	for range min(runtime.GOMAXPROCS(0), maxReactors) {
		r, err := newReactor(f)
		if err != nil {
			break // fewer will do
		}
		reactors = append(reactors, r)
		f.files = append(f.files, r.file)
	}
	if len(reactors) == 0 {
		unix.Close(f.fd)
		return nil, errors.ErrUnsupported
	}
	l.Close() // its socket lives on in ours
	for _, r := range reactors {
		f.wg.Go(r.run)
	}
	return f, nil
}

// Accept returns a connection that is not for the fast path.
func (f *fastListener) Accept() (net.Conn, error) {
	select {
	case c := <-f.handed:
		return c, nil
	case <-f.closed:
		return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: f.addr, Err: net.ErrClosed}
	}
}

// Addr returns the address that is listened on.
func (f *fastListener) Addr() net.Addr { return f.addr }

// Close stops listening and closes the connections that were not handed on.
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

// handOverTime is for handshakes that are under way.
const handOverTime = 150 * time.Millisecond

// handOver has new connections go to the process that listens on the same
// address by SO_REUSEPORT, if there is one, while those that are not accepted
// yet still are: closing the socket would reset them. In the order of the
// kernel's group ours is the first socket and the other one's the second; where
// there is no second, the kernel goes on as before.
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

// hand gives c to whoever accepts from the listener, with what was read of it.
func (r *reactor) hand(c *fastConn, read []byte) {
	f := r.f
	file := os.NewFile(uintptr(c.fd), "tcp")
	own, err := net.FileConn(file) // has a descriptor of its own
	if err != nil {
		f.gate.leave(r.now, c.place)
		file.Close()
		return
	}
	handed := &handedConn{Conn: own, read: append([]byte(nil), read...), gate: f.gate, place: c.place}
	f.gate.hand(c.place, handed)
	file.Close()
	conn := f.s.fromProxy(handed)
	select {
	case f.handed <- conn:
	default:
		go func() { // bounded by MaxConns
			select {
			case f.handed <- conn:
			case <-f.closed:
				conn.Close()
			}
		}()
	}
}
