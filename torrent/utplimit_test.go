package torrent_test

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"spate/internal/simnet"
	"spate/storage"
	"spate/torrent"
	"spate/utp"
)

// packetNet carries packets between uTP sockets with a delay of 5 ms.
type packetNet struct {
	mu      sync.Mutex
	sockets map[netip.AddrPort]*utp.Socket
}

// packetHost is the [utp.PacketConn] of one address.
type packetHost struct {
	n  *packetNet
	at netip.AddrPort
}

func (h packetHost) WriteTo(b []byte, to netip.AddrPort) error {
	h.n.mu.Lock()
	s := h.n.sockets[to]
	h.n.mu.Unlock()
	if s != nil {
		b = bytes.Clone(b)
		time.AfterFunc(5*time.Millisecond, func() { s.Handle(b, h.at) })
	}
	return nil
}

// utpPort is a [torrent.UTPSocket].
type utpPort struct{ *utp.Socket }

func (p utpPort) Dial(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	return p.Socket.Dial(ctx, to)
}

// utpSession runs a session that uses only uTP.
func (w *web) utpSession(n *packetNet, opt torrent.Options) *torrent.Session {
	at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(w.hosts + 1)}), 6881)
	s, err := utp.NewSocket(packetHost{n, at}, utp.Options{Addr: at})
	if err != nil {
		w.t.Fatal(err)
	}
	n.mu.Lock()
	n.sockets[at] = s
	n.mu.Unlock()
	opt.UTP, opt.NoTCP, opt.NoPEX = utpPort{s}, true, true
	return w.session(simnet.Link{}, opt)
}

// TestLimitsOverUTP checks that a session sends and receives exactly at its limits over uTP.
func TestLimitsOverUTP(t *testing.T) {
	t.Parallel()
	const over = 5 * time.Second
	for name, c := range map[string]struct{ seed, getter torrent.Options }{
		"up":   {seed: torrent.Options{Up: 500_000}},
		"down": {getter: torrent.Options{Down: 500_000}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := rateLimit{rate: 500_000}
			data, mi := makeTorrent(t, 6<<20, 256<<10)
			synctest.Test(t, func(t *testing.T) {
				w := newWeb(t)
				defer w.end()
				n := &packetNet{sockets: map[netip.AddrPort]*utp.Socket{}}
				from := w.utpSession(n, c.seed)
				seed := w.add(from, withoutTrackers(mi), torrent.AddOptions{Storage: storage.NewMemoryOf(data), Verified: true, PlainSeed: true})
				getter := w.add(w.utpSession(n, c.getter), withoutTrackers(mi), torrent.AddOptions{
					Storage: storage.NewMemoryLike(data), Peers: []netip.AddrPort{from.Addr()},
				})
				time.Sleep(settleTime(l.rate))
				up, down := seed.Stats().Uploaded, getter.Stats().Downloaded
				time.Sleep(over)
				if name == "up" {
					checkRate(t, l, seed.Stats().Uploaded-up, over)
				}
				checkRate(t, l, getter.Stats().Downloaded-down, over)
			})
		})
	}
}
