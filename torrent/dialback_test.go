package torrent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"spate"
	"spate/internal/simnet"
	"spate/metainfo"
	"spate/peerwire"
	"spate/storage"
)

// dialBackWorld is a simulated internet with a session that asks for dial-backs, which may be
// behind a router that lets nothing in, and sessions that it is connected to.
type dialBackWorld struct {
	t      *testing.T
	net    *simnet.Network
	mi     *metainfo.MetaInfo
	asker  *Session
	others []*Session
	ran    sync.WaitGroup

	mu      sync.Mutex // guards the fields below
	dials   []string   // addresses that the other sessions dialled
	packets int        // UDP packets that they sent
	lost    bool       // those packets do not arrive
}

// dialBackAsker is the address of the session that asks.
var dialBackAsker = netip.MustParseAddr("203.0.113.1")

// firewall is a host whose connections to blocked addresses are never answered.
type firewall struct {
	*simnet.Host
	world   *dialBackWorld
	blocked string
}

func (f *firewall) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	f.world.mu.Lock()
	f.world.dials = append(f.world.dials, address)
	f.world.mu.Unlock()
	if address == f.blocked {
		<-ctx.Done()
		return nil, &net.OpError{Op: "dial", Net: network, Err: ctx.Err()}
	}
	return f.Host.DialContext(ctx, network, address)
}

// withDialBackWorld runs f with a session and others at the addresses, to which it is connected.
// Dials to blocked get no answer.
func withDialBackWorld(t *testing.T, blocked string, others []string, f func(w *dialBackWorld)) {
	synctest.Test(t, func(t *testing.T) {
		w := &dialBackWorld{t: t, net: simnet.New(simnet.Options{Seed: 1})}
		_, w.mi = noiseTorrent(t, 100<<10, 16<<10)
		ctx, cancel := context.WithCancel(context.Background())
		defer w.ran.Wait()
		defer cancel()
		var peers []netip.AddrPort
		for _, text := range others {
			addr := netip.MustParseAddr(text)
			host := &firewall{w.net.Host(addr, simnet.Link{Latency: 20 * time.Millisecond}), w, blocked}
			s := w.session(ctx, Options{Network: host, Bind: addr, DialBackUDP: w.packet})
			w.others = append(w.others, s)
			peers = append(peers, s.Addr())
		}
		w.asker = w.session(ctx, Options{Network: w.net.Host(dialBackAsker, simnet.Link{}), Bind: dialBackAsker})
		w.asker.Torrents()[0].AddPeers(peers)
		time.Sleep(10 * time.Second)
		if n := w.asker.Torrents()[0].Stats().Peers; n != len(others) {
			t.Fatalf("%d peers are connected, want %d", n, len(others))
		}
		f(w)
	})
}

// session returns a session with an empty torrent that runs until ctx ends.
func (w *dialBackWorld) session(ctx context.Context, opt Options) *Session {
	w.t.Helper()
	opt.PeerPort = 6881
	s, err := NewSession(opt)
	if err != nil {
		w.t.Fatal(err)
	}
	w.ran.Go(func() { s.Run(ctx) })
	added(w.t, s, w.mi, AddOptions{Storage: storage.NewMemory(int64(100 << 10))})
	return s
}

// packet delivers a UDP packet.
func (w *dialBackWorld) packet(to netip.AddrPort, b []byte) error {
	w.mu.Lock()
	w.packets++
	lost := w.lost
	w.mu.Unlock()
	if !lost && to == netip.AddrPortFrom(dialBackAsker, 6882) && !w.asker.HeardUDP(b) {
		return errors.New("the asker does not know the packet")
	}
	return nil
}

