package udpmux

import (
	"bytes"
	"net/netip"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestSendFragmented checks that IP may fragment the packet that SendFragmented sends, and no packet
// after it.
func TestSendFragmented(t *testing.T) {
	t.Parallel()
	for _, bind := range []netip.Addr{loopback, netip.IPv6Loopback()} {
		m := listenAt(t, bind)
		p := newPeer(t, bind)
		level, option := unix.IPPROTO_IP, unix.IP_MTU_DISCOVER
		if bind.Is6() {
			level, option = unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER
		}
		s := m.socketFor(bind)
		var modes []int
		s.out.sendmmsg = func(fd uintptr, hdrs []mmsghdr) (int, syscall.Errno) {
			mode, err := unix.GetsockoptInt(int(fd), level, option)
			if err != nil {
				t.Error(err)
			}
			modes = append(modes, mode)
			return sendmmsg(fd, hdrs)
		}
		data := bytes.Repeat([]byte("x"), 1472)
		if err := m.SendFragmented(Packet{Addr: p.addr(), Data: data}); err != nil {
			t.Fatal(err)
		}
		if got, _ := p.next(); !bytes.Equal(got, data) {
			t.Errorf("received %d bytes, want %d", len(got), len(data))
		}
		if _, err := m.Send([]Packet{{Addr: p.addr(), Data: data}}); err != nil {
			t.Fatal(err)
		}
		if len(modes) != 2 || modes[0] != unix.IP_PMTUDISC_DONT || modes[1] != unix.IP_PMTUDISC_PROBE {
			t.Errorf("%v: the packets were sent with the modes %v, want DONT and PROBE", bind, modes)
		}
	}
	if err := listenAt(t, loopback).SendFragmented(Packet{Addr: netip.MustParseAddrPort("[::1]:1")}); err == nil {
		t.Error("a packet to a family without a socket was sent")
	}
}
