package torrent

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"spate"
	"spate/internal/simnet"
	"spate/peerwire"
	"spate/storage"
	"spate/utp"
)

// packetUTP is uTP over simulated packets.
type packetUTP struct {
	*utp.Socket
	udp *simnet.Datagrams
}

func (u *packetUTP) listen(t *testing.T, _ *simnet.Host, at netip.Addr) {
	t.Helper()
	addr := netip.AddrPortFrom(at, 6881)
	u.udp = simnet.NewDatagrams(time.Millisecond)
	port := u.udp.Port(addr, nil, func(b []byte, from netip.AddrPort) { u.Handle(b, from) })
	s, err := utp.NewSocket(port, utp.Options{Addr: addr})
	if err != nil {
		t.Fatal(err)
	}
	u.Socket = s
}

func (u *packetUTP) Dial(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	return u.Socket.Dial(ctx, to)
}

// Message numbers of scripted peers.
const theirHolepunch, theirPEX = 7, 6

// holeSession is a session that punches holes, with its torrent.
type holeSession struct {
	*simSession
	tor   *Torrent
	utp   *packetUTP
	hosts map[netip.Addr]*simnet.Host
}

// withHoleSession runs f with a session that downloads, in simulated time.
func withHoleSession(t *testing.T, f func(t *testing.T, h *holeSession)) {
	data, mi := noiseTorrent(t, 64<<14, 1<<14)
	u := &packetUTP{}
	withSimSession(t, Options{UTP: u}, func(sim *simSession) {
		h := &holeSession{simSession: sim, utp: u, hosts: map[netip.Addr]*simnet.Host{}}
		h.tor = added(sim.t, sim.s, mi, AddOptions{Storage: storage.NewMemoryLike(data)})
		f(sim.t, h)
	})
}

// peer connects a scripted peer from ip. It says that it listens at port; number is its message
// number for holepunch messages, and 0 if it does not support them.
func (h *holeSession) peer(ip string, port uint16, number uint8) *scriptedPeer {
	h.t.Helper()
	addr := netip.MustParseAddr(ip)
	if h.hosts[addr] == nil {
		h.hosts[addr] = h.net.Host(addr, simnet.Link{Latency: time.Millisecond})
	}
	c, err := h.hosts[addr].DialContext(h.t.Context(), "tcp", h.s.Addr().String())
	if err != nil {
		h.t.Fatal(err)
	}
	p := handshakeAs(h.t, c, peerwire.Handshake{Reserved: extendedAndFast(), InfoHash: h.tor.hash, PeerID: spate.NewPeerID()})
	h.peers = append(h.peers, p)
	p.send(peerwire.AppendExtHandshake(peerwire.AppendSimple(nil, peerwire.HaveNone), &peerwire.ExtHandshake{
		Holepunch: number, PEX: theirPEX, Port: port, YourIP: netip.MustParseAddr("44.0.0.1"),
	}))
	if ext := p.awaitExtHandshake(); ext.Holepunch == 0 {
		h.t.Fatal("the session does not support holepunch messages")
	}
	return p
}

// say sends a holepunch message.
func (p *scriptedPeer) say(typ peerwire.HolepunchType, addr netip.AddrPort) {
	p.t.Helper()
	p.send(peerwire.AppendHolepunch(nil, extHolepunch, &peerwire.HolepunchMessage{Type: typ, Addr: addr}))
}

// said returns the holepunch messages that arrive within a time.
func (p *scriptedPeer) said(within time.Duration) (all []peerwire.HolepunchMessage) {
	p.t.Helper()
	for end := time.Now().Add(within); p.hears(peerwire.Extended, time.Until(end)); {
		if m, _, err := parsed(p.raw); err == nil && m.Index == theirHolepunch {
			one, err := peerwire.ParseHolepunch(m.Payload)
			if err != nil {
				p.t.Fatal(err)
			}
			all = append(all, one)
		}
	}
	return all
}

