package torrent_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"spate"
	"spate/internal/simnet"
	"spate/metainfo"
	"spate/storage"
	"spate/torrent"
	"spate/utp"
)

// homes is a swarm of peers behind routers, with TCP and uTP.
type homes struct {
	*web
	udp     *simnet.Datagrams
	mu      sync.Mutex
	routers map[netip.Addr]*simnet.Router // guarded by mu
	homes   map[netip.Addr]bool
	data    []byte
	mi      *metainfo.MetaInfo
	// announcer returns the announcer of the peer with a public address; nil selects the tracker of web.
	announcer func(addr netip.Addr) torrent.Announcer
}

// open is a home without a router.
const open = simnet.NAT(255)

// homePeer is a peer in a home.
type homePeer struct {
	*torrent.Torrent
	addr  netip.Addr // of the router
	store storage.Storage
}

// withHomes runs f with a swarm in simulated time.
func withHomes(t *testing.T, f func(t *testing.T, h *homes)) {
	synctest.Test(t, func(t *testing.T) {
		h := &homes{web: newWeb(t), udp: simnet.NewDatagrams(20 * time.Millisecond), routers: map[netip.Addr]*simnet.Router{}, homes: map[netip.Addr]bool{}}
		h.data, h.mi = makeTorrent(t, 4<<20, 64<<10)
		f(t, h)
		h.end()
		time.Sleep(2 * time.Minute) // timers of uTP and of packets on the way
	})
}

// homeNetwork is the TCP of a peer. Connections to peers behind routers get no answer.
type homeNetwork struct {
	*simnet.Host
	h *homes
}

func (n homeNetwork) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if at, err := netip.ParseAddrPort(address); err == nil && n.h.router(at.Addr()) != nil {
		<-ctx.Done()
		return nil, &net.OpError{Op: "dial", Net: network, Err: os.ErrDeadlineExceeded}
	}
	return n.Host.DialContext(ctx, network, address)
}

// router returns the router of a home, or nil if it has none.
func (h *homes) router(addr netip.Addr) *simnet.Router {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.routers[addr]
}

// join adds a peer. The first peer of a home decides the kind of its router.
func (h *homes) join(home byte, kind simnet.NAT, seed bool, opt torrent.Options) *homePeer {
	h.t.Helper()
	h.hosts++
	addr := netip.AddrFrom4([4]byte{44, 1, home, 1})
	if kind != open && h.router(addr) == nil {
		r := h.udp.Router(addr, kind)
		h.mu.Lock()
		h.routers[addr] = r
		h.mu.Unlock()
	}
	inner := netip.AddrPortFrom(addr, 6881)
	var socket *utp.Socket
	port := h.udp.Port(inner, h.router(addr), func(b []byte, from netip.AddrPort) { socket.Handle(b, from) })
	socket, err := utp.NewSocket(port, utp.Options{Addr: inner})
	if err != nil {
		h.t.Fatal(err)
	}
	at := addr // over TCP too
	if h.homes[addr] {
		at = netip.AddrFrom4([4]byte{44, 1, home, byte(100 + h.hosts)})
	}
	h.homes[addr] = true
	host := h.net.Host(at, simnet.Link{Latency: 5 * time.Millisecond})
	opt.Network, opt.UTP, opt.Announcer, opt.PeerPort = homeNetwork{host, h}, utpPort{socket}, h.tracker.announcerAt(addr), 6881
	if h.announcer != nil {
		opt.Announcer = h.announcer(addr)
	}
	opt.Seed, opt.PeerID = uint64(h.hosts), spate.PeerID([]byte(fmt.Sprintf("-Sp0100-%012d", h.hosts)))
	s, err := torrent.NewSession(opt)
	if err != nil {
		h.t.Fatal(err)
	}
	h.wg.Go(func() { s.Run(h.ctx) })
	p := &homePeer{addr: addr, store: storage.NewMemoryLike(h.data)}
	add := torrent.AddOptions{Storage: p.store}
	if seed {
		add = torrent.AddOptions{Storage: storage.NewMemoryOf(h.data), Verified: true, PlainSeed: true}
	}
	p.Torrent = h.add(s, h.mi, add)
	return p
}

