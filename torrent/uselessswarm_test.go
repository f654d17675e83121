package torrent

import (
	"context"
	"flag"
	"fmt"
	"net/netip"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"spate"
	"spate/internal/simnet"
	"spate/storage"
)

// crowdScenario is an origin, honest getters that also connect to each other, and useless peers
// that connect to the origin and to a getter each, three seconds before the getters, and again
// whenever a connection ends.
type crowdScenario struct {
	seed        uint64
	size, piece int
	origin      simnet.Link
	knownUp     int64 // the limit of the upload rate that the origin knows; 0 means none
	getters     int
	getter      simnet.Link
	habit       string
	useless     int
}

// run plays the scenario in simulated time. It returns how long the last getter took, and how
// many bytes the origin sent until then.
func (g crowdScenario) run(t *testing.T) (last time.Duration, sent int64) {
	data, mi := noiseTorrent(t, g.size, g.piece)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		var all sync.WaitGroup
		defer all.Wait()
		defer cancel()
		world := simnet.New(simnet.Options{Seed: 7 + g.seed, Lockstep: true, Window: 128 << 10})
		at := func(i int) netip.AddrPort {
			return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 2, byte(i), 1}), 6881)
		}
		session := func(i int, link simnet.Link, up int64) *Session {
			s, err := NewSession(Options{
				Network: world.Host(at(i).Addr(), link), Bind: at(i).Addr(), PeerPort: 6881, Seed: uint64(i+1) + 100*(7+g.seed), Up: up,
				// Random peer ids, and the random padding of encrypted handshakes, would make runs differ.
				PeerID: spate.PeerID([]byte(fmt.Sprintf("-Sp0100-%012d", i))), Encryption: EncryptionOff,
			})
			if err != nil {
				t.Fatal(err)
			}
			all.Go(func() { s.Run(ctx) })
			return s
		}
		origin := added(t, session(0, g.origin, g.knownUp), mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true})
		time.Sleep(time.Second)
		for i := range g.useless {
			from := world.Host(netip.AddrFrom4([4]byte{10, 16 + byte(i>>8), byte(i), 1}), simnet.Link{Latency: g.getter.Latency})
			for k, to := range []netip.AddrPort{at(0), at(1 + i%g.getters)} {
				all.Go(func() {
					time.Sleep(time.Duration(2*i+k) * time.Millisecond * 1001 / 1000) // no two at the same time
					for ctx.Err() == nil {
						if c, err := from.DialContext(ctx, "tcp", to.String()); err == nil {
							stop := context.AfterFunc(ctx, func() { c.Close() })
							behaviors[g.habit].play(ctx, c, mi.Hash(), mi.Info.NumPieces())
							c.Close()
							stop()
						}
						time.Sleep(time.Second)
					}
				})
			}
		}
		time.Sleep(3 * time.Second)
		start := time.Now()
		var honest sync.WaitGroup
		for i := range g.getters {
			honest.Go(func() {
				time.Sleep(time.Duration(i) * time.Microsecond)
				known := []netip.AddrPort{at(0)}
				for k := range i {
					known = append(known, at(1+k))
				}
				tor := added(t, session(1+i, g.getter, 0), mi, AddOptions{Storage: storage.NewMemoryLike(data), Peers: known})
				limit, done := context.WithTimeout(ctx, time.Hour)
				defer done()
				if err := tor.Wait(limit); err != nil {
					t.Errorf("getter %d has %d of %d pieces: %v", i, tor.Stats().PiecesHave, mi.Info.NumPieces(), err)
				}
			})
		}
		honest.Wait()
		last, sent = time.Since(start), origin.Stats().Uploaded
		cancel()
		all.Wait()
	})
	return last, sent
}

// TestSwarmBesideUselessPeers checks that four honest getters keep 80 % of the rate that they have
// alone, whatever the useless peers do that connected to the origin and to them before. A hundred that
// take data and read nothing get a twentieth of the line and some blocks before the getters come. Five
// hundred fill the connection slots of the origin and of the getters.
func TestSwarmBesideUselessPeers(t *testing.T) {
	t.Parallel()
	const mbit = 1e6 / 8
	for seed := range max(1, manySeeds(t)) {
		alone := crowdScenario{
			seed: seed, size: 16 << 20, piece: 128 << 10, getters: 4, knownUp: 20 * mbit,
			origin: simnet.Link{Up: 20 * mbit, Latency: 2 * time.Millisecond},
			getter: simnet.Link{Up: 40 * mbit, Down: 100 * mbit, Latency: 2 * time.Millisecond},
		}
		aloneTook, aloneSent := alone.run(t)
		t.Logf("alone: %v, %.2f copies", aloneTook, float64(aloneSent)/float64(alone.size))
		for _, c := range []struct {
			habit  string
			least  float64 // share of the rate
			count  []int
			always int // the count that is played without -seeds too; 0: none
		}{
			{"is idle", 0.8, []int{100, 500}, 0},
			{"is interested and silent", 0.8, []int{100, 500}, 0},
			{"claims pieces and is silent", 0.87, []int{2, 20, 100, 500}, 100},
			{"sends noise", 0.8, []int{2, 100}, 0},
			{"asks and never reads", 0.8, []int{20, 100, 500}, 100},
			{"reads 1 kB/s", 0.8, []int{100, 500}, 0},
			{"asks, comes back each 5 s", 0.8, []int{100}, 0},
			{"is idle, comes back each 5 s", 0.8, []int{100, 500}, 500},
		} {
			for _, count := range c.count {
				if manySeeds(t) == 0 && count != c.always {
					continue // scripts/check plays all, with -seeds
				}
				t.Run(fmt.Sprintf("%d/%d/%s", seed, count, c.habit), func(t *testing.T) {
					t.Parallel()
					g := alone
					g.habit, g.useless = c.habit, count
					took, sent := g.run(t)
					t.Logf("%s: %v, %.0f %% of the rate, %.2f copies", t.Name(), took, 100*aloneTook.Seconds()/took.Seconds(), float64(sent)/float64(g.size))
					if took.Seconds() > aloneTook.Seconds()/c.least {
						t.Errorf("took %v, alone %v: under %.0f %% of the rate", took, aloneTook, 100*c.least)
					}
				})
			}
		}
	}
}

// manySeeds returns the flag -seeds, which says how many random seeds long tests play.
func manySeeds(t *testing.T) uint64 {
	n, err := strconv.ParseUint(flag.Lookup("seeds").Value.String(), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
