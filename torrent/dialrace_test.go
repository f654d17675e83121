package torrent

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"spate"
	"spate/internal/simnet"
	"spate/peerwire"
	"spate/storage"
)

// utpPort is the port on which a standInUTP listens in place of each UDP port.
const utpPort = 7000

// standInUTP carries "uTP" over the simulated TCP of another port.
type standInUTP struct {
	net.Listener
	host *simnet.Host
}

// standInConn is a connection of a standInUTP. It has addresses of UDP.
type standInConn struct{ net.Conn }

func (c standInConn) RemoteAddr() net.Addr {
	return net.UDPAddrFromAddrPort(c.Conn.RemoteAddr().(*net.TCPAddr).AddrPort())
}

// listen makes u a socket of a host.
func (u *standInUTP) listen(t *testing.T, host *simnet.Host, at netip.Addr) {
	t.Helper()
	l, err := host.Listen(t.Context(), "tcp", netip.AddrPortFrom(at, utpPort).String())
	if err != nil {
		t.Fatal(err)
	}
	u.Listener, u.host = l, host
}

func (u *standInUTP) Accept() (net.Conn, error) {
	c, err := u.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return standInConn{c}, nil
}

func (u *standInUTP) Dial(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	c, err := u.host.DialContext(ctx, "tcp", netip.AddrPortFrom(to.Addr(), utpPort).String())
	if err != nil {
		return nil, err
	}
	return standInConn{c}, nil
}

// raceSession is a session that can dial a peer over both transports.
type raceSession struct {
	*Session
	peer netip.AddrPort
}

// withRace runs f in simulated time with a session, and with a peer that has listeners on the
// transports in on. latency is that of the peer.
func withRace(t *testing.T, opt Options, latency time.Duration, on []Transport, f func(t *testing.T, s *raceSession, peer map[Transport]net.Listener)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		world := simnet.New(simnet.Options{Seed: 1})
		at, far := netip.AddrFrom4([4]byte{10, 0, 0, 1}), netip.AddrFrom4([4]byte{10, 0, 1, 1})
		host, other := world.Host(at, simnet.Link{}), world.Host(far, simnet.Link{Latency: latency})
		utp := &standInUTP{}
		utp.listen(t, host, at)
		opt.Bind, opt.Network, opt.UTP, opt.PeerPort, opt.Seed = at, host, utp, 6881, 1
		s, err := NewSession(opt)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		listeners := map[Transport]net.Listener{}
		for _, tr := range on {
			port := map[Transport]uint16{TCP: 6881, UTP: utpPort}[tr]
			if listeners[tr], err = other.Listen(t.Context(), "tcp", netip.AddrPortFrom(far, port).String()); err != nil {
				t.Fatal(err)
			}
			defer listeners[tr].Close()
		}
		f(t, &raceSession{s, netip.AddrPortFrom(far, 6881)}, listeners)
	})
}

// dialed returns the transport over which the session reached the peer, and the time it took.
func (s *raceSession) dialed(t *testing.T) (Transport, time.Duration) {
	t.Helper()
	began := time.Now()
	nc, err := s.dialPeer(t.Context(), s.peer)
	if err != nil {
		t.Fatal(err)
	}
	took := time.Since(began)
	nc.Close()
	synctest.Wait()
	return transportOf(nc), took
}

// TestDialBeginsWithTCP checks that a peer that nothing is known about is reached over TCP if it
// answers within the head start, without a dial over uTP.
func TestDialBeginsWithTCP(t *testing.T) {
	t.Parallel()
	withRace(t, Options{}, 50*time.Millisecond, []Transport{TCP, UTP}, func(t *testing.T, s *raceSession, peer map[Transport]net.Listener) {
		if over, took := s.dialed(t); over != TCP || took > 250*time.Millisecond {
			t.Errorf("reached the peer over %v after %v, want tcp at once", over, took)
		}
		peer[UTP].Close() // Accept returns nothing that came before
		if c, err := peer[UTP].Accept(); err == nil {
			t.Errorf("the peer got a uTP connection from %v too", c.RemoteAddr())
		}
	})
}

