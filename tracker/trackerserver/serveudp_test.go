package trackerserver

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"spate"
	"spate/tracker"
	"spate/tracker/trackerclient"
	"spate/tracker/wire"
)

// connected returns a worker and a connection id for the address from.
func connected(t testing.TB, s *Server, from netip.Addr) (*udpWorker, uint64) {
	t.Helper()
	w := s.newUDPWorker()
	reply := w.answer(s.now(), from, wire.AppendUDPConnect(nil, 5), nil)
	a, tid, body, err := wire.ParseUDPReply(reply)
	if err != nil || a != wire.ActionConnect || tid != 5 {
		t.Fatalf("%x %v", reply, err)
	}
	id, err := wire.ParseUDPConnectReply(body)
	if err != nil {
		t.Fatal(err)
	}
	return w, id
}

// TestUDPWithoutConnectionID checks that a client without a valid connection id gets no
// reply, or one that is not longer than its packet.
func TestUDPWithoutConnectionID(t *testing.T) {
	s := newServer(t, Options{})
	from := netip.MustParseAddr("192.0.2.1")
	w, id := connected(t, s, from)
	req := peer(1)
	good := wire.AppendUDPAnnounce(nil, id, 1, &req, "")
	for _, packet := range [][]byte{
		nil, {1}, make([]byte, 15), make([]byte, 16), make([]byte, 98), make([]byte, 2048),
		wire.AppendUDPAnnounce(nil, id+1, 1, &req, ""), wire.AppendUDPScrape(nil, 0, 1, []spate.InfoHash{testHash}),
		wire.AppendUDPAnnounce(nil, wire.ProtocolID, 1, &req, ""), []byte("GET /announce HTTP/1.1\r\n\r\n"),
	} {
		if reply := w.answer(s.now(), from, packet, nil); len(reply) != 0 {
			t.Errorf("%.20x: reply %x", packet, reply)
		}
	}
	if reply := w.answer(s.now(), netip.MustParseAddr("192.0.2.2"), good, nil); len(reply) != 0 {
		t.Errorf("an id is valid for another address: %x", reply)
	}
	if connect := wire.AppendUDPConnect(nil, 1); len(w.answer(s.now(), from, connect, nil)) > len(connect) {
		t.Error("the reply to a connect is longer than the request")
	}
	if c := s.Counts(); c.Unproved != 8 || c.Malformed != 3 || c.Connects != 2 {
		t.Errorf("%+v", c)
	}
}

// TestUDPMalformed checks that a client with a valid connection id gets an error for a
// malformed packet.
func TestUDPMalformed(t *testing.T) {
	s := newServer(t, Options{})
	from := netip.MustParseAddr("192.0.2.1")
	w, id := connected(t, s, from)
	req := peer(1)
	good := wire.AppendUDPAnnounce(nil, id, 1, &req, "")
	noPort := append([]byte(nil), good...)
	noPort[96], noPort[97] = 0, 0
	event := append([]byte(nil), good...)
	event[83] = 9
	unknown := append([]byte(nil), good...)
	unknown[11] = 7
	for name, packet := range map[string][]byte{
		"short": good[:97], "no port": noPort, "event": event, "action": unknown, "scrape": wire.AppendUDPScrape(nil, id, 1, nil),
	} {
		a, _, body, err := wire.ParseUDPReply(w.answer(s.now(), from, packet, nil))
		if err != nil || a != wire.ActionError || len(body) == 0 {
			t.Errorf("%s: %v %q %v", name, a, body, err)
		}
	}
}

// TestUDPReplySize checks that no reply exceeds maxUDPReply.
func TestUDPReplySize(t *testing.T) {
	for _, from := range []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")} {
		s := newServer(t, Options{Limit: RateLimit{PerSecond: -1}})
		w, _ := connected(t, s, from)
		var reply []byte
		for n := range 300 {
			req := peer(n)
			req.NumWant = 1 << 30
			a := from.As16()
			if from.Is6() {
				a[4], a[5] = byte(n>>8), byte(n)
			} else {
				a[14], a[15] = byte(n>>8), byte(n)
			}
			addr := netip.AddrFrom16(a).Unmap()
			reply = w.answer(s.now(), addr, wire.AppendUDPAnnounce(nil, s.opts.Key.id(s.now(), addr), 1, &req, ""), nil)
		}
		if len(reply) > maxUDPReply || len(reply) < 1000 && from.Is6() {
			t.Errorf("%v: %d bytes", from, len(reply))
		}
		_, _, body, _ := wire.ParseUDPReply(reply)
		r, err := wire.ParseUDPAnnounceReply(body, from.Is6())
		if err != nil || len(r.Peers) == 0 || r.Incomplete != 300 {
			t.Errorf("%v: %+v %v", from, r, err)
		}
		hashes := make([]spate.InfoHash, 80)
		if reply := w.answer(s.now(), from, wire.AppendUDPScrape(nil, s.opts.Key.id(s.now(), from), 1, hashes), nil); len(reply) != 8+12*tracker.MaxScrapeUDP {
			t.Errorf("scrape: %d bytes", len(reply))
		}
		s.opts.Scrapes = ScrapesNone
		reply = w.answer(s.now(), from, wire.AppendUDPScrape(nil, s.opts.Key.id(s.now(), from), 1, hashes), nil)
		if action, _, body, err := wire.ParseUDPReply(reply); action != wire.ActionError || string(body) != refuseScrape.Reason {
			t.Errorf("a scrape although scrapes are disabled: action %v, %q, %v", action, body, err)
		}
		s.opts.Scrapes = ScrapesNamed
	}
}

