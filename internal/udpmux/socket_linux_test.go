package udpmux

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestClosedPortEndsOnlyItsConnection checks that the ICMP error for a tracker whose port is
// closed ends the connections to it, and neither others nor the reader.
func TestClosedPortEndsOnlyItsConnection(t *testing.T) {
	t.Parallel()
	for _, bind := range []netip.Addr{loopback, netip.IPv6Loopback()} {
		m := listenAt(t, bind)
		gone, server := newPeer(t, bind), newPeer(t, bind)
		refused, good := dialTracker(t, m, gone), dialTracker(t, m, server)
		gone.Close()
		run(t, m)
		if _, err := refused.Write(connectRequest); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 100)
		if _, err := refused.Read(b); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("Read from a closed port returned %v, want ECONNREFUSED", err)
		}
		if _, err := good.Write(connectRequest); err != nil {
			t.Errorf("Write to another tracker returned %v", err)
		}
		_, from := server.next()
		server.send(from, connect)
		if n, err := good.Read(b); err != nil || !bytes.Equal(b[:n], connect) {
			t.Errorf("Read from another tracker returned %q, %v", b[:n], err)
		}
	}
}

// TestForgedErrorIsIgnored checks that an ICMP error ends a connection only if it quotes a request
// that the connection sent.
func TestForgedErrorIsIgnored(t *testing.T) {
	t.Parallel()
	m := listenAt(t, loopback)
	server := newPeer(t, loopback)
	c := dialTracker(t, m, server)
	if _, err := c.Write(connectRequest); err != nil {
		t.Fatal(err)
	}
	forged := bytes.Clone(connectRequest)
	forged[requestLen-1]++
	for _, quoted := range [][]byte{nil, connectRequest[:8], make([]byte, requestLen), forged} {
		m.trackers.refused(server.addr(), quoted, unix.ECONNREFUSED)
		select {
		case <-c.(*trackerConn).done:
			t.Fatalf("an error that quotes %q ended the connection", quoted)
		default:
		}
	}
	b := make([]byte, 100)
	m.trackers.refused(server.addr(), append(bytes.Clone(connectRequest), "more"...), unix.ECONNREFUSED)
	if _, err := c.Read(b); !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("Read after the error for a request returned %v, want ECONNREFUSED", err)
	}
}

// TestErrorsOfEarlierPacketsDoNotStopSend checks that Send sends all packets while ICMP errors
// for others arrive.
func TestErrorsOfEarlierPacketsDoNotStopSend(t *testing.T) {
	t.Parallel()
	m := listenAt(t, loopback)
	gone, p := newPeer(t, loopback), newPeer(t, loopback)
	gone.Close()
	for range 20 { // nothing reads the errors
		for _, batch := range [][]Packet{{{Addr: gone.addr(), Data: ping}}, {{Addr: p.addr(), Data: pong}, {Addr: gone.addr(), Data: ping}, {Addr: p.addr(), Data: pong}}} {
			if sent, err := m.Send(batch); sent != len(batch) || err != nil {
				t.Fatalf("Send returned %d, %v, want %d", sent, err, len(batch))
			}
		}
		p.next()
		p.next()
	}
}

// runOf returns n packets of 1,400 bytes for one address, and a shorter one.
func runOf(to netip.AddrPort, n int) (packets []Packet) {
	for i := range n {
		packets = append(packets, Packet{Addr: to, Data: bytes.Repeat([]byte{byte(i)}, 1400)})
	}
	return append(packets, Packet{Addr: to, Data: []byte("the last is shorter")})
}

// countMessages counts the messages that the socket of m sends, and how many of them the kernel
// has to split. Its hook returns the error for a message, or 0 to send it.
func countMessages(m *Mux, hook func(split bool) syscall.Errno) (whole, split *int) {
	whole, split = new(int), new(int)
	for _, s := range m.sockets {
		s.out.sendmmsg = func(fd uintptr, hdrs []mmsghdr) (int, syscall.Errno) {
			isSplit := hdrs[0].hdr.Iovlen > 1
			if errno := hook(isSplit); errno != 0 {
				return 0, errno
			}
			n, errno := sendmmsg(fd, hdrs[:1])
			if errno == 0 && isSplit {
				*split++
			} else if errno == 0 {
				*whole++
			}
			return n, errno
		}
	}
	return whole, split
}

