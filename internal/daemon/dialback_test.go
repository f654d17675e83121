package daemon

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"spate/internal/reach"
	"spate/internal/udpmux"
	"spate/torrent"
)

// TestChecksOfPeers checks how the reports of peers become results and words of the status.
func TestChecksOfPeers(t *testing.T) {
	t.Parallel()
	r := torrent.DialBackRequest{TCPPort: 6881, UDPPort: 6882}
	if checks := checksOf(r, torrent.DialBackReport{}); len(checks) != 0 {
		t.Errorf("without peers there are the checks %v", checks)
	}
	d := reach.DialBack{Checks: checksOf(r, torrent.DialBackReport{
		Asked: 2, TCP: torrent.DialBackCounts{TimedOut: 2}, UDP: torrent.DialBackCounts{Reached: 1, TimedOut: 1},
	})}
	want := []reach.Check{
		{Network: "tcp4", Port: 6881, Result: reach.Unreachable, Asked: 2, TimedOut: 2},
		{Network: "udp4", Port: 6882, Result: reach.Reachable, Asked: 2, Reached: 1, TimedOut: 1},
	}
	if len(d.Checks) != 2 || d.Checks[0] != want[0] || d.Checks[1] != want[1] {
		t.Errorf("the checks are %+v, want %+v", d.Checks, want)
	}
	for before, after := range map[reach.Status]reach.Status{
		{}: {UDP: reach.Reachable, Problem: "2 of 2 peers that were asked could not connect (nothing answered)", Advice: "forward it"},
		{Problem: "no router", Advice: "ask"}: {
			UDP: reach.Reachable, Problem: "no router; 2 of 2 peers that were asked could not connect (nothing answered)", Advice: "ask"},
	} {
		got := before
		addDialBack(&got, d, "forward it")
		if got != after {
			t.Errorf("the status is %+v, want %+v", got, after)
		}
	}
	utp, got := reach.DialBack{Checks: checksOf(torrent.DialBackRequest{UDPPort: 6882}, torrent.DialBackReport{
		Asked: 1, UDP: torrent.DialBackCounts{TimedOut: 1},
	})}, reach.Status{}
	addDialBack(&got, utp, "forward it")
	if want := (reach.Status{UDP: reach.Unreachable, Problem: "the one peer that was asked could not connect (nothing answered)", Advice: "forward it"}); got != want {
		t.Errorf("without TCP the status is %+v, want %+v", got, want)
	}
	one := reach.DialBack{Checks: checksOf(torrent.DialBackRequest{IPv6: true, TCPPort: 1}, torrent.DialBackReport{Asked: 1, TCP: torrent.DialBackCounts{Unclear: 1}})}
	if len(one.Checks) != 1 || one.Checks[0].Network != "tcp6" || one.Checks[0].Result != reach.Unknown {
		t.Errorf("the checks of IPv6 are %+v", one.Checks)
	}
}

// TestDialBackResultIsOfOneAddress checks that a result does not count after a change of the
// address or the port, and that peers are then asked again, but not within half an hour.
func TestDialBackResultIsOfOneAddress(t *testing.T) {
	t.Parallel()
	engine, err := torrent.NewSession(torrent.Options{Bind: netip.MustParseAddr("127.0.0.1")})
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	s := &Session{Session: engine, env: testEnv()}
	now := time.Now()
	if !s.dialBackDue(now) {
		t.Error("peers are not asked although nobody has connected")
	}
	s.asks.keep(reach.DialBack{Time: now}, s.reachedNow())
	if s.dialBackDue(now.Add(dialBackPause-1)) || !s.dialBackDue(now.Add(dialBackPause)) {
		t.Error("peers are not asked once in half an hour")
	}
	if s.asks.known(s.reachedNow()).Time != now {
		t.Error("the result is not known")
	}
	if at := s.reachedNow(); at.tcp == 0 {
		t.Error("peers are not asked by TCP")
	}
	if at := (&Session{Session: engine, env: testEnv(), noTCP: true}).reachedNow(); at.tcp != 0 {
		t.Errorf("a session without TCP asks peers to connect to the TCP port %d", at.tcp)
	}
	s.SetAdvertisedPort(7000)
	if known := s.asks.known(s.reachedNow()); !known.Time.IsZero() {
		t.Errorf("after a change of the port the result is %+v", known)
	}
	if d := s.DialBack(t.Context()); len(d.Checks) != 0 || d.Time.IsZero() {
		t.Errorf("a session on loopback has the result %+v", d)
	}
}

// TestSessionWithoutTCPAsksForUDPOnly checks that peers are not asked to connect over TCP to a session
// that does not listen on it, because they would say that it cannot be reached.
func TestSessionWithoutTCPAsksForUDPOnly(t *testing.T) {
	t.Parallel()
	loopback := netip.MustParseAddr("127.0.0.1")
	udp, err := udpmux.Listen(loopback, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	engine, err := testEnv().sessionOn(torrent.Options{Bind: loopback, NoTCP: true, PeerPort: udp.Port()}, udp, portUse{noWebRTC: true})
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	for _, noTCP := range []bool{false, true} {
		s := &Session{Session: engine, env: testEnv(), udp: udp, noTCP: noTCP}
		for _, r := range s.dialBackRequests(s.reachedNow()) {
			if r.UDPPort != udp.Port() || (r.TCPPort == 0) != noTCP {
				t.Errorf("without TCP %v the request is %+v", noTCP, r)
			}
		}
	}
}

// TestDialBackSender checks that packets of the sender arrive from the bound address, and that those
// nobody asked for are passed on to the DHT.
func TestDialBackSender(t *testing.T) {
	t.Parallel()
	local := netip.MustParseAddr("127.0.0.1")
	engine, err := torrent.NewSession(torrent.Options{Bind: local})
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(local, 0)))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(patience))
	send := dialBackSender(local)
	var passed []udpmux.Packet
	receive := withoutDialBacks(engine, func(p []udpmux.Packet) { passed = append(passed, p...) })
	for range 2 {
		if err := send(addrPortOf(c.LocalAddr()), []byte("d1:y1:qe")); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 100)
		n, from, err := c.ReadFromUDPAddrPort(b)
		if err != nil {
			t.Fatal(err)
		}
		receive([]udpmux.Packet{{Addr: from, Data: b[:n]}})
	}
	if len(passed) != 2 || string(passed[0].Data) != "d1:y1:qe" || passed[0].Addr.Addr() != local {
		t.Errorf("the packets are %v", passed)
	}
	withoutDialBacks(engine, nil)(passed) // a session without a DHT
}
