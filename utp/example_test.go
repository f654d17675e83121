package utp_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/netip"

	"spate/utp"
)

// udp carries the packets of a [utp.Socket] over a UDP socket.
type udp struct{ *net.UDPConn }

func (u udp) WriteTo(b []byte, to netip.AddrPort) error {
	_, err := u.WriteToUDPAddrPort(b, to)
	return err
}

// listen returns a uTP socket on loopback and its address.
func listen() (*utp.Socket, netip.AddrPort) {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		log.Fatal(err)
	}
	addr := c.LocalAddr().(*net.UDPAddr).AddrPort()
	s, err := utp.NewSocket(udp{c}, utp.Options{Addr: addr})
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		defer c.Close()
		b := make([]byte, 2048)
		for {
			n, from, err := c.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			s.Handle(b[:n], netip.AddrPortFrom(from.Addr().Unmap(), from.Port()))
		}
	}()
	return s, addr
}

// Connect two sockets and send some bytes.
func Example() {
	server, addr := listen()
	defer server.Close()
	go func() {
		c, err := server.Accept() // a net.Conn
		if err != nil {
			return
		}
		io.WriteString(c, "hello over UDP")
		c.Close()
	}()

	client, _ := listen()
	defer client.Close()
	c, err := client.Dial(context.Background(), addr)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	b, err := io.ReadAll(c)
	fmt.Printf("%s %v\n", b, err)
	// Output: hello over UDP <nil>
}