// TestDialUsesTheOtherTransport checks that the session reaches peers on which one transport
// refuses connections or loses all packets.
func TestDialUsesTheOtherTransport(t *testing.T) {
	t.Parallel()
	for _, only := range []Transport{TCP, UTP} {
		withRace(t, Options{}, 10*time.Millisecond, []Transport{only}, func(t *testing.T, s *raceSession, _ map[Transport]net.Listener) {
			s.transports.reached(s.peer, only.other()) // so that the dial begins with the one that is refused
			if over, took := s.dialed(t); over != only || took >= headStart {
				t.Errorf("reached the peer over %v after %v, want %v before the head start is over", over, took, only)
			}
		})
	}
}

// lossyNetwork is a network whose TCP connections get no answer.
type lossyNetwork struct{ *simnet.Host }

func (n lossyNetwork) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// TestDialGivesUpTheSlowerTransport checks that the dial over the other transport begins after
// the head start, and that the first one is given up when it wins.
func TestDialGivesUpTheSlowerTransport(t *testing.T) {
	t.Parallel()
	for _, known := range []bool{false, true} {
		withRace(t, Options{}, 10*time.Millisecond, []Transport{UTP}, func(t *testing.T, s *raceSession, _ map[Transport]net.Listener) {
			s.opt.Network = lossyNetwork{s.opt.Network.(*simnet.Host)}
			head := headStart
			if known { // by peer exchange
				s.transports.supportsUTP(s.peer)
				head = shortHeadStart
			}
			if over, took := s.dialed(t); over != UTP || took < head || took > head+100*time.Millisecond {
				t.Errorf("reached the peer over %v after %v, want utp soon after %v", over, took, head)
			}
		})
	}
}

// TestDialReportsTheErrorOfTCP checks the error and the time of a dial if neither transport
// reaches the peer.
func TestDialReportsTheErrorOfTCP(t *testing.T) {
	t.Parallel()
	withRace(t, Options{}, 10*time.Millisecond, nil, func(t *testing.T, s *raceSession, _ map[Transport]net.Listener) {
		s.transports.reached(s.peer, UTP)
		if nc, err := s.dialPeer(t.Context(), s.peer); nc != nil || !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("the dial returned %v, %v, want a refusal", nc, err)
		}
	})
}

// TestNoTCP checks that a session without TCP listens and dials by uTP only.
func TestNoTCP(t *testing.T) {
	t.Parallel()
	withRace(t, Options{NoTCP: true}, 10*time.Millisecond, []Transport{TCP, UTP}, func(t *testing.T, s *raceSession, _ map[Transport]net.Listener) {
		if over, _ := s.dialed(t); over != UTP {
			t.Errorf("reached the peer over %v, want utp", over)
		}
		if s.PeerPort() != utpPort || len(s.listeners) != 1 {
			t.Errorf("the session listens on port %d with %d listeners, want %d with one", s.PeerPort(), len(s.listeners), utpPort)
		}
	})
	if _, err := NewSession(Options{NoTCP: true}); err == nil {
		t.Error("NewSession accepted options without a transport")
	}
}

// TestTransportMemory checks which transport a dial begins with.
func TestTransportMemory(t *testing.T) {
	t.Parallel()
	at := netip.MustParseAddrPort
	m := newTransportMemory()
	want := func(addr string, first Transport, both bool) {
		t.Helper()
		if f, b := m.first(at(addr)); f != first || b != both {
			t.Errorf("the dial of %s begins with %v, both %v; want %v, %v", addr, f, b, first, both)
		}
	}
	want("192.0.2.1:1", TCP, false)
	m.supportsUTP(at("192.0.2.1:1"))
	want("192.0.2.1:1", TCP, true)
	m.reached(at("192.0.2.1:1"), UTP)
	want("192.0.2.1:1", UTP, false)
	want("192.0.2.9:9", UTP, false) // of the same network
	want("198.51.100.1:1", TCP, false)
	m.reached(at("192.0.2.1:1"), TCP)
	want("192.0.2.1:1", TCP, false)
	m.silent(at("192.0.2.1:1"), TCP)
	want("192.0.2.1:1", UTP, false)
	want("192.0.2.9:9", TCP, false)
	for i := range 2 * maxRemembered {
		m.reached(netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 1), UTP)
	}
	if len(m.peers) != maxRemembered {
		t.Errorf("the memory has %d peers, want %d", len(m.peers), maxRemembered)
	}
}

