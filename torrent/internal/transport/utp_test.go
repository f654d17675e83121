package transport

import (
	"net"
	"net/netip"
	"testing"

	"spate/utp"
)

// The engine treats a connection over uTP as a [Socket].
var _ Socket = (*utp.Conn)(nil)

// udp carries the packets of a uTP socket.
type udp struct{ *net.UDPConn }

func (u udp) WriteTo(b []byte, to netip.AddrPort) error {
	_, err := u.WriteToUDPAddrPort(b, to)
	return err
}

// listenUTP returns a uTP socket on loopback that lives until the test ends.
func listenUTP(t *testing.T) *utp.Socket {
	t.Helper()
	nc, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	nc.SetReadBuffer(1 << 20)
	s, err := utp.NewSocket(udp{nc}, utp.Options{Addr: nc.LocalAddr().(*net.UDPAddr).AddrPort(), ReceiveWindow: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close(); nc.Close() })
	go func() {
		for b := make([]byte, 2048); ; {
			n, from, err := nc.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			s.Handle(b[:n], from)
		}
	}()
	return s
}

// utpPair returns both ends of a connection over uTP.
func utpPair(t *testing.T) (a, b net.Conn) {
	t.Helper()
	here, there := listenUTP(t), listenUTP(t)
	a, err := here.Dial(t.Context(), there.Addr().(*net.UDPAddr).AddrPort())
	if err != nil {
		t.Fatal(err)
	}
	if b, err = there.Accept(); err != nil {
		t.Fatal(err)
	}
	return a, b
}
