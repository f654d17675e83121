package torrent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"spate/internal/simnet"
	"spate/storage"
	"spate/torrent/internal/peerlist"
	"spate/utp"
)

// TestEvictedHandshakeIsClosedWithoutTheLock checks that the session does not hold its lock while it
// closes a connection in favour of another one, because the end of a uTP connection sends packets.
func TestEvictedHandshakeIsClosedWithoutTheLock(t *testing.T) {
	t.Parallel()
	s := testSession(t, Options{NoListen: true})
	closed := 0
	for range maxHandshakes + 10 {
		s.beginHandshake(netip.MustParseAddrPort("192.0.2.1:1"), func() error {
			closed++
			if !s.mu.TryLock() {
				t.Error("the session holds its lock")
				return nil
			}
			s.mu.Unlock()
			return nil
		})
	}
	if closed != 10 {
		t.Errorf("%d connections were closed, want 10", closed)
	}
}

// TestConnectionThroughOwnHoleConfirmsNothing checks which incoming connections show that others on
// the internet can reach the session.
func TestConnectionThroughOwnHoleConfirmsNothing(t *testing.T) {
	t.Parallel()
	from := netip.MustParseAddrPort("198.51.100.7:6881")
	for _, c := range []struct {
		noTCP bool
		over  Transport
		dials time.Duration // how long ago the session dialled the address; 0: never
		want  bool
	}{
		{false, TCP, 0, true},
		{false, TCP, time.Second, true},
		{false, UTP, 0, false},
		{true, UTP, 0, true},
		{true, UTP, time.Second, false},
		{true, UTP, 2 * holeTime, true},
	} {
		withRace(t, Options{NoTCP: c.noTCP}, time.Millisecond, nil, func(t *testing.T, s *raceSession, _ map[Transport]net.Listener) {
			if c.dials > 0 {
				s.dialOver(t.Context(), UTP, netip.AddrPortFrom(from.Addr(), 1))
				time.Sleep(c.dials)
			}
			s.cameIn(from, c.over)
			if got := !s.LastIncoming().IsZero(); got != c.want {
				t.Errorf("%+v: confirmed %v", c, got)
			}
		})
	}
}

// TestSessionWithoutTCPDialsNobodyBack checks that a session without TCP does not connect to a peer
// by TCP because the peer asks for it.
func TestSessionWithoutTCPDialsNobodyBack(t *testing.T) {
	t.Parallel()
	withDialBackWorld(t, "", []string{"198.51.100.1"}, func(w *dialBackWorld) {
		for _, s := range w.others {
			s.opt.NoTCP = true
		}
		got := w.asker.AskDialBack(w.t.Context(), DialBackRequest{TCPPort: 6881, UDPPort: 6882})
		if want := (DialBackReport{1, DialBackCounts{Unclear: 1}, DialBackCounts{Reached: 1}}); got != want {
			t.Errorf("AskDialBack returned %+v, want %+v", got, want)
		}
	})
}

// fullUTP is a uTP socket that has no place for another connection.
type fullUTP struct{ *standInUTP }

func (fullUTP) Dial(context.Context, netip.AddrPort) (net.Conn, error) {
	return nil, &net.OpError{Op: "dial", Net: "utp", Err: fmt.Errorf("no place: %w", utp.ErrTooMany)}
}

// TestFullSocketIsNoFailureOfThePeer checks that a peer that could not be dialled because the uTP
// socket of this side is full does not count as one that failed.
func TestFullSocketIsNoFailureOfThePeer(t *testing.T) {
	t.Parallel()
	_, mi := noiseTorrent(t, 100<<10, 16<<10)
	u := fullUTP{&standInUTP{}}
	synctest.Test(t, func(t *testing.T) {
		at := netip.MustParseAddr("10.0.0.1")
		host := simnet.New(simnet.Options{Seed: 1}).Host(at, simnet.Link{})
		u.listen(t, host, at)
		s, err := NewSession(Options{Bind: at, Network: host, UTP: u, NoTCP: true})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan struct{})
		go func() { defer close(ended); s.Run(ctx) }()
		defer func() { cancel(); <-ended }()
		tor := added(t, s, mi, AddOptions{Storage: storage.NewMemory(100 << 10)})
		tor.AddPeers([]netip.AddrPort{netip.MustParseAddrPort("10.0.1.1:1")})
		time.Sleep(time.Minute)
		tor.mu.Lock()
		defer tor.mu.Unlock()
		if counts := tor.peers.Counts(); counts.ByFailure[peerlist.NoFailure] != 1 {
			t.Errorf("the candidates are %+v, want one that has not failed", counts)
		}
	})
}

// TestDialOverUTPEndsSoonAfterTCP checks that a peer which refuses TCP and does not answer uTP holds
// a slot for dials for little longer than utpAfterTCP.
func TestDialOverUTPEndsSoonAfterTCP(t *testing.T) {
	t.Parallel()
	for _, first := range []Transport{TCP, UTP} {
		withRace(t, Options{}, 10*time.Millisecond, nil, func(t *testing.T, s *raceSession, _ map[Transport]net.Listener) {
			s.opt.UTP = silentUTP{s.opt.UTP}
			s.transports.reached(s.peer, first)
			began := time.Now()
			nc, err := s.dialPeer(t.Context(), s.peer)
			if nc != nil || !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("the dial returned %v, %v, want a refusal", nc, err)
			}
			if took := time.Since(began); took < utpAfterTCP || took > utpAfterTCP+headStart+100*time.Millisecond {
				t.Errorf("%v first: the dial took %v", first, took)
			}
		})
	}
}

// silentUTP is a uTP socket whose peers do not answer.
type silentUTP struct{ UTPSocket }

func (silentUTP) Dial(ctx context.Context, _ netip.AddrPort) (net.Conn, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}