// TestAskDialBack checks what a session learns from peers that dial it back.
func TestAskDialBack(t *testing.T) {
	t.Parallel()
	both := DialBackRequest{TCPPort: 6881, UDPPort: 6882}
	three := []string{"198.51.100.1", "192.0.2.1", "203.0.114.1"}
	for name, c := range map[string]struct {
		others  []string
		blocked string
		lost    bool
		ask     DialBackRequest
		want    DialBackReport
	}{
		"reachable":        {others: three, ask: both, want: DialBackReport{3, DialBackCounts{Reached: 3}, DialBackCounts{Reached: 3}}},
		"TCP only":         {others: three, ask: DialBackRequest{TCPPort: 6881}, want: DialBackReport{Asked: 3, TCP: DialBackCounts{Reached: 3}}},
		"behind a router":  {others: three, ask: both, blocked: "203.0.113.1:6881", lost: true, want: DialBackReport{3, DialBackCounts{TimedOut: 3}, DialBackCounts{TimedOut: 3}}},
		"another port":     {others: three[:1], ask: DialBackRequest{TCPPort: 7000}, want: DialBackReport{Asked: 1, TCP: DialBackCounts{Refused: 1}}},
		"a service's port": {others: three[:1], ask: DialBackRequest{TCPPort: 22, UDPPort: 53}, want: DialBackReport{1, DialBackCounts{Unclear: 1}, DialBackCounts{Unclear: 1}}},
		"one network":      {others: []string{"198.51.100.1", "198.51.100.2"}, ask: both, want: DialBackReport{1, DialBackCounts{Reached: 1}, DialBackCounts{Reached: 1}}},
		"many peers":       {others: append([]string{"198.51.101.1", "198.51.102.1"}, three...), ask: both, want: DialBackReport{3, DialBackCounts{Reached: 3}, DialBackCounts{Reached: 3}}},
		"only local peers": {others: []string{"192.168.1.2"}, ask: both},
		"another family":   {others: three, ask: DialBackRequest{IPv6: true, TCPPort: 6881}},
		"no ports":         {others: three},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			withDialBackWorld(t, c.blocked, c.others, func(w *dialBackWorld) {
				w.lost = c.lost
				if got := w.asker.AskDialBack(w.t.Context(), c.ask); got != c.want {
					t.Errorf("AskDialBack(%+v) returned %+v, want %+v", c.ask, got, c.want)
				}
				if confirmed := !w.asker.LastIncoming().IsZero(); confirmed != (c.want.TCP.Reached > 0) {
					t.Errorf("the session knows of an incoming connection: %v", confirmed)
				}
				if got := w.asker.AskDialBack(w.t.Context(), c.ask); got.Asked > len(c.others)-c.want.Asked {
					t.Errorf("a second call within a minute asked %d of %d peers, of which %d were asked already", got.Asked, len(c.others), c.want.Asked)
				}
				if n := w.asker.Torrents()[0].Stats().Peers; n != len(c.others) {
					t.Errorf("%d peers are connected afterwards, want %d", n, len(c.others))
				}
			})
		})
	}
}

// TestDialBackVerdict checks that one connection that arrived counts more than all answers, and
// that a failure is known only if most peers report it.
func TestDialBackVerdict(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		counts           DialBackCounts
		reachable, known bool
	}{
		{DialBackCounts{}, false, false},
		{DialBackCounts{Reached: 1, Refused: 2}, true, true},
		{DialBackCounts{TimedOut: 1}, false, true},
		{DialBackCounts{Refused: 1, Unclear: 1}, false, false},
		{DialBackCounts{Refused: 1, TimedOut: 1, Unclear: 1}, false, true},
		{DialBackCounts{Other: 1, Unclear: 2}, false, false},
	} {
		if reachable, known := c.counts.Verdict(); reachable != c.reachable || known != c.known {
			t.Errorf("the verdict of %+v is %v, %v", c.counts, reachable, known)
		}
	}
}

// scripted connects a scripted peer at addr to the first other session, and sends an extension
// handshake with the number 9 for dial-back messages.
func (w *dialBackWorld) scripted(s *Session, addr string) *scriptedPeer {
	w.t.Helper()
	nc, err := w.net.Host(netip.MustParseAddr(addr), simnet.Link{}).DialContext(w.t.Context(), "tcp", s.Addr().String())
	if err != nil {
		w.t.Fatal(err)
	}
	p := handshakeOver(w.t, nc, w.mi.Hash(), extendedAndFast())
	p.send(peerwire.AppendExtHandshake(nil, &peerwire.ExtHandshake{DialBack: 9}))
	return p
}

// dialBackMessage returns the next dial-back message of the session.
func (p *scriptedPeer) dialBackMessage() peerwire.DialBackMessage {
	p.t.Helper()
	for {
		if m := p.await(peerwire.Extended); m.Index == 9 {
			got, err := peerwire.ParseDialBack(m.Payload)
			if err != nil {
				p.t.Fatal(err)
			}
			return got
		}
	}
}