// serveUDP runs ServeUDP on conn until the test ends.
func serveUDP(t testing.TB, s *Server, conn net.PacketConn) string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.ServeUDP(ctx, conn) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return conn.LocalAddr().String()
}

// plainConn hides the type *net.UDPConn, so that servePackets is used.
type plainConn struct{ net.PacketConn }

// TestServeUDP announces and scrapes with package trackerclient over both address families
// and both loops, with tokens (BEP 41).
func TestServeUDP(t *testing.T) {
	tokens, err := OpenTokens(t.TempDir() + "/users")
	if err != nil {
		t.Fatal(err)
	}
	token, err := tokens.Issue("ann")
	if err != nil {
		t.Fatal(err)
	}
	for _, network := range []string{"udp4 127.0.0.1:0", "udp6 [::1]:0", "udp :0", "plain 127.0.0.1:0"} {
		t.Run(network, func(t *testing.T) {
			users := make(chan string, 100)
			s := newServer(t, Options{Tokens: tokens, Observers: []func(*tracker.Observation){func(o *tracker.Observation) { users <- o.User }}})
			kind, addr, _ := strings.Cut(network, " ")
			conn, err := net.ListenPacket(strings.Replace(kind, "plain", "udp", 1), addr)
			if err != nil {
				t.Skip(err)
			}
			if kind == "plain" {
				conn = plainConn{conn}
			}
			at := serveUDP(t, s, conn)
			hosts := []string{at}
			if kind == "udp" {
				port := conn.LocalAddr().(*net.UDPAddr).AddrPort().Port()
				hosts = []string{netip.AddrPortFrom(netip.MustParseAddr("127.0.0.2"), port).String(), netip.AddrPortFrom(netip.IPv6Loopback(), port).String()}
			}
			c, err := trackerclient.New(trackerclient.Options{Timeout: patience})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			for _, host := range hosts {
				one, two := peer(1), peer(2)
				if _, err := c.Announce(t.Context(), "udp://"+host+"/announce/"+token, &one); err != nil {
					t.Fatal(err)
				}
				r, err := c.Announce(t.Context(), "udp://"+host+"/announce?token="+token, &two)
				if err != nil || len(r.Peers) != 1 || r.Peers[0].Port() != one.Port || r.Incomplete < 2 {
					t.Errorf("%+v %v", r, err)
				}
				var failure *tracker.FailureError
				if _, err := c.Announce(t.Context(), "udp://"+host+"/announce/nobody", &two); !errors.As(err, &failure) {
					t.Errorf("an invalid token: %v", err)
				}
				e, err := c.Scrape(t.Context(), "udp://"+host, []spate.InfoHash{{1}, testHash})
				if err != nil || len(e) != 2 || e[1].Incomplete < 2 || e[0] != (tracker.ScrapeEntry{InfoHash: spate.InfoHash{1}}) {
					t.Errorf("%+v %v", e, err)
				}
			}
			if one, two, three := <-users, <-users, <-users; one != "ann" || two != "ann" || three != "" {
				t.Errorf("users %q %q %q", one, two, three)
			}
		})
	}
}

