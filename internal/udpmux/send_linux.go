package udpmux

import (
	"encoding/binary"
	"os"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Bounds of a message that the kernel splits, and of one system call.
const (
	maxSegments = 64    // kernels before 6.8 split a message into no more packets
	maxRun      = 65000 // bytes of a message; with all headers, the packet must have less than 64 KiB
	maxVecs     = 256   // packets of one call, which takes about 0.1 ms for full runs
)

// outbox is the memory with which a socket sends. The headers point to the other fields, and the
// vectors to the data of the packets.
type outbox struct {
	mu       sync.Mutex // guards the fields below
	s        *socket
	hdrs     [batchLen]mmsghdr
	vecs     [maxVecs]unix.Iovec
	names    [batchLen][nameLen]byte
	controls [batchLen][controlLen]byte
	lens     [batchLen]int // the number of packets in each message
	run      func(fd uintptr)
	sendmmsg func(fd uintptr, hdrs []mmsghdr) (int, syscall.Errno) // replaced in tests

	packets []Packet // the packets of the current call of send
	next    int      // the first packet that is not handled yet
	single  int      // packets before this index are sent as messages of their own
	sent    int
	err     error // the first error
}

func (o *outbox) init(s *socket) {
	o.s, o.run, o.sendmmsg = s, o.sendAll, sendmmsg
	for i := range o.hdrs {
		o.hdrs[i].hdr.Name = &o.names[i][0]
	}
}

// sendmmsg sends messages without waiting. It uses RawSyscall6, because a call for many packets is
// long enough that the runtime would pass the work of this thread on to another one, which costs
// more than the delay of this thread's other goroutines by up to a millisecond.
func sendmmsg(fd uintptr, hdrs []mmsghdr) (int, syscall.Errno) {
	r, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&hdrs[0])), uintptr(len(hdrs)), unix.MSG_DONTWAIT, 0, 0)
	return int(r), errno
}

// send sends packets of the family of the socket; see [Mux.Send].
func (s *socket) send(packets []Packet) (sent int, err error) {
	o := &s.out
	o.mu.Lock()
	defer o.mu.Unlock()
	o.packets, o.next, o.single, o.sent, o.err = packets, 0, 0, 0, nil
	if err := s.raw.Control(o.run); err != nil {
		return 0, err
	}
	o.packets = nil
	return o.sent, o.err
}

// sendFragmented sends a packet that may be fragmented; see [Mux.SendFragmented]. The options of the
// socket hold for all packets, and o.mu keeps other senders out while they differ.
func (s *socket) sendFragmented(p Packet) (sent int, err error) {
	o := &s.out
	o.mu.Lock()
	defer o.mu.Unlock()
	o.packets, o.next, o.single, o.sent, o.err = []Packet{p}, 0, 0, 0, nil
	err = s.raw.Control(func(fd uintptr) {
		s.forbidFragments(int(fd), false)
		defer s.forbidFragments(int(fd), true)
		o.sendAll(fd)
	})
	o.packets = nil
	if err != nil {
		return 0, err
	}
	return o.sent, o.err
}

// leastMTU is the size of packets that every network of IPv6 carries (RFC 8200).
const leastMTU = 1280

// forbidFragments sets whether packets are sent that exceed what the path carries.
func (s *socket) forbidFragments(fd int, forbid bool) {
	discover := unix.IP_PMTUDISC_DONT
	if forbid {
		discover = unix.IP_PMTUDISC_PROBE
	}
	if s.local.Addr().Is4() {
		unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, discover)
		return
	}
	// Routers of IPv6 do not fragment, so the sender must know a size that passes.
	only, size := 0, leastMTU
	if forbid {
		only, size = 1, 0
	}
	unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, discover) // the values are those of IPv4
	unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_DONTFRAG, only)
	unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MTU, size)
}

// sendAll sends o.packets. It fills the headers for as many packets as fit, and sends these
// messages. If the kernel refuses one that is a run of packets, it fills the headers again with
// a message for each packet of the run.
func (o *outbox) sendAll(fd uintptr) {
	for o.next < len(o.packets) {
		if !o.sendFilled(fd, o.hdrs[:o.fill()]) {
			return
		}
	}
}

