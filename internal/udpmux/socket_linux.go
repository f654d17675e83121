package udpmux

import (
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// batchLen is the number of messages that one system call reads or writes at most. With
	// packets of 100 bytes, 32 save nearly all of the time that can be saved.
	batchLen = 32
	// maxMessage is the length of the longest message: a run of packets that the kernel joined.
	maxMessage = 64 << 10
	// batchTurn is the number of consecutive full batches after which other goroutines may run.
	batchTurn = 16

	nameLen    = unix.SizeofSockaddrInet6
	controlLen = 128 // enough for an address of this machine, a size, and the details of an error
)

// socket is the UDP socket of one address family.
type socket struct {
	m      *Mux
	conn   *net.UDPConn
	raw    syscall.RawConn
	local  netip.AddrPort
	joins  bool        // the kernel joins packets: UDP_GRO
	splits atomic.Bool // the kernel splits messages: UDP_SEGMENT
	queue  queue
	out    outbox
}

// setUp sets the options of the socket. Those that the kernel does not know are left out.
func (s *socket) setUp() error {
	raw, err := s.conn.SyscallConn()
	if err != nil {
		return err
	}
	s.raw = raw
	s.out.init(s)
	return s.control(func(fd int) error {
		setBuffer(fd, unix.SO_RCVBUFFORCE, unix.SO_RCVBUF)
		setBuffer(fd, unix.SO_SNDBUFFORCE, unix.SO_SNDBUF)
		s.joins = unix.SetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_GRO, 1) == nil
		_, err := unix.GetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_SEGMENT)
		s.splits.Store(err == nil)
		level, wantErrors, wantLocal := unix.IPPROTO_IPV6, unix.IPV6_RECVERR, unix.IPV6_RECVPKTINFO
		if s.local.Addr().Is4() {
			level, wantErrors, wantLocal = unix.IPPROTO_IP, unix.IP_RECVERR, unix.IP_PKTINFO
		}
		unix.SetsockoptInt(fd, level, wantErrors, 1)
		s.forbidFragments(fd, true) // uTP finds the largest packet that passes
		if s.local.Addr().IsUnspecified() {
			unix.SetsockoptInt(fd, level, wantLocal, 1)
		}
		return nil
	})
}

// setBuffer requests a buffer of bufferSize bytes: beyond the limit of the system if the process
// may, and else as many bytes as the limit allows.
func setBuffer(fd, force, ordinary int) {
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, force, bufferSize) != nil {
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, ordinary, bufferSize)
	}
}

// control calls f with the descriptor.
func (s *socket) control(f func(fd int) error) error {
	var err error
	if cerr := s.raw.Control(func(fd uintptr) { err = f(int(fd)) }); cerr != nil {
		return cerr
	}
	return err
}

// options reads the options of the socket back.
func (s *socket) options() options {
	o := options{joins: s.joins, splits: s.splits.Load()}
	s.control(func(fd int) error {
		// The kernel doubles the size that is set, for its own memory.
		read, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
		write, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF)
		o.readBuffer, o.writeBuffer = read/2, write/2
		var info [unix.SK_MEMINFO_VARS]uint32
		size := uint32(unsafe.Sizeof(info))
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_MEMINFO, uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
		if errno == 0 {
			o.overflow = uint64(info[unix.SK_MEMINFO_DROPS])
		}
		return nil
	})
	return o
}

// mmsghdr is the kernel's struct mmsghdr.
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32
}

// inbox is the memory of a reader. The headers point to the other fields. The pages of data that
// no message has filled use no memory.
type inbox struct {
	batch    batch
	hdrs     [batchLen]mmsghdr
	vecs     [batchLen]unix.Iovec
	names    [batchLen][nameLen]byte
	controls [batchLen][controlLen]byte
	data     [batchLen][maxMessage]byte
}

func newInbox(m *Mux) *inbox {
	in := &inbox{batch: batch{m: m}}
	for i := range in.hdrs {
		in.vecs[i].Base = &in.data[i][0]
		in.vecs[i].SetLen(maxMessage)
		h := &in.hdrs[i].hdr
		h.Iov = &in.vecs[i]
		h.SetIovlen(1)
		h.Name = &in.names[i][0]
	}
	return in
}

// read reads packets until the Mux is closed.
func (s *socket) read() {
	in := newInbox(s.m)
	for failures := 1; ; failures++ {
		s.raw.Read(func(fd uintptr) bool {
			failures = 0
			return s.readReady(in, fd)
		})
		if s.m.isClosed() {
			return
		}
		// The poller reports an error instead of calling readReady if nothing but an ICMP error
		// is ready.
		s.raw.Control(func(fd uintptr) { s.readErrors(in, fd) })
		s.m.pause(failures)
	}
}

// readReady reads and dispatches all packets that wait. It returns true if the Mux was closed.
func (s *socket) readReady(in *inbox, fd uintptr) bool {
	failures := 0
	for turn := 1; ; turn++ {
		if s.m.isClosed() {
			return true
		}
		n, errno := in.receive(fd, 0)
		switch {
		case errno == unix.EINTR:
			continue
		case errno == unix.EAGAIN:
			s.readErrors(in, fd)
			return false
		case errno != 0: // usually the ICMP error for a packet that was sent earlier
			failures++
			s.readErrors(in, fd)
			s.m.pause(failures)
			continue
		}
		failures = 0
		for i := range n {
			in.add(i)
		}
		in.batch.dispatch()
		if n < batchLen {
			s.readErrors(in, fd)
			return false // the poller reports the next packet
		}
		if turn%batchTurn == 0 {
			runtime.Gosched()
		}
	}
}