// TestSecondAttemptKeepsTheTransport checks that a peer that closes a connection over TCP because of
// its encryption is dialled again over TCP. If it never answers, the next dial begins with uTP,
// with encryption too.
func TestSecondAttemptKeepsTheTransport(t *testing.T) {
	t.Parallel()
	withRace(t, Options{}, time.Millisecond, []Transport{TCP, UTP}, func(t *testing.T, s *raceSession, peer map[Transport]net.Listener) {
		go func() {
			c, err := peer[TCP].Accept()
			if err != nil {
				return
			}
			readHandshake(c)
			c.Close()
			// The second connection stays open and silent.
		}()
		var overUTP atomic.Bool
		go func() {
			if _, err := peer[UTP].Accept(); err == nil {
				overUTP.Store(true)
			}
		}()
		_, _, err := s.connect(t.Context(), s.dialPeer, s.peer, spate.InfoHash{1}, false, func(spate.InfoHash) bool { return false })
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("connect returned %v, want the error of a silent peer", err)
		}
		if overUTP.Load() {
			t.Error("the second attempt used uTP")
		}
		if first, _ := s.transports.first(s.peer); first != UTP {
			t.Errorf("the next dial begins with %v although TCP was silent in the second attempt", first)
		}
	})
	withRace(t, Options{Encryption: EncryptionRequire}, time.Millisecond, []Transport{TCP}, func(t *testing.T, s *raceSession, peer map[Transport]net.Listener) {
		if _, _, err := s.connect(t.Context(), s.dialPeer, s.peer, spate.InfoHash{1}, false, nil); !errors.Is(err, errNoAnswer) {
			t.Errorf("connect returned %v, want that the peer does not answer", err)
		}
		if first, _ := s.transports.first(s.peer); first != UTP {
			t.Errorf("the next dial begins with %v although TCP was silent", first)
		}
	})
}

// TestSessionClosesUTPThatOnlyDials checks that a session that does not listen closes its UTPSocket.
func TestSessionClosesUTPThatOnlyDials(t *testing.T) {
	t.Parallel()
	utp := &closedUTP{}
	s, err := NewSession(Options{NoListen: true, UTP: utp})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if !utp.closed {
		t.Error("the UTPSocket is open after Close")
	}
}

// closedUTP is a UTPSocket that records whether it was closed.
type closedUTP struct {
	standInUTP
	closed bool
}

func (u *closedUTP) Close() error {
	u.closed = true
	return nil
}

// TestIncomingUTP checks that a peer that connects by uTP takes the path of all peers: the
// session answers its handshake, shows its transport, and names it to others as a peer that
// supports uTP.
func TestIncomingUTP(t *testing.T) {
	t.Parallel()
	data, mi := noiseTorrent(t, 64<<14, 1<<14)
	withSimSession(t, Options{UTP: &standInUTP{}}, func(sim *simSession) {
		tor := added(t, sim.s, mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true, PlainSeed: true})
		watcher := sim.dial(mi.Hash())
		watcher.send(peerwire.AppendExtHandshake(peerwire.AppendSimple(nil, peerwire.HaveNone), &peerwire.ExtHandshake{PEX: 6, Port: 7001}))
		watcher.awaitExtHandshake()
		c, err := sim.host().DialContext(context.Background(), "tcp", netip.AddrPortFrom(sim.s.Addr().Addr(), utpPort).String())
		if err != nil {
			t.Fatal(err)
		}
		p := handshakeOver(t, c, mi.Hash(), extendedAndFast())
		sim.peers = append(sim.peers, p)
		p.send(peerwire.AppendExtHandshake(peerwire.AppendSimple(nil, peerwire.HaveNone), &peerwire.ExtHandshake{Port: 7002}))
		p.awaitExtHandshake()
		transports := map[Transport]int{}
		for _, st := range tor.PeerStats() {
			transports[st.Transport]++
		}
		if transports[TCP] != 1 || transports[UTP] != 1 {
			t.Errorf("the peers use %v, want one of each transport", transports)
		}
		for {
			m := watcher.await(peerwire.Extended)
			if m.Index != 6 {
				continue
			}
			pex, err := peerwire.ParsePEX(m.Payload)
			if err != nil || len(pex.Added) != 1 || pex.Flags[0]&peerwire.PEXUTP == 0 {
				t.Errorf("the session named %+v, %v; want a peer that supports uTP", pex, err)
			}
			return
		}
	})
}
