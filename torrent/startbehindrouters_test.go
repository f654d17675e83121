package torrent_test

import (
	"net/netip"
	"testing"
	"time"

	"spate/internal/simnet"
	"spate/torrent"
	trackerswarm "spate/tracker/swarm"
)

// TestSwarmBehindRoutersStartsSoon checks that an origin and two getters behind routers, and a
// reachable peer whose line is too slow to pass on the data, exchange data within 20 seconds after
// the last of them has started, in whichever order they come. None of them can connect to another
// before those behind routers have announced again, or dial each other at the same time. The tracker
// is the table of the real one, with its own intervals.
func TestSwarmBehindRoutersStartsSoon(t *testing.T) {
	t.Parallel()
	const relay, origin, first, second = 1, 2, 3, 4
	for name, c := range map[string]struct {
		order []byte
		lead  time.Duration // between the first one and the others
	}{
		"the reachable peer last":          {[]byte{origin, first, second, relay}, 6 * time.Second},
		"the same, all at once":            {[]byte{origin, first, second, relay}, 0},
		"the reachable peer first":         {[]byte{relay, origin, first, second}, 0},
		"the origin last":                  {[]byte{first, second, relay, origin}, 0},
		"the origin between the getters":   {[]byte{first, origin, relay, second}, 6 * time.Second},
		"nobody is reachable":              {[]byte{origin, first, second}, 6 * time.Second},
		"nobody is reachable, all at once": {[]byte{first, origin, second}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			table, err := trackerswarm.New(trackerswarm.Options{Seed: [16]byte{1}})
			if err != nil {
				t.Fatal(err)
			}
			defer table.Close()
			withHomes(t, func(t *testing.T, h *homes) {
				h.announcer = func(addr netip.Addr) torrent.Announcer { return &tableAnnouncer{table: table, from: addr} }
				var getters []*homePeer
				for i, home := range c.order {
					kind, opt := simnet.Masquerade, torrent.Options{Up: 500_000}
					if home == relay {
						kind, opt = open, torrent.Options{Up: 2000, Down: 20_000}
					}
					p := h.join(home, kind, home == origin, opt)
					if home == first || home == second {
						getters = append(getters, p)
					}
					time.Sleep(300 * time.Millisecond)
					if i == 0 {
						time.Sleep(c.lead)
					}
				}
				began := time.Now()
				for _, g := range getters {
					for g.Stats().Downloaded == 0 && time.Since(began) < time.Hour {
						time.Sleep(100 * time.Millisecond)
					}
					t.Logf("a getter has its first data %v after the last peer came", time.Since(began))
				}
				if took := time.Since(began); took > 20*time.Second {
					t.Errorf("the getters have their first data after %v", took)
				}
				for _, g := range getters {
					h.wait(g.Torrent, time.Hour)
					h.holds(g.store, h.data)
				}
				if took := time.Since(began); took > 35*time.Second { // the origin needs 9 seconds for a copy
					t.Errorf("the getters have the data after %v", took)
				}
			})
		})
	}
}