// TestRunsAreSplitByTheKernel checks that a run of packets is sent as one message and arrives as
// the same packets.
func TestRunsAreSplitByTheKernel(t *testing.T) {
	t.Parallel()
	for _, bind := range []netip.Addr{loopback, netip.IPv6Loopback()} {
		t.Run(bind.String(), func(t *testing.T) {
			m := listenAt(t, bind)
			if !m.Stats().Splits {
				t.Skip("the kernel does not split messages")
			}
			whole, split := countMessages(m, func(bool) syscall.Errno { return 0 })
			p := newPeer(t, bind)
			packets := runOf(p.addr(), 40)
			if sent, err := m.Send(packets); sent != len(packets) || err != nil {
				t.Fatalf("Send returned %d, %v, want %d", sent, err, len(packets))
			}
			if *split != 1 || *whole != 0 {
				t.Errorf("Send needed %d messages that are split and %d others, want 1 and 0", *split, *whole)
			}
			for i, sent := range packets {
				if got, _ := p.next(); !bytes.Equal(got, sent.Data) {
					t.Errorf("packet %d arrived as %d bytes", i, len(got))
				}
			}
		})
	}
}

// TestSendFallsBackToSinglePackets checks what happens when the kernel refuses to split: the
// packets of the run are sent one by one, and after EIO no other run is tried.
func TestSendFallsBackToSinglePackets(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		errno  unix.Errno
		splits bool
	}{{unix.EIO, false}, {unix.EINVAL, true}, {unix.EMSGSIZE, true}} {
		m := listenAt(t, loopback)
		m.sockets[0].splits.Store(true)
		whole, split := countMessages(m, func(isSplit bool) syscall.Errno {
			if isSplit {
				return c.errno
			}
			return 0
		})
		p := newPeer(t, loopback)
		packets := append([]Packet{{Addr: p.addr(), Data: ping}}, runOf(p.addr(), 70)...)
		for range 2 {
			if sent, err := m.Send(packets); sent != len(packets) || err != nil {
				t.Fatalf("after %v Send returned %d, %v, want %d", c.errno, sent, err, len(packets))
			}
			for i, sent := range packets {
				if got, _ := p.next(); !bytes.Equal(got, sent.Data) {
					t.Fatalf("after %v packet %d arrived as %d bytes", c.errno, i, len(got))
				}
			}
		}
		if *split != 0 || *whole != 2*len(packets) || m.Stats().Splits != c.splits {
			t.Errorf("after %v %d messages were sent, Splits is %v; want %d, %v", c.errno, *whole, m.Stats().Splits, 2*len(packets), c.splits)
		}
	}
}

// TestFullBufferDropsTheRest checks that Send does not wait if the kernel has no room.
func TestFullBufferDropsTheRest(t *testing.T) {
	t.Parallel()
	m := listenAt(t, loopback)
	p := newPeer(t, loopback)
	calls := 0
	countMessages(m, func(bool) syscall.Errno {
		calls++
		if calls > 2 {
			return unix.EAGAIN
		}
		return 0
	})
	var packets []Packet
	for i := range 5 {
		packets = append(packets, Packet{Addr: p.addr(), Data: make([]byte, 1+i)})
	}
	if sent, err := m.Send(packets); sent != 2 || !errors.Is(err, unix.EAGAIN) || m.Stats().Unsent != 3 {
		t.Errorf("Send returned %d, %v, and counted %d packets; want 2, EAGAIN, 3", sent, err, m.Stats().Unsent)
	}
}

