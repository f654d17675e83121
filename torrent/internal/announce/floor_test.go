package announce

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"spate/tracker"
)

// TestNoActionAsksTrackerTooSoon checks that no series of actions of a user makes a torrent ask
// one of its trackers sooner than the tracker allows: starts and stops, changes of the list of
// trackers, requests for more peers, and restarts of the program.
func TestNoActionAsksTrackerTooSoon(t *testing.T) {
	const (
		named   = "http://named.example/announce"   // names peers
		nobody  = "http://nobody.example/announce"  // names none
		patient = "http://patient.example/announce" // has a minimum interval, which ends when it was told that the torrent stopped
		failing = "http://failing.example/announce"
		later   = "http://later.example/announce" // refuses, and says for how long
	)
	floors := map[string]time.Duration{named: minGap, nobody: firstRetry, patient: firstRetry, failing: firstRetry, later: firstRetry}
	lists := [][][]string{
		{{named}}, {{nobody}}, {{patient}}, {{failing}}, {{later}},
		{{named}, {nobody}}, {{failing}, {named}}, {{failing, patient}}, {{later}, {patient}, {nobody}},
		{{nobody, named, patient, failing, later}}, {{failing}, {later}, {named}}, {},
	}
	for seed := range uint64(5) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			record := filepath.Join(t.TempDir(), "announces.json")
			synctest.Test(t, func(t *testing.T) {
				rng := rand.New(rand.NewPCG(seed, 5))
				c := &answersByURL{
					resp: map[string]tracker.AnnounceResponse{
						named: {Interval: time.Second, Peers: []netip.AddrPort{somePeer}}, nobody: {Interval: time.Second},
						patient: {Interval: time.Second, MinInterval: 5 * time.Minute},
					},
					errs: map[string]error{
						failing: fmt.Errorf("refused"), later: &tracker.FailureError{Reason: "later", RetryIn: time.Minute},
					},
				}
				s, end := process(t, c, record, 6881)
				list := lists[rng.IntN(len(lists))]
				w := swarmOf(&fakeTorrent{left: 1}, list...)
				s.Start(w, 0, 0)
				var log []string
				for range 100 {
					action := rng.IntN(6)
					switch action {
					case 0: // pause and resume
						s.Halt(w)
						time.Sleep(time.Duration(rng.IntN(3)) * time.Second)
						s.Start(w, 0, 0)
					case 1: // remove, and add again
						s.Stop(w)
						w = swarmOf(&fakeTorrent{left: 1}, list...)
						s.Start(w, 0, 0)
					case 2: // edit the list
						s.Stop(w)
						list = lists[rng.IntN(len(lists))]
						w = swarmOf(&fakeTorrent{left: 1}, list...)
						s.Start(w, 0, 0)
					case 3:
						s.Hurry(w, Need{})
					case 4:
						s.Repeat(w)
					case 5: // start the program again
						s.Stop(w)
						end()
						s, end = process(t, c, record, 6881)
						w = swarmOf(&fakeTorrent{left: 1}, list...)
						s.Start(w, 0, 0)
					}
					log = append(log, fmt.Sprintf("%v: action %d, trackers %v", time.Since(epoch), action, list))
					time.Sleep(time.Duration(rng.ExpFloat64() * float64(7*time.Second)))
				}
				s.Stop(w)
				end()
				last := map[string]time.Duration{}
				n := 0
				for _, a := range c.take() {
					if a.event == tracker.EventStopped {
						continue
					}
					n++
					if at, ok := last[a.url]; ok && a.at-at < floors[a.url] {
						t.Errorf("%s was asked at %v and at %v\n%q", a.url, at, a.at, log)
						return
					}
					last[a.url] = a.at
				}
				if n < 5 {
					t.Errorf("only %d announces", n)
				}
			})
		})
	}
}