// holesTo returns the connections through holes to peers of a home.
func (p *homePeer) holesTo(other *homePeer) (all []torrent.PeerStats) {
	for _, s := range p.PeerStats() {
		if s.Holepunched && s.Key.Addr().Addr() == other.addr {
			all = append(all, s)
		}
	}
	return all
}

// loseDirect loses all packets between homes with routers for some seconds, in which direct dials
// fail. Otherwise two peers that hear of each other at once connect by dialling at the same time.
func (h *homes) loseDirect(d time.Duration) {
	until := time.Now().Add(d)
	h.udp.Drop(func(from, to netip.AddrPort) bool {
		return time.Now().Before(until) && h.router(from.Addr()) != nil && h.router(to.Addr()) != nil
	})
}

// TestPeersBehindRoutersMeetThroughRelay checks that an origin behind a router that nobody can
// reach serves getters behind other routers through holes, with the help of a reachable peer that
// cannot pass on the data in this time.
func TestPeersBehindRoutersMeetThroughRelay(t *testing.T) {
	t.Parallel()
	for name, opt := range map[string]torrent.Options{"TCP and uTP": {}, "uTP alone": {NoTCP: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			withHomes(t, func(t *testing.T, h *homes) {
				slow := opt
				slow.Up, slow.Down = 2000, 20_000
				h.join(1, open, false, slow)
				time.Sleep(time.Second)
				opt.Up = 500_000
				origin := h.join(2, simnet.Masquerade, true, opt)
				time.Sleep(5 * time.Second)
				h.loseDirect(7 * time.Second)
				a, b := h.join(3, simnet.Masquerade, false, opt), h.join(4, simnet.Masquerade, false, opt)
				time.Sleep(12 * time.Second)
				for _, pair := range [][2]*homePeer{{origin, a}, {origin, b}} {
					holes := pair[0].holesTo(pair[1])
					if len(holes) != 1 || holes[0].Transport != torrent.UTP || holes[0].Downloaded+holes[0].Uploaded == 0 {
						t.Errorf("the connections through holes from %v to %v are %+v", pair[0].addr, pair[1].addr, holes)
					}
				}
				for _, p := range []*homePeer{a, b} {
					if took := h.wait(p.Torrent, time.Hour); took > 30*time.Second {
						t.Errorf("a getter needed %v more", took)
					}
					h.holds(p.store, h.data)
				}
			})
		})
	}
}

// TestWhichRoutersLetHolesThrough checks for pairs of routers whether a getter behind one gets data
// from an origin behind the other with the help of a relay, and what the getter says if not.
func TestWhichRoutersLetHolesThrough(t *testing.T) {
	t.Parallel()
	const masq, full, symmetric = simnet.Masquerade, simnet.FullCone, simnet.Symmetric
	for _, c := range []struct {
		name           string
		origin, getter simnet.NAT
		crowd          bool // another host behind the getter's router uses the same port
		works          bool
	}{
		{"masq to masq", masq, masq, false, true},
		{"masq to full", masq, full, false, true},
		{"full to masq", full, masq, false, true},
		{"full to symmetric", full, symmetric, false, true},
		{"symmetric to full", symmetric, full, false, true},
		{"masq to another port of masq", masq, masq, true, true},
		{"symmetric to masq", symmetric, masq, false, false},
		{"symmetric to symmetric", symmetric, symmetric, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			withHomes(t, func(t *testing.T, h *homes) {
				h.join(1, open, false, torrent.Options{NoTCP: true, Up: 2000, Down: 20_000})
				time.Sleep(time.Second)
				h.join(2, c.origin, true, torrent.Options{NoTCP: true})
				time.Sleep(5 * time.Second)
				if c.crowd {
					h.join(3, c.getter, false, torrent.Options{NoTCP: true, Down: 10})
					time.Sleep(20 * time.Second)
				}
				getter := h.join(3, c.getter, false, torrent.Options{NoTCP: true})
				time.Sleep(90 * time.Second)
				st := getter.Stats()
				if done := st.BytesDone == st.BytesTotal; done != c.works {
					t.Errorf("the getter has %d of %d bytes", st.BytesDone, st.BytesTotal)
				}
				if holes := getter.Stall().Candidates.NoHole; !c.crowd && (holes > 0) == c.works {
					t.Errorf("%d peers count as not reached through a hole", holes)
				}
			})
		})
	}
}