// at returns an address with a port.
func at(ip string, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr(ip), port)
}

// TestRelayAnswers checks what a relay answers to rendezvous messages: connect messages to both
// peers, the errors of BEP 55, or nothing.
func TestRelayAnswers(t *testing.T) {
	t.Parallel()
	withHoleSession(t, func(t *testing.T, h *holeSession) {
		asker, target := h.peer("44.1.0.1", 7001, theirHolepunch), h.peer("44.1.0.2", 7002, theirHolepunch)
		h.peer("44.1.0.3", 7003, 0)
		const connect, failed, ask = peerwire.HolepunchConnect, peerwire.HolepunchFailed, peerwire.HolepunchRendezvous
		for _, c := range []struct {
			name string
			to   netip.AddrPort
			want peerwire.HolepunchMessage
		}{
			{"a peer that is connected", at("44.1.0.2", 7002), peerwire.HolepunchMessage{Type: connect}},
			{"a peer without support", at("44.1.0.3", 7003), peerwire.HolepunchMessage{Type: failed, Err: peerwire.HolepunchNoSupport}},
			{"another port of a peer", at("44.1.0.2", 7003), peerwire.HolepunchMessage{Type: failed, Err: peerwire.HolepunchNotConnected}},
			{"a stranger", at("44.9.9.9", 7003), peerwire.HolepunchMessage{Type: failed, Err: peerwire.HolepunchNotConnected}},
			{"the relay", at("44.0.0.1", 6881), peerwire.HolepunchMessage{Type: failed, Err: peerwire.HolepunchNoSelf}},
			{"the asker", at("44.1.0.1", 7001), peerwire.HolepunchMessage{Type: failed, Err: peerwire.HolepunchNoSuchPeer}},
			{"a private address", at("192.168.0.1", 7001), peerwire.HolepunchMessage{Type: failed, Err: peerwire.HolepunchNoSuchPeer}},
			{"the other family", at("2a00::1", 7001), peerwire.HolepunchMessage{Type: failed, Err: peerwire.HolepunchNoSuchPeer}},
			{"no port", at("44.1.0.2", 0), peerwire.HolepunchMessage{Type: failed, Err: peerwire.HolepunchNoSuchPeer}},
		} {
			asker.say(ask, c.to)
			c.want.Addr = c.to
			if got := asker.said(time.Second); len(got) != 1 || got[0] != c.want {
				t.Errorf("%s: the relay answers %+v, want %+v", c.name, got, c.want)
			}
		}
		if got := target.said(time.Second); len(got) != 1 || got[0].Type != connect || got[0].Addr != at("44.1.0.1", 7001) {
			t.Errorf("the target was sent %+v", got)
		}
		silent := h.peer("44.1.0.4", 7004, 0)
		silent.say(ask, at("44.1.0.2", 7002))
		asker.say(9, at("44.1.0.2", 7002)) // an unknown type
		if a, b, c := silent.said(time.Second), target.said(time.Second), asker.said(time.Second); len(a)+len(b)+len(c) > 0 {
			t.Errorf("after a rendezvous of a peer without support came %+v, %+v and %+v", a, b, c)
		}
		if !asker.alive(0) || !silent.alive(0) {
			t.Error("the relay ended a connection")
		}
	})
}

