package torrent

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"spate/internal/simnet"
	"spate/storage"
)

// hostileHandshakes connects from eight networks to a session, a thousand times a second until ctx
// ends. Each connection sends a public key, for which the session has to compute. Every second one
// then sends noise, and the others wait.
func hostileHandshakes(ctx context.Context, net *simnet.Network, to netip.AddrPort) (count func() int) {
	var hosts [8]*simnet.Host
	for i := range hosts {
		hosts[i] = net.Host(netip.AddrFrom4([4]byte{198, 51, byte(100 + i), 1}), simnet.Link{Latency: 10 * time.Millisecond})
	}
	noise := make([]byte, 96+600)
	rand.NewChaCha8([32]byte{}).Read(noise)
	var wg sync.WaitGroup
	n := 0
	wg.Go(func() {
		for ; ctx.Err() == nil; n++ {
			time.Sleep(time.Millisecond)
			host, length := hosts[n%len(hosts)], 96
			if n%2 == 0 {
				length = len(noise)
			}
			wg.Go(func() {
				c, err := host.DialContext(ctx, "tcp", to.String())
				if err != nil {
					return
				}
				defer c.Close()
				defer context.AfterFunc(ctx, func() { c.Close() })()
				c.Write(noise[:length])
				for b := make([]byte, 1024); err == nil; {
					_, err = c.Read(b)
				}
			})
		}
	})
	return func() int { wg.Wait(); return n }
}

// TestHostileHandshakesLeaveHonestPeersTheirRate checks that a peer that connects with encryption in
// the middle of a thousand hostile handshakes a second downloads at 0.8 of its rate without them.
func TestHostileHandshakesLeaveHonestPeersTheirRate(t *testing.T) {
	t.Parallel()
	const size = 6 << 20
	var took [2]time.Duration
	for i := range took {
		synctest.Test(t, func(t *testing.T) {
			world := simnet.New(simnet.Options{Seed: 1})
			session := func(host byte, opt Options, link simnet.Link) *Session {
				addr := netip.AddrFrom4([4]byte{10, 0, host, 1})
				opt.Network, opt.Bind, opt.PeerPort, opt.Seed = world.Host(addr, link), addr, 6881, uint64(host)
				s, err := NewSession(opt)
				if err != nil {
					t.Fatal(err)
				}
				return s
			}
			seed := session(1, Options{}, simnet.Link{Up: 3 << 20, Latency: 10 * time.Millisecond})
			get := session(2, Options{Encryption: EncryptionRequire}, simnet.Link{Latency: 10 * time.Millisecond})
			ctx, cancel := context.WithCancel(context.Background())
			var wg sync.WaitGroup
			wg.Go(func() { seed.Run(ctx) })
			wg.Go(func() { get.Run(ctx) })
			defer wg.Wait()
			defer cancel()
			data, mi := noiseTorrent(t, size, 64<<10)
			added(t, seed, mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true})
			hostile, end := context.WithCancel(ctx)
			defer end()
			if i == 1 {
				count := hostileHandshakes(hostile, world, seed.Addr())
				defer func() {
					end()
					n := count()
					handshakes, _ := seed.Pools()
					t.Logf("%d hostile handshakes, of which %d were evicted", n, handshakes.Evicted)
				}()
			}
			time.Sleep(time.Second)
			began := time.Now()
			tor := added(t, get, mi, AddOptions{Storage: storage.NewMemory(size), Peers: []netip.AddrPort{seed.Addr()}})
			wait, stop := context.WithTimeout(ctx, time.Minute)
			defer stop()
			if err := tor.Wait(wait); err != nil {
				t.Fatal(err)
			}
			took[i] = time.Since(began)
		})
	}
	t.Logf("%v alone, %v with hostile handshakes", took[0], took[1])
	if ratio := took[0].Seconds() / took[1].Seconds(); ratio < .8 {
		t.Errorf("the peer gets %.2f of its rate", ratio)
	}
}