// TestDialBacksAreLimited checks that a peer that asks a thousand times is dialled once a minute,
// that all askers together have a limit, and that a peer without the extension is not answered.
func TestDialBacksAreLimited(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &dialBackWorld{t: t, net: simnet.New(simnet.Options{Seed: 1}), lost: true}
		_, w.mi = noiseTorrent(t, 100<<10, 16<<10)
		ctx, cancel := context.WithCancel(context.Background())
		defer w.ran.Wait()
		defer cancel()
		addr := netip.MustParseAddr("198.51.100.1")
		s := w.session(ctx, Options{Network: &firewall{w.net.Host(addr, simnet.Link{}), w, "-"}, Bind: addr, DialBackUDP: w.packet})
		time.Sleep(time.Second)
		request := func(port uint16) []byte {
			return peerwire.AppendDialBack(nil, extDialBack, &peerwire.DialBackMessage{Nonce: peerwire.DialBackNonce{1}, TCPPort: port, UDPPort: port})
		}
		first := w.scripted(s, "203.0.113.9")
		defer first.c.Close()
		for i := range 1000 {
			first.send(request(40000 + uint16(i)))
		}
		outcomes := map[peerwire.DialBackOutcome]int{}
		for range 1000 {
			m := first.dialBackMessage()
			outcomes[m.TCP]++
			outcomes[m.UDP]++
		}
		if len(w.dials) != 1 || w.packets != 1 || w.dials[0] != "203.0.113.9:40000" || outcomes[peerwire.DialBackNotNow] != 2*999 || outcomes[peerwire.DialBackRefused] != 1 {
			t.Errorf("after 1,000 requests the session has dialled %v and sent %d packets; the outcomes are %v", w.dials, w.packets, outcomes)
		}
		if sent := len(dialBackPacket(peerwire.DialBackNonce{})); sent > len(peerwire.AppendDialBack(nil, extDialBack, &peerwire.DialBackMessage{UDPPort: minDialBackPort})) {
			t.Errorf("the UDP packet of %d bytes is longer than the shortest request", sent)
		}
		for i := range 2 * maxDialBacks {
			p := w.scripted(s, fmt.Sprintf("203.0.%d.1", 120+i))
			p.send(request(2000))
			p.dialBackMessage()
			p.c.Close()
		}
		if len(w.dials) != maxDialBacks {
			t.Errorf("the session dialled %d times in a minute, want %d", len(w.dials), maxDialBacks)
		}
		time.Sleep(dialBackEvery)
		first.send(request(2000))
		if m := first.dialBackMessage(); m.TCP != peerwire.DialBackRefused {
			t.Errorf("a minute later the outcome is %d", m.TCP)
		}
	})
}

// TestDialBackRejectsMalformedMessages checks that a peer that sends a malformed message loses its
// connection, and that answers that nobody asked for are ignored.
func TestDialBackRejectsMalformedMessages(t *testing.T) {
	t.Parallel()
	withDialBackWorld(t, "", nil, func(w *dialBackWorld) {
		p := w.scripted(w.asker, "198.51.100.7")
		defer p.c.Close()
		p.send(peerwire.AppendDialBack(nil, extDialBack, &peerwire.DialBackMessage{Type: peerwire.DialBackAnswer, TCP: peerwire.DialBackReached}))
		p.send(peerwire.AppendDialBack(nil, extDialBack, &peerwire.DialBackMessage{Type: 7}))
		p.send(peerwire.AppendExtended(nil, extDialBack, []byte("d8:msg_typei0ee")))
		p.dropped()
	})
}