// receive reads a batch of messages without waiting. It uses RawSyscall, which saves the
// runtime's preparation for calls that wait.
func (in *inbox) receive(fd uintptr, flags uintptr) (n int, errno syscall.Errno) {
	for i := range in.hdrs {
		h := &in.hdrs[i].hdr
		h.Namelen = nameLen
		h.Control = &in.controls[i][0]
		h.SetControllen(controlLen)
	}
	r, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&in.hdrs)), batchLen, unix.MSG_DONTWAIT|flags, 0, 0)
	return int(r), errno
}

// add adds message i to the batch.
func (in *inbox) add(i int) {
	from := in.name(i)
	if !from.IsValid() {
		return
	}
	var local netip.Addr
	size := 0
	for b := in.control(i); len(b) > 0; {
		var level, typ int32
		var data []byte
		level, typ, data, b = nextControl(b)
		switch {
		case level == unix.IPPROTO_IP && typ == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
			// struct in_pktinfo: the interface, the source of a reply, the destination. They
			// differ for a broadcast, which is no source.
			local = netip.AddrFrom4([4]byte(data[4:8]))
		case level == unix.IPPROTO_IPV6 && typ == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			if local = netip.AddrFrom16([16]byte(data[:16])); local.IsMulticast() {
				local = netip.Addr{}
			}
		case level == unix.IPPROTO_UDP && typ == unix.UDP_GRO && len(data) >= 4:
			size = int(binary.NativeEndian.Uint32(data))
		}
	}
	in.batch.add(from, local, in.data[i][:in.hdrs[i].n], size)
}

// control returns the control messages of message i.
func (in *inbox) control(i int) []byte { return in.controls[i][:in.hdrs[i].hdr.Controllen] }

// nextControl returns the first control message in b and the rest of b. The data is empty if b is
// malformed.
func nextControl(b []byte) (level, typ int32, data, rest []byte) {
	if len(b) < unix.SizeofCmsghdr {
		return 0, 0, nil, nil
	}
	h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
	n := int(h.Len)
	if n < unix.CmsgLen(0) || n > len(b) {
		return 0, 0, nil, nil
	}
	return h.Level, h.Type, b[unix.CmsgLen(0):n], b[min(unix.CmsgSpace(n-unix.CmsgLen(0)), len(b)):]
}

// name returns the address of message i.
func (in *inbox) name(i int) netip.AddrPort {
	b := &in.names[i]
	port := binary.BigEndian.Uint16(b[2:])
	switch binary.NativeEndian.Uint16(b[:]) {
	case unix.AF_INET:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[4:8])), port)
	case unix.AF_INET6:
		a := netip.AddrFrom16([16]byte(b[8:24]))
		if scope := binary.NativeEndian.Uint32(b[24:]); scope != 0 {
			a = a.WithZone(strconv.FormatUint(uint64(scope), 10))
		}
		return netip.AddrPortFrom(a, port)
	}
	return netip.AddrPort{}
}

// putName writes an address as the kernel's struct sockaddr and returns its length.
func putName(b *[nameLen]byte, addr netip.AddrPort) uint32 {
	binary.BigEndian.PutUint16(b[2:], addr.Port())
	if addr.Addr().Is4() {
		binary.NativeEndian.PutUint16(b[:], unix.AF_INET)
		a := addr.Addr().As4()
		copy(b[4:], a[:])
		return unix.SizeofSockaddrInet4
	}
	binary.NativeEndian.PutUint16(b[:], unix.AF_INET6)
	a := addr.Addr().As16()
	copy(b[8:], a[:])
	binary.NativeEndian.PutUint32(b[24:], scopeOf(addr.Addr()))
	return unix.SizeofSockaddrInet6
}

// scopeOf returns the number of the interface in the zone of a, or 0.
func scopeOf(a netip.Addr) uint32 {
	zone := a.Zone()
	if zone == "" {
		return 0
	}
	if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(n)
	}
	if i, err := net.InterfaceByName(zone); err == nil {
		return uint32(i.Index)
	}
	return 0
}

// readErrors reads the ICMP errors that wait, and reports closed ports to the connections that
// sent to them.
func (s *socket) readErrors(in *inbox, fd uintptr) {
	for {
		n, errno := in.receive(fd, unix.MSG_ERRQUEUE)
		if errno != 0 || s.m.isClosed() {
			return
		}
		for i := range n {
			if in.refused(i) {
				s.m.trackers.refused(in.name(i), in.data[i][:in.hdrs[i].n], os.NewSyscallError("read", unix.ECONNREFUSED))
			}
		}
		if n < batchLen {
			return
		}
	}
}

// refused reports whether message i of the error queue says that the port to which a packet was
// sent is closed. The address of the message is that of the port, and its data is the part of the
// packet that the other side has quoted.
func (in *inbox) refused(i int) bool {
	for b := in.control(i); len(b) > 0; {
		var level, typ int32
		var data []byte
		level, typ, data, b = nextControl(b)
		ours := level == unix.IPPROTO_IP && typ == unix.IP_RECVERR || level == unix.IPPROTO_IPV6 && typ == unix.IPV6_RECVERR
		if ours && len(data) >= int(unsafe.Sizeof(unix.SockExtendedErr{})) {
			e := (*unix.SockExtendedErr)(unsafe.Pointer(&data[0]))
			return syscall.Errno(e.Errno) == unix.ECONNREFUSED && (e.Origin == unix.SO_EE_ORIGIN_ICMP || e.Origin == unix.SO_EE_ORIGIN_ICMP6)
		}
	}
	return false
}