// sendFilled sends the messages of hdrs, which hold the packets from o.next. It returns false if
// the rest of the packets must be dropped. It returns before the end of hdrs if the packets of a
// message must be sent one by one.
func (o *outbox) sendFilled(fd uintptr, hdrs []mmsghdr) bool {
	done, again := 0, false
	for done < len(hdrs) {
		n, errno := o.sendmmsg(fd, hdrs[done:])
		if errno == 0 {
			for _, packets := range o.lens[done : done+n] {
				o.sent += packets
				o.next += packets
			}
			done, again = done+n, false
			continue
		}
		switch {
		case errno == unix.EINTR:
		case errno == unix.EAGAIN || errno == unix.ENOBUFS:
			o.fail(errno)
			return false
		case !again:
			again = true // errno can be the ICMP error for an earlier packet
		case o.lens[done] > 1:
			// The route cannot take a run: EIO if the network card computes no checksums, EINVAL
			// if the packets are longer than its MTU.
			if errno == unix.EIO {
				o.s.splits.Store(false)
			}
			o.single = o.next + o.lens[done]
			return true
		default:
			o.fail(errno)
			o.next++
			done, again = done+1, false
		}
	}
	return true
}

func (o *outbox) fail(errno syscall.Errno) {
	if o.err == nil {
		o.err = os.NewSyscallError("sendmmsg", errno)
	}
}

// fill fills the headers for the packets from o.next, and returns the number of messages.
func (o *outbox) fill() (messages int) {
	splits := o.s.splits.Load()
	vecs := 0
	for at := o.next; at < len(o.packets) && messages < batchLen && vecs < maxVecs; messages++ {
		run := 1
		if splits && at >= o.single {
			run = runLen(o.packets[at:min(len(o.packets), at+maxSegments, at+maxVecs-vecs)])
		}
		packets := o.packets[at : at+run]
		h := &o.hdrs[messages].hdr
		h.Iov = &o.vecs[vecs]
		h.SetIovlen(run)
		for i := range packets {
			v := &o.vecs[vecs+i]
			v.Base = unsafe.SliceData(packets[i].Data)
			v.SetLen(len(packets[i].Data))
		}
		h.Namelen = putName(&o.names[messages], packets[0].Addr)
		o.putControl(messages, &packets[0], run)
		o.lens[messages] = run
		vecs += run
		at += run
	}
	return messages
}

// runLen returns how many of the first packets can be sent as one message that the kernel
// splits. All but the last have the same size.
func runLen(packets []Packet) int {
	first := &packets[0]
	size, total := len(first.Data), len(first.Data)
	if size == 0 {
		return 1
	}
	for i := 1; i < len(packets); i++ {
		p := &packets[i]
		total += len(p.Data)
		if len(p.Data) > size || len(p.Data) == 0 || total > maxRun || p.Addr != first.Addr || p.Local != first.Local {
			return i
		}
		if len(p.Data) < size {
			return i + 1
		}
	}
	return len(packets)
}

// putControl writes the control messages of message i: the source address if p has one, and the
// size of the packets if there are several.
func (o *outbox) putControl(i int, p *Packet, run int) {
	b := o.controls[i][:0]
	if p.Local.IsValid() && p.Local.Is4() == p.Addr.Addr().Is4() {
		// The interface in both structures is 0, so that the kernel chooses it.
		if p.Local.Is4() {
			var info [unix.SizeofInet4Pktinfo]byte
			a := p.Local.As4()
			copy(info[4:], a[:])
			b = appendControl(b, unix.IPPROTO_IP, unix.IP_PKTINFO, info[:])
		} else {
			var info [unix.SizeofInet6Pktinfo]byte
			a := p.Local.As16()
			copy(info[:], a[:])
			b = appendControl(b, unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, info[:])
		}
	}
	if run > 1 {
		var size [2]byte
		binary.NativeEndian.PutUint16(size[:], uint16(len(p.Data)))
		b = appendControl(b, unix.IPPROTO_UDP, unix.UDP_SEGMENT, size[:])
	}
	h := &o.hdrs[i].hdr
	h.Control = nil
	if len(b) > 0 {
		h.Control = &b[0]
	}
	h.SetControllen(len(b))
}

// appendControl appends a control message to b, which has the capacity for it.
func appendControl(b []byte, level, typ int32, data []byte) []byte {
	begin := len(b)
	b = b[:begin+unix.CmsgSpace(len(data))]
	h := (*unix.Cmsghdr)(unsafe.Pointer(&b[begin]))
	h.Level, h.Type = level, typ
	h.SetLen(unix.CmsgLen(len(data)))
	copy(b[begin+unix.CmsgLen(0):], data)
	return b
}