// TestDialBackIgnoresLies checks that a session believes neither that it was reached nor that a
// packet was sent without their arrival, and that it waits no longer than its limit for a peer
// that is silent.
func TestDialBackIgnoresLies(t *testing.T) {
	t.Parallel()
	withDialBackWorld(t, "", nil, func(w *dialBackWorld) {
		liar, silent := w.scripted(w.asker, "198.51.100.7"), w.scripted(w.asker, "192.0.2.7")
		defer liar.c.Close()
		defer silent.c.Close()
		time.Sleep(time.Second)
		asked := make(chan DialBackReport)
		began := time.Now()
		go func() {
			asked <- w.asker.AskDialBack(w.t.Context(), DialBackRequest{TCPPort: 6881, UDPPort: 6882})
		}()
		m := liar.dialBackMessage()
		nonce := silent.dialBackMessage().Nonce
		liar.send(peerwire.AppendDialBack(nil, extDialBack, &peerwire.DialBackMessage{Type: peerwire.DialBackAnswer, Nonce: nonce, TCP: peerwire.DialBackRefused})) // for another peer
		liar.send(peerwire.AppendDialBack(nil, extDialBack, &peerwire.DialBackMessage{
			Type: peerwire.DialBackAnswer, Nonce: m.Nonce, TCP: peerwire.DialBackReached, UDP: peerwire.DialBackSent,
		}))
		want := DialBackReport{Asked: 2, TCP: DialBackCounts{Unclear: 2}, UDP: DialBackCounts{TimedOut: 1, Unclear: 1}}
		if got := <-asked; got != want {
			t.Errorf("the report is %+v, want %+v", got, want)
		}
		if took := time.Since(began); took > dialBackWait+latePacketWait {
			t.Errorf("the answers took %v", took)
		}
		if w.asker.HeardUDP(dialBackPacket(m.Nonce)) {
			t.Error("a packet counts after the end of the wait")
		}
	})
}

// TestDialBackTargets checks which addresses and ports a session dials back.
func TestDialBackTargets(t *testing.T) {
	t.Parallel()
	loopback := netip.MustParseAddr("127.0.0.1")
	for _, c := range []struct {
		bind, addr string
		port       uint16
		want       bool
	}{
		{"0.0.0.0", "203.0.113.1", 6881, true},
		{"0.0.0.0", "192.168.1.1", 6881, true},
		{"0.0.0.0", "fe80::1%eth0", 6881, true},
		{"0.0.0.0", "203.0.113.1", 1023, false},
		{"0.0.0.0", "203.0.113.1", 6667, false},
		{"0.0.0.0", "203.0.113.1", 0, false},
		{"0.0.0.0", loopback.String(), 6881, false},
		{"127.0.0.1", loopback.String(), 6881, true},
		{"0.0.0.0", "169.254.169.254", 6881, false},
		{"0.0.0.0", "224.0.0.1", 6881, false},
	} {
		s := &Session{opt: Options{Bind: netip.MustParseAddr(c.bind)}}
		if got := s.mayDialBack(netip.MustParseAddr(c.addr), c.port); got != c.want {
			t.Errorf("a session on %s dials back %s port %d: %v", c.bind, c.addr, c.port, got)
		}
	}
	var d dialBacks
	now := time.Now()
	for _, c := range []struct {
		addr string
		want bool
	}{{"2001:db8::1", true}, {"2001:db8::2", false}, {"2001:db8:0:1::1", true}, {"203.0.113.1", true}, {"::ffff:203.0.113.1", false}, {"203.0.113.2", true}} {
		if got := d.take(netip.MustParseAddr(c.addr), now); got != c.want {
			t.Errorf("%s has a turn: %v", c.addr, got)
		}
	}
}

// connFrom is a connection from an address.
type connFrom struct {
	net.Conn
	from net.Addr
}

func (c connFrom) RemoteAddr() net.Addr { return c.from }

// TestDialBackByUTP checks that a connection by uTP does not count as one to the TCP port, because
// it can come through a hole that this side has opened.
func TestDialBackByUTP(t *testing.T) {
	t.Parallel()
	s, err := NewSession(Options{Bind: netip.MustParseAddr("127.0.0.1")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	nonce := peerwire.DialBackNonce{1}
	ask := &dialBackAsk{news: make(chan struct{}, 1)}
	s.asks.pending = map[peerwire.DialBackNonce]*dialBackAsk{nonce: ask}
	from := netip.MustParseAddrPort("198.51.100.7:6881")
	for _, c := range []struct {
		addr    net.Addr
		arrived bool
	}{{net.UDPAddrFromAddrPort(from), false}, {net.TCPAddrFromAddrPort(from), true}} {
		theirs, ours := net.Pipe()
		hs := peerwire.Handshake{InfoHash: spate.InfoHash(nonce)}
		go func() {
			theirs.Write(hs.Append(nil))
			io.Copy(io.Discard, theirs)
		}()
		_, _, _, _, err := s.answer(connFrom{ours, c.addr})
		if dialed := errors.Is(err, errDialedBack); dialed != c.arrived || ask.tcp != c.arrived {
			t.Errorf("a connection by %s: error %v, arrived %v, want %v", c.addr.Network(), err, ask.tcp, c.arrived)
		}
		theirs.Close()
		ours.Close()
	}
}
