package trackerserver

import (
	"bytes"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"spate/tracker/wire"
)

// dhtPing is a message of the DHT (BEP 5).
const dhtPing = "d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe"

// TestUDPPassesMessagesOfDHT checks that Options.DHT gets the messages of the DHT with the address
// and the port of their sender, and that its reply goes there from the socket of the tracker, for
// both address families and both loops.
func TestUDPPassesMessagesOfDHT(t *testing.T) {
	for _, network := range []string{"udp4 127.0.0.1:0", "udp6 [::1]:0", "udp :0", "plain 127.0.0.1:0"} {
		t.Run(network, func(t *testing.T) {
			s := newServer(t, Options{DHT: func(from netip.AddrPort, packet, out []byte) []byte {
				return append(append(append(out, from.String()...), ' '), packet...)
			}})
			kind, addr, _ := strings.Cut(network, " ")
			conn, err := net.ListenPacket(strings.Replace(kind, "plain", "udp", 1), addr)
			if err != nil {
				t.Skip(err)
			}
			if kind == "plain" {
				conn = plainConn{conn}
			}
			at := serveUDP(t, s, conn)
			if kind == "udp" {
				at = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.2"), conn.LocalAddr().(*net.UDPAddr).AddrPort().Port()).String()
			}
			c, err := net.Dial("udp", at)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(patience))
			if _, err := c.Write([]byte(dhtPing)); err != nil {
				t.Fatal(err)
			}
			b := make([]byte, 2000)
			n, err := c.Read(b)
			if want := c.LocalAddr().String() + " " + dhtPing; err != nil || string(b[:n]) != want {
				t.Errorf("the reply is %q (%v), want %q", b[:n], err, want)
			}
		})
	}
}

// TestUDPTellsMessagesOfDHTFromAnnounces checks that a packet with a valid connection id is for the
// tracker although its first byte is that of messages of the DHT, that a refused network gets no
// answer, and that neither a reply that is too long nor a tracker without Options.DHT sends one.
func TestUDPTellsMessagesOfDHTFromAnnounces(t *testing.T) {
	asked, size := 0, 0
	s := newServer(t, Options{DenyNets: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}, DHT: func(_ netip.AddrPort, _, out []byte) []byte {
		asked++
		return append(out, bytes.Repeat([]byte{'x'}, size)...)
	}})
	w, req, plain := s.newUDPWorker(), peer(1), newServer(t, Options{})
	from, id := netip.MustParseAddrPort("192.0.2.1:7"), uint64(0)
	for n := 0; id>>56 != 'd'; n++ {
		from = netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, byte(n >> 8), byte(n)}), 7)
		id = s.opts.Key.id(s.now(), from.Addr())
	}
	a, _, _, err := wire.ParseUDPReply(w.reply(s.now(), from, wire.AppendUDPAnnounce(nil, id, 1, &req, ""), nil))
	if err != nil || a != wire.ActionAnnounce || asked != 0 {
		t.Errorf("an announce got %v (%v), and %d packets went to the DHT", a, err, asked)
	}
	for _, c := range []struct {
		s          *Server
		from       string
		size, want int
	}{
		{s, "192.0.2.1:7", 100, 100}, {s, "192.0.2.1:7", maxUDPReply, maxUDPReply}, {s, "192.0.2.1:7", maxUDPReply + 1, 0},
		{s, "[::ffff:198.51.100.1]:7", 100, 0}, {plain, "192.0.2.1:7", 100, 0},
	} {
		size = c.size
		for _, packet := range []string{dhtPing, "d"} {
			if got := c.s.newUDPWorker().reply(s.now(), netip.MustParseAddrPort(c.from), []byte(packet), nil); len(got) != c.want {
				t.Errorf("%q from %s got %d bytes, want %d", packet, c.from, len(got), c.want)
			}
		}
	}
	if c := s.Counts(); c.Unproved != 0 || c.Malformed != 0 || plain.Counts().Unproved != 1 {
		t.Errorf("the counts are %+v, and without DHT %+v", c, plain.Counts())
	}
}