// TestUDPAnnounceAllocatesNothing checks that answering an announce over UDP allocates
// nothing.
func TestUDPAnnounceAllocatesNothing(t *testing.T) {
	s := newServer(t, Options{OnlyAllowed: true, Limit: RateLimit{PerSecond: 1e9}})
	s.Allow(testHash, tracker.Note{Name: "x"})
	from := netip.MustParseAddr("192.0.2.1")
	w, id := connected(t, s, from)
	req := peer(1)
	packet := wire.AppendUDPAnnounce(nil, id, 1, &req, "/announce?a=b")
	out := make([]byte, 0, maxUDPReply)
	n := 0
	if got := testing.AllocsPerRun(2000, func() {
		n++
		binary.BigEndian.PutUint16(packet[96:], uint16(1+n%100))
		if len(w.answer(s.now(), from, packet, out)) < 20 {
			t.Fatal("no answer")
		}
	}); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

// FuzzUDPAnswer checks the size of the reply to any packet.
func FuzzUDPAnswer(f *testing.F) {
	s, err := New(newTable(f, swarmOptions), Options{Limit: RateLimit{PerSecond: -1}, Now: func() time.Time { return time.Unix(1e9, 0) }})
	if err != nil {
		f.Fatal(err)
	}
	from := netip.MustParseAddr("192.0.2.1")
	w, id := connected(f, s, from)
	req := peer(1)
	f.Add(true, wire.AppendUDPAnnounce(nil, 0, 1, &req, "/announce")[8:])
	f.Add(true, wire.AppendUDPScrape(nil, 0, 1, []spate.InfoHash{testHash})[8:])
	f.Add(false, wire.AppendUDPConnect(nil, 1)[8:])
	f.Fuzz(func(t *testing.T, proved bool, rest []byte) {
		packet := binary.BigEndian.AppendUint64(nil, wire.ProtocolID)
		if proved {
			packet = binary.BigEndian.AppendUint64(nil, id)
		}
		packet = append(packet, rest...)
		reply := w.answer(s.now(), from, packet, make([]byte, 0, maxUDPReply))
		if len(reply) > maxUDPReply || !proved && len(reply) > len(packet) {
			t.Fatalf("%d bytes for %d", len(reply), len(packet))
		}
	})
}

// TestCompletionsAreSavedFirst checks that Options.Flush is called before an announce with a
// completion is answered, over both transports, and for no other announce.
func TestCompletionsAreSavedFirst(t *testing.T) {
	var saved atomic.Int32
	s := newServer(t, Options{Flush: func() error {
		if saved.Add(1) == 2 {
			return errors.New("the disk is full")
		}
		return nil
	}})
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := serveUDP(t, s, conn)
	client, err := trackerclient.New(trackerclient.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	udp := func(n int) error {
		req := peer(n)
		req.Left, req.Event = 0, tracker.EventCompleted
		_, err := client.Announce(t.Context(), "udp://"+addr+"/announce", &req)
		return err
	}
	for n, want := range []int32{1, 2, 3} { // the second one is answered although saving it fails
		if err := udp(n); err != nil || saved.Load() != want {
			t.Errorf("completion %d over UDP: %v, saved %d times", n, err, saved.Load())
		}
	}
	if err := udp(2); err != nil || saved.Load() != 3 {
		t.Errorf("the same again: %v, saved %d times", err, saved.Load())
	}
	req := peer(9)
	if _, err := announce(t, s, "192.0.2.1:9", req); err != nil || saved.Load() != 3 {
		t.Errorf("a start: %v, saved %d times", err, saved.Load())
	}
	req.Left, req.Event = 0, tracker.EventCompleted
	if _, err := announce(t, s, "192.0.2.1:9", req); err != nil || saved.Load() != 4 {
		t.Errorf("a completion over HTTP: %v, saved %d times", err, saved.Load())
	}
}

func TestUDPAnswersSTUNIfAsked(t *testing.T) {
	t.Parallel()
	request := []byte("\x00\x01\x00\x00\x21\x12\xa4\x42transaction!")
	for _, on := range []bool{true, false} {
		s := newServer(t, Options{STUN: on})
		conn, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr := serveUDP(t, s, conn)
		c, err := net.Dial("udp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		c.Write(request)
		c.Write(wire.AppendUDPConnect(nil, 7)) // is answered after the other packet
		var b [100]byte
		n, err := c.Read(b[:])
		if err != nil {
			t.Fatal(err)
		}
		port := uint16(c.LocalAddr().(*net.UDPAddr).Port) ^ 0x2112
		want := append([]byte("\x01\x01\x00\x0c\x21\x12\xa4\x42transaction!\x00\x20\x00\x08\x00\x01"), byte(port>>8), byte(port), 127^0x21, 0x12, 0xa4, 1^0x42)
		if got := bytes.Equal(b[:n], want); got != on {
			t.Errorf("STUN %v: got %x", on, b[:n])
		}
		if c := s.Counts(); on != (c.STUN == 1) || on != (c.Malformed+c.Unproved == 0) {
			t.Errorf("STUN %v: %+v", on, c)
		}
	}
}