// TestRelayIsNoWeapon checks that peers that ask a relay for all kinds of addresses a thousand times
// a second make it send no packet to strangers, and few messages to other peers.
func TestRelayIsNoWeapon(t *testing.T) {
	t.Parallel()
	withHoleSession(t, func(t *testing.T, h *holeSession) {
		target := h.peer("44.1.0.2", 7002, theirHolepunch)
		var askers []*scriptedPeer
		for i := range 20 { // at one address, with a port for each connection
			askers = append(askers, h.peer("44.1.0.1", 8000+uint16(i), theirHolepunch))
		}
		const seconds, perSecond = 10, 1000
		for range seconds {
			for i := range perSecond {
				to := at("44.1.0.2", 7002)
				if i%2 == 0 {
					to = at("44.9.9.9", uint16(1024+i))
				}
				askers[i%len(askers)].say(peerwire.HolepunchRendezvous, to)
			}
			time.Sleep(time.Second)
			target.send(peerwire.AppendKeepAlive(nil))
		}
		got := target.said(time.Second)
		t.Logf("%d requests made the relay send %d messages to the other peer", seconds*perSecond, len(got))
		if len(got) == 0 || len(got) > maxIntroducedBy {
			t.Errorf("the other peer was sent %d messages, want 1 to %d", len(got), maxIntroducedBy)
		}
		for _, p := range askers[:2] {
			if n := len(p.said(time.Second)); n > maxRendezvous {
				t.Errorf("a peer was sent %d answers, want at most %d", n, maxRendezvous)
			}
		}
		for _, ip := range []string{"44.9.9.9", "44.1.0.2", "44.1.0.1"} {
			if n := h.utp.udp.Sent(netip.MustParseAddr(ip)); n > 0 {
				t.Errorf("%d packets were sent to %s", n, ip)
			}
		}
	})
}

// TestConnectMessagesAreNoWeapon checks that peers that send a thousand connect messages a second
// make this side send few packets to one address, few to all together, and none to addresses that
// are not public or are connected.
func TestConnectMessagesAreNoWeapon(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		victim func(i int) netip.AddrPort
		most   int // packets to victims in a minute
		some   bool
	}{
		{"one port", func(int) netip.AddrPort { return at("44.9.0.1", 7000) }, 4, true},
		{"one host", func(i int) netip.AddrPort { return at("44.9.0.1", uint16(1024+i)) }, 4 * maxPunchesAt, true},
		{"many hosts", func(i int) netip.AddrPort {
			return netip.AddrPortFrom(netip.AddrFrom4([4]byte{44, 9, byte(i >> 8), byte(i)}), 7000)
		}, 4 * maxAllPunches, true},
		{"private hosts", func(i int) netip.AddrPort { return at("192.168.0.1", uint16(1024+i)) }, 0, false},
		{"this machine", func(i int) netip.AddrPort { return at("127.0.0.1", uint16(1024+i)) }, 0, false},
		{"port of another service", func(int) netip.AddrPort { return at("44.9.0.1", 25) }, 0, false},
		{"a peer that is connected", func(int) netip.AddrPort { return at("44.1.0.2", 7002) }, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			withHoleSession(t, func(t *testing.T, h *holeSession) {
				h.peer("44.1.0.2", 7002, theirHolepunch)
				relays := []*scriptedPeer{h.peer("44.1.0.1", 7001, theirHolepunch), h.peer("44.1.1.1", 7001, theirHolepunch), h.peer("44.1.2.1", 7001, theirHolepunch), h.peer("192.168.0.9", 7001, theirHolepunch)}
				victims := map[netip.Addr]bool{}
				const seconds, perSecond = 10, 1000
				for n := range seconds {
					for i := range perSecond {
						v := c.victim(n*perSecond + i)
						victims[v.Addr()] = true
						relays[i%len(relays)].say(peerwire.HolepunchConnect, v)
					}
					time.Sleep(time.Second)
				}
				time.Sleep(45 * time.Second)
				packets := 0
				for v := range victims {
					packets += h.utp.udp.Sent(v)
				}
				t.Logf("%d messages caused %d packets", seconds*perSecond, packets)
				if packets > c.most || c.some != (packets > 0) {
					t.Errorf("%d packets, want at most %d", packets, c.most)
				}
			})
		})
	}
}

