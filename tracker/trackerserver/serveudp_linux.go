package trackerserver

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// batches is true because serveBatches is faster than servePackets.
const batches = true

const (
	// batchLen is the number of packets that one system call reads or writes at most.
	// Measured with an announce that takes 15 µs with single calls: 8 save most of the
	// time that can be saved, and 32 nearly all.
	batchLen = 32
	// maxUDPSockets limits the sockets at one address, because each has buffers.
	maxUDPSockets = 16
	// udpReadBuffer is the requested size of the receive buffer in bytes. It holds about
	// 5,000 packets while the process does not run.
	udpReadBuffer = 4 << 20
	// batchTurn is the number of consecutive full batches, about 3 ms, after which other
	// goroutines may run.
	batchTurn = 16
	// maxDrain limits the batches that are answered before a socket is closed.
	maxDrain = 256

	nameLen    = unix.SizeofSockaddrInet6
	controlLen = 64 // a control message with packet info has at most 40 bytes
)

// serveBatches serves conn and further sockets at its address, with a goroutine for each,
// until one of them fails or ctx is done.
func (s *Server) serveBatches(ctx context.Context, conn *net.UDPConn) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for _, sibling := range s.siblings(ctx, conn) {
		wg.Go(func() {
			stop := context.AfterFunc(ctx, func() { sibling.SetReadDeadline(time.Unix(1, 0)) })
			defer stop()
			defer sibling.Close()
			cancel(s.serveBatch(sibling))
		})
	}
	stop := context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Unix(1, 0)) })
	err := s.serveBatch(conn)
	if !stop() {
		err = context.Cause(ctx)
	}
	cancel(err)
	wg.Wait()
	return err
}

// siblings opens further sockets at the address of conn, so that there is one for each
// processor. It logs errors, because conn alone can serve all clients.
func (s *Server) siblings(ctx context.Context, conn *net.UDPConn) (out []*net.UDPConn) {
	more := min(runtime.GOMAXPROCS(0), maxUDPSockets) - 1
	raw, err := conn.SyscallConn()
	if err != nil || more < 1 {
		return nil
	}
	network := "udp"
	err = control(raw, func(fd int) error {
		if only, err := unix.GetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY); err == nil && only != 0 {
			network = "udp6"
		} else if err != nil {
			network = "udp4"
		}
		// conn was bound without this option, so no other process has the address. From
		// now on the kernel lets only processes of the same user bind it.
		return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	})
	if err != nil {
		s.log.Debug("one UDP socket serves all processors", "error", err)
		return nil
	}
	lc := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		return control(raw, func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
	}}
	for range more {
		c, err := lc.ListenPacket(ctx, network, conn.LocalAddr().String())
		if err != nil {
			s.log.Debug("fewer UDP sockets than processors", "error", err)
			break
		}
		out = append(out, c.(*net.UDPConn))
	}
	return out
}

// control calls f with the descriptor of raw.
func control(raw syscall.RawConn, f func(fd int) error) error {
	var err error
	if cerr := raw.Control(func(fd uintptr) { err = f(int(fd)) }); cerr != nil {
		return cerr
	}
	return err
}

// batch is the memory of serveBatch. The headers in and out point to the other fields.
type batch struct {
	in, out  [batchLen]mmsghdr
	inVec    [batchLen]unix.Iovec
	outVec   [batchLen]unix.Iovec
	names    [batchLen][nameLen]byte
	controls [batchLen][controlLen]byte
	packets  [batchLen][maxUDPRequest]byte
	replies  [batchLen][maxUDPReply]byte
	info     bool // the kernel reports to which address each packet was sent, in controls
}

// mmsghdr is the kernel's struct mmsghdr.
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32
}

// serveBatch serves one socket in a loop:
//
//  1. It waits until the socket is readable, unless the last batch was full.
//  2. recvmmsg reads up to batchLen packets, with the addresses they were sent to.
//  3. It answers each packet into a buffer, and then calls flush.
//  4. sendmmsg sends the replies from these addresses.
//
// Both system calls never wait. They are made with RawSyscall, which saves the runtime's
// preparation for calls that wait.
func (s *Server) serveBatch(conn *net.UDPConn) error {
	conn.SetReadBuffer(udpReadBuffer) // if it fails, the default size is used
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	b := new(batch)
	if a := addrOf(conn.LocalAddr()); a.IsUnspecified() {
		if err := control(raw, wantPacketInfo); err != nil {
			return err
		}
		b.info = true
	}
	for i := range b.in {
		b.inVec[i].Base = &b.packets[i][0]
		b.inVec[i].SetLen(maxUDPRequest)
		b.in[i].hdr.Iov = &b.inVec[i]
		b.in[i].hdr.SetIovlen(1)
		b.in[i].hdr.Name = &b.names[i][0]
		b.outVec[i].Base = &b.replies[i][0]
		b.out[i].hdr.Iov = &b.outVec[i]
		b.out[i].hdr.SetIovlen(1)
	}
	w := s.newUDPWorker()
	var failed error
	failures := 0
	err = raw.Read(func(fd uintptr) bool {
		for turn := 1; ; turn++ {
			n, errno := b.receive(fd)
			switch {
			case errno == unix.EAGAIN:
				return false
			case errno == unix.EINTR:
				continue
			case errno != 0:
				// The error can be that of an earlier reply.
				failures++
				if failures < maxReadFailures {
					continue
				}
				failed = errno
				return true
			}
			failures = 0
			if replies := b.answer(w, n); replies > 0 {
				w.n.dropped.Add(uint64(b.send(fd, replies)))
			}
			if n < batchLen {
				return false // the poller reports the next packet
			}
			if turn%batchTurn == 0 {
				runtime.Gosched()
			}
		}
	})
	if failed != nil {
		return failed
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		drain := func(fd int) error { b.drain(w, uintptr(fd)); return nil }
		err = errors.Join(err, control(raw, drain))
	}
	return err
}

