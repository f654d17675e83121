package daemon

import (
	"bytes"
	"net"
	"net/netip"
	"testing"
	"time"

	"spate/dht"
	"spate/internal/udpmux"
)

// TestDHTAnswersFromAskedAddress checks that a query which is sent to one of several addresses of
// the machine is answered from that address, although the system would choose another one.
func TestDHTAnswersFromAskedAddress(t *testing.T) {
	t.Parallel()
	udp, err := udpmux.Listen(netip.IPv4Unspecified(), 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(udp.Close)
	n, err := dht.New(dht.Options{Send: sender(udp), IPv4: true})
	if err != nil {
		t.Fatal(err)
	}
	udp.Receive(udpmux.DHT, receiver(n))
	go udp.Run(t.Context())
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetReadDeadline(time.Now().Add(time.Minute))
	asked := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 9}), udp.Port())
	if _, err := c.WriteToUDPAddrPort([]byte("d1:ad2:id20:abcdefghij0123456789e1:q4:ping2:roi1e1:t2:aa1:y1:qe"), asked); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1500)
	size, from, err := c.ReadFromUDPAddrPort(b)
	if err != nil || !bytes.Contains(b[:size], []byte("1:t2:aa")) {
		t.Fatalf("the reply is %q, %v", b[:size], err)
	}
	if from != asked {
		t.Errorf("the reply came from %v, want %v", from, asked)
	}
}