// TestJoinedPacketsAreTakenApart checks that a run that the kernel joined reaches the receiver as
// the packets that were sent, each with its own kind.
func TestJoinedPacketsAreTakenApart(t *testing.T) {
	t.Parallel()
	from, to := listenAt(t, loopback), listenAt(t, netip.Addr{})
	dht, utp := collect(to, DHT), collect(to, UTP)
	at := netip.AddrPortFrom(loopback, to.Port())
	var packets []Packet
	for i := range 46 {
		data := make([]byte, 1400)
		copy(data, utpData)
		if i%2 == 1 {
			data[0], data[1399] = 'd', 'e'
		}
		data[1398] = byte(i)
		packets = append(packets, Packet{Addr: at, Data: data})
	}
	packets = append(packets, Packet{Addr: at, Data: utpData})
	if sent, err := from.Send(packets); sent != len(packets) {
		t.Fatal(sent, err)
	}
	joined := to.sockets[0].joins && from.Stats().Splits
	in := newInbox(to)
	read := 0
	to.sockets[0].control(func(fd int) error {
		n, errno := in.receive(uintptr(fd), 0)
		if errno != 0 {
			return errno
		}
		for i := range n {
			in.add(i)
		}
		in.batch.dispatch()
		read = n
		return nil
	})
	if joined && read != 1 {
		t.Fatalf("the run was read as %d messages, want 1", read)
	} else if !joined {
		t.Skip("the kernel joins no packets")
	}
	for i, sent := range packets {
		got := dht
		if i%2 == 0 {
			got = utp
		}
		if p := want(t, got); !bytes.Equal(p.Data, sent.Data) || p.Addr.Port() != from.Port() || p.Local != loopback {
			t.Errorf("packet %d arrived as %d bytes from %v to %v", i, len(p.Data), p.Addr, p.Local)
		}
	}
}

// TestBuffersAreReadBack checks that Stats has the sizes of the buffers that the kernel granted,
// and counts packets that did not fit.
func TestBuffersAreReadBack(t *testing.T) {
	t.Parallel()
	m := listenAt(t, loopback)
	st := m.Stats()
	if st.ReadBuffer < 1<<10 || st.ReadBuffer > bufferSize || st.WriteBuffer < 1<<10 || st.Overflow != 0 {
		t.Errorf("the buffers have %d and %d bytes, %d packets did not fit", st.ReadBuffer, st.WriteBuffer, st.Overflow)
	}
	if err := m.sockets[0].conn.SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	p := newPeer(t, loopback)
	for range 50 {
		p.send(netip.AddrPortFrom(loopback, m.Port()), make([]byte, 1400))
	}
	if st := m.Stats(); st.ReadBuffer >= 64<<10 || st.Overflow < 10 {
		t.Errorf("the buffer has %d bytes and %d packets did not fit", st.ReadBuffer, st.Overflow)
	}
}

// TestNoAllocations checks that sending, reading and replying allocate nothing.
func TestNoAllocations(t *testing.T) {
	m := listenAt(t, netip.Addr{})
	m.Receive(DHT, func(batch []Packet) {
		for _, p := range batch {
			m.Queue(p.Reply(pong))
		}
	})
	p := newPeer(t, loopback)
	from := listenAt(t, loopback)
	to := netip.AddrPortFrom(loopback, m.Port())
	packets := []Packet{{Addr: to, Data: ping}, {Addr: to, Data: ping}, {Addr: to, Data: pong}, {Addr: p.addr(), Data: utpSYN}}
	in, fd := newInbox(m), uintptr(0)
	m.sockets[0].control(func(f int) error { fd = uintptr(f); return nil })
	if n := testing.AllocsPerRun(100, func() {
		from.Send(packets)
		n, errno := in.receive(fd, 0)
		if errno != 0 || n == 0 {
			t.Fatal(n, errno)
		}
		for i := range n {
			in.add(i)
		}
		in.batch.dispatch()
	}); n != 0 {
		t.Errorf("%v allocations for a batch", n)
	}
}

// TestLinkLocalAddresses checks that the interface of a link-local address survives the kernel's
// form.
func TestLinkLocalAddresses(t *testing.T) {
	t.Parallel()
	in := newInbox(nil)
	for _, s := range []string{"192.0.2.1:6881", "[2001:db8::1]:6881", "[fe80::1%1]:6881"} {
		ap := netip.MustParseAddrPort(s)
		putName(&in.names[0], ap)
		if got := in.name(0); got != ap {
			t.Errorf("%v became %v", ap, got)
		}
	}
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Skip(err)
	}
	if n := scopeOf(netip.MustParseAddr("fe80::1%lo")); n != uint32(lo.Index) {
		t.Errorf("the interface lo has the number %d, want %d", n, lo.Index)
	}
}