// drain answers the packets that wait in a socket before it is closed.
func (b *batch) drain(w *udpWorker, fd uintptr) {
	for range maxDrain {
		n, errno := b.receive(fd)
		if errno != 0 {
			return
		}
		if replies := b.answer(w, n); replies > 0 {
			w.n.dropped.Add(uint64(b.send(fd, replies)))
		}
	}
}

// wantPacketInfo makes the kernel report to which address each packet was sent.
func wantPacketInfo(fd int) error {
	if unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1) == nil {
		return nil // this includes the IPv4 packets of a dual-stack socket
	}
	return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
}

// receive reads a batch of packets without waiting.
func (b *batch) receive(fd uintptr) (n int, errno syscall.Errno) {
	for i := range b.in {
		h := &b.in[i].hdr
		h.Namelen = nameLen
		if b.info {
			h.Control = &b.controls[i][0]
			h.SetControllen(controlLen)
		}
	}
	r, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&b.in)), batchLen, unix.MSG_DONTWAIT, 0, 0)
	return int(r), errno
}

// answer answers the first n packets and returns the number of replies, which are the
// first elements of b.out.
func (b *batch) answer(w *udpWorker, n int) (replies int) {
	now := w.s.now()
	for i := range n {
		from := b.sender(i)
		if !from.IsValid() {
			continue
		}
		reply := w.answerFrom(now, from, b.packets[i][:b.in[i].n], b.replies[replies][:0])
		if len(reply) == 0 {
			continue
		}
		h := &b.out[replies].hdr
		b.outVec[replies].SetLen(len(reply))
		h.Name, h.Namelen = &b.names[i][0], b.in[i].hdr.Namelen
		h.Control = nil
		h.SetControllen(0)
		if size := b.sourceOf(i); size > 0 {
			h.Control = &b.controls[i][0]
			h.SetControllen(size)
		}
		replies++
	}
	w.flush()
	return replies
}

// sender returns the source address and port of packet i.
func (b *batch) sender(i int) netip.AddrPort {
	name := &b.names[i]
	port := binary.BigEndian.Uint16(name[2:])
	switch binary.NativeEndian.Uint16(name[:]) {
	case unix.AF_INET:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(name[4:8])), port)
	case unix.AF_INET6:
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(name[8:24])).Unmap(), port)
	}
	return netip.AddrPort{}
}

// sourceOf changes the control message of packet i, which has the address to which the
// packet was sent, into one that sends the reply from this address. It returns the length
// of the message, or 0 if the kernel chooses the address.
func (b *batch) sourceOf(i int) int {
	if !b.info || b.in[i].hdr.Controllen < unix.SizeofCmsghdr {
		return 0
	}
	c := &b.controls[i]
	h := (*unix.Cmsghdr)(unsafe.Pointer(c))
	data := c[unix.CmsgLen(0):]
	switch {
	case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_PKTINFO:
		// struct in6_pktinfo has the address and the interface. A link-local address
		// needs the interface; for other addresses the kernel chooses it.
		if !netip.AddrFrom16([16]byte(data)).IsLinkLocalUnicast() {
			clear(data[16:20])
		}
		return unix.CmsgSpace(unix.SizeofInet6Pktinfo)
	case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO:
		clear(data[:4]) // the interface in struct in_pktinfo, so that the kernel chooses it
		return unix.CmsgSpace(unix.SizeofInet4Pktinfo)
	}
	return 0
}

// send sends the first n replies and returns the number of those that were dropped.
func (b *batch) send(fd uintptr, n int) (dropped int) {
	for done := 0; done < n; {
		r, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&b.out[done])), uintptr(n-done), unix.MSG_DONTWAIT, 0, 0)
		switch {
		case errno == 0:
			done += int(r)
		case errno == unix.EINTR:
		case errno == unix.EAGAIN || errno == unix.ENOBUFS:
			return dropped + n - done
		default: // only the first of these replies cannot be sent
			dropped++
			done++
		}
	}
	return dropped
}