// TestPunchesInProgressAreBounded checks how many punches run at once, and that those that end make
// room for others.
func TestPunchesInProgressAreBounded(t *testing.T) {
	t.Parallel()
	var p punches
	now := time.Unix(1e9, 0)
	take := func() (n int) {
		for i := range 100 {
			if p.take(netip.AddrPortFrom(netip.AddrFrom4([4]byte{44, 9, byte(len(p.dialled)), byte(i)}), 7000), netip.AddrFrom4([4]byte{44, 1, byte(i), 1}), now) {
				n++
			}
		}
		return n
	}
	if n := take(); n != maxPunches {
		t.Errorf("%d punches run, want %d", n, maxPunches)
	}
	all := maxPunches
	for range 10 {
		for p.running > 0 {
			p.end()
		}
		all += take()
	}
	if all != maxAllPunches {
		t.Errorf("%d punches in a minute, want %d", all, maxAllPunches)
	}
}

// TestRendezvousAfterDirectDial checks that this side asks a relay for a peer that peer exchange
// names only after it could not dial the peer directly, once a minute, and asks the next relay
// after an error.
func TestRendezvousAfterDirectDial(t *testing.T) {
	t.Parallel()
	withHoleSession(t, func(t *testing.T, h *holeSession) {
		one, two := h.peer("44.1.0.1", 7001, theirHolepunch), h.peer("44.1.0.2", 7002, theirHolepunch)
		hidden, plain := at("44.5.0.1", 7000), at("44.5.0.2", 7000)
		for _, a := range []netip.AddrPort{hidden, plain} { // hosts that answer nothing
			h.net.Host(a.Addr(), simnet.Link{}).SetDown(true)
		}
		pex := peerwire.AppendPEX(nil, extPEX, &peerwire.PEXMessage{
			Added: []netip.AddrPort{hidden, plain}, Flags: []peerwire.PEXFlags{peerwire.PEXHolepunch, 0},
		})
		one.send(pex)
		time.Sleep(time.Second) // the relay that names the peer first is asked first
		two.send(pex)
		if got := one.said(2 * time.Second); len(got) > 0 {
			t.Errorf("asked for %+v before the direct dial had failed", got)
		}
		asked := append(one.said(4*time.Second), two.said(time.Second)...)
		want := peerwire.HolepunchMessage{Type: peerwire.HolepunchRendezvous, Addr: hidden}
		if len(asked) != 1 || asked[0] != want {
			t.Fatalf("asked for %+v, want %+v once", asked, want)
		}
		fail := peerwire.AppendHolepunch(nil, extHolepunch, &peerwire.HolepunchMessage{Type: peerwire.HolepunchFailed, Addr: hidden, Err: peerwire.HolepunchNotConnected})
		for range 3 { // the other relay is asked once
			one.send(fail)
		}
		if got := two.said(5 * time.Second); len(got) != 1 || got[0] != want {
			t.Errorf("the other relay was asked for %+v", got)
		}
		two.say(peerwire.HolepunchConnect, hidden)
		before := h.utp.udp.Sent(hidden.Addr())
		time.Sleep(20 * time.Second)
		if n := h.utp.udp.Sent(hidden.Addr()) - before; n < 4 {
			t.Errorf("%d packets after a connect message, want at least 4", n)
		}
		if got := h.tor.Stall().Candidates.NoHole; got != 1 {
			t.Errorf("%d peers count as not reached through a hole, want 1", got)
		}
	})
}

// TestRelayIsAskedAgain checks that a relay is asked again after a minute for a peer that was not
// reached through a hole, and only a few times between direct dials.
func TestRelayIsAskedAgain(t *testing.T) {
	t.Parallel()
	withHoleSession(t, func(t *testing.T, h *holeSession) {
		relay, hidden := h.peer("44.1.0.1", 7001, theirHolepunch), at("44.5.0.1", 7000)
		h.net.Host(hidden.Addr(), simnet.Link{}).SetDown(true)
		relay.send(peerwire.AppendPEX(nil, extPEX, &peerwire.PEXMessage{Added: []netip.AddrPort{hidden}, Flags: []peerwire.PEXFlags{peerwire.PEXHolepunch}}))
		asked := func(minutes int) (n int) {
			for range minutes {
				n += len(relay.said(time.Minute))
				relay.send(peerwire.AppendKeepAlive(nil))
			}
			return n
		}
		if n := asked(3); n != 3 {
			t.Errorf("the relay was asked %d times in three minutes, want 3", n)
		}
		if n := asked(30); n > maxAskAgain+5 {
			t.Errorf("the relay was asked %d more times in half an hour, want at most %d", n, maxAskAgain+5)
		}
	})
}

// TestRelayWithoutSupportIsNotAsked checks that a peer that has turned holepunch messages off is sent
// none: its message number 0 would make them extension handshakes (BEP 10).
func TestRelayWithoutSupportIsNotAsked(t *testing.T) {
	t.Parallel()
	withHoleSession(t, func(t *testing.T, h *holeSession) {
		relay, hidden := h.peer("44.1.0.1", 7001, theirHolepunch), at("44.5.0.1", 7000)
		h.net.Host(hidden.Addr(), simnet.Link{}).SetDown(true)
		relay.send(peerwire.AppendPEX(nil, extPEX, &peerwire.PEXMessage{Added: []netip.AddrPort{hidden}, Flags: []peerwire.PEXFlags{peerwire.PEXHolepunch}}))
		relay.send(peerwire.AppendExtended(nil, 0, []byte("d1:md12:ut_holepunchi0eee")))
		for end := time.Now().Add(30 * time.Second); relay.hears(peerwire.Extended, time.Until(end)); {
			if m, _, err := parsed(relay.raw); err == nil && m.Index == 0 {
				t.Errorf("an extension handshake of %d bytes came", len(m.Payload))
			}
		}
	})
}

// TestHolesNeedPEX checks that a private torrent, and a session without peer exchange or uTP, do not
// support holepunch messages.
func TestHolesNeedPEX(t *testing.T) {
	t.Parallel()
	for name, opt := range map[string]Options{"private": {UTP: &packetUTP{}}, "without PEX": {UTP: &packetUTP{}, NoPEX: true}, "without uTP": {}} {
		t.Run(name, func(t *testing.T) {
			data, mi := noiseTorrent(t, 64<<14, 1<<14)
			mi.Info.Private = name == "private"
			withSimSession(t, opt, func(sim *simSession) {
				added(sim.t, sim.s, mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true, PlainSeed: true})
				p := sim.dial(mi.Hash())
				if ext := p.awaitExtHandshake(); ext.Holepunch != 0 {
					sim.t.Errorf("the session supports holepunch messages: %+v", ext)
				}
			})
		})
	}
}

// TestRelaysAreForgotten checks that the addresses that peers can be relays to are bounded, and that
// none remains of a peer that has left.
func TestRelaysAreForgotten(t *testing.T) {
	t.Parallel()
	withHoleSession(t, func(t *testing.T, h *holeSession) {
		p := h.peer("44.1.0.1", 7001, theirHolepunch)
		known := func() int {
			h.tor.mu.Lock()
			defer h.tor.mu.Unlock()
			return len(h.tor.holes.known)
		}
		for n := range 20 {
			var m peerwire.PEXMessage
			for i := range peerwire.MaxPEX {
				m.Added = append(m.Added, netip.AddrPortFrom(netip.AddrFrom4([4]byte{44, 7, byte(n), byte(i)}), 7000))
				m.Flags = append(m.Flags, peerwire.PEXHolepunch)
			}
			p.send(peerwire.AppendPEX(nil, extPEX, &m))
			time.Sleep(time.Minute)
			p.send(peerwire.AppendKeepAlive(nil))
		}
		if n := known(); n != maxHolesOf {
			t.Errorf("%d addresses of one relay are known, want %d", n, maxHolesOf)
		}
		p.c.Close()
		time.Sleep(time.Second)
		if n := known(); n != 0 {
			t.Errorf("%d addresses are known after their relay has left", n)
		}
	})
}
