package swarm_test

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"spate"
	"spate/tracker"
	"spate/tracker/swarm"
)

// TestPeerOfBothFamiliesCountsOnce checks the counts of a swarm whose peers announce over IPv4 and
// IPv6 in any order, become seeds, leave over one family or both, and expire.
func TestPeerOfBothFamiliesCountsOnce(t *testing.T) {
	t.Parallel()
	const four, six = "192.0.2.1:6881", "[2001:db8::1]:6881"
	type step struct {
		addr     string
		peer     byte // the peer id and the key
		seed     bool
		event    tracker.Event
		wait     time.Duration // before the announce
		seeders  uint32
		leechers uint32
	}
	for name, steps := range map[string][]step{
		"IPv4 first":         {{addr: four, peer: 1, leechers: 1}, {addr: six, peer: 1, leechers: 1}},
		"IPv6 first":         {{addr: six, peer: 1, leechers: 1}, {addr: four, peer: 1, leechers: 1}},
		"two peers":          {{addr: four, peer: 1, leechers: 1}, {addr: six, peer: 2, leechers: 2}},
		"again and again":    {{addr: four, peer: 1, leechers: 1}, {addr: six, peer: 1, leechers: 1}, {addr: six, peer: 1, wait: 30 * time.Minute, leechers: 1}, {addr: four, peer: 1, leechers: 1}, {addr: six, peer: 1, wait: 30 * time.Minute, leechers: 1}},
		"a seed":             {{addr: four, peer: 1, seed: true, seeders: 1}, {addr: six, peer: 1, seed: true, seeders: 1}},
		"becomes a seed":     {{addr: four, peer: 1, leechers: 1}, {addr: six, peer: 1, leechers: 1}, {addr: four, peer: 1, seed: true, event: tracker.EventCompleted, seeders: 1}, {addr: six, peer: 1, seed: true, event: tracker.EventCompleted, seeders: 1}},
		"leaves":             {{addr: four, peer: 1, leechers: 1}, {addr: six, peer: 1, leechers: 1}, {addr: four, peer: 1, event: tracker.EventStopped}, {addr: six, peer: 1, event: tracker.EventStopped}},
		"leaves IPv4":        {{addr: four, peer: 1, leechers: 1}, {addr: six, peer: 1, leechers: 1}, {addr: four, peer: 1, event: tracker.EventStopped}, {addr: six, peer: 1, wait: 30 * time.Minute, leechers: 1}},
		"IPv4 expires":       {{addr: four, peer: 1, leechers: 1}, {addr: six, peer: 1, leechers: 1}, {addr: six, peer: 1, wait: 40 * time.Minute, leechers: 1}, {addr: six, peer: 1, wait: 40 * time.Minute, leechers: 1}},
		"both expire":        {{addr: four, peer: 1, leechers: 1}, {addr: six, peer: 1, leechers: 1}, {addr: four, peer: 2, wait: 3 * time.Hour, leechers: 1}},
		"without a key":      {{addr: four, leechers: 1}, {addr: six, leechers: 2}},
		"IPv6 of a stranger": {{addr: four, peer: 1, leechers: 1}, {addr: six, peer: 2, leechers: 2}, {addr: six, peer: 1, leechers: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			table, err := swarm.New(swarm.Options{Shards: 1})
			if err != nil {
				t.Fatal(err)
			}
			defer table.Close()
			now := time.Unix(1_800_000_000, 0)
			for i, s := range steps {
				now = now.Add(s.wait)
				req := swarm.Request{InfoHash: spate.InfoHash{1}, PeerID: spate.PeerID{s.peer}, Key: uint32(s.peer), Addr: netip.MustParseAddrPort(s.addr), Seed: s.seed, Event: s.event}
				var rep swarm.Reply
				if err := table.Announce(now, &req, &rep); err != nil {
					t.Fatal(err)
				}
				seeders, leechers, _, _ := table.Scrape(now, req.InfoHash)
				tot := table.Totals()
				if rep.Seeders != s.seeders || rep.Leechers != s.leechers || seeders != s.seeders || leechers != s.leechers || tot.Seeders() != int(s.seeders) || tot.Leechers() != int(s.leechers) {
					t.Errorf("step %d: the reply has %d seeders and %d leechers, the scrape %d and %d, the totals %d and %d; want %d and %d",
						i+1, rep.Seeders, rep.Leechers, seeders, leechers, tot.Seeders(), tot.Leechers(), s.seeders, s.leechers)
				}
				if err := table.Check(); err != nil {
					t.Fatal(err)
				}
			}
			var snapshot bytes.Buffer
			if err := table.Snapshot(now, &snapshot); err != nil {
				t.Fatal(err)
			}
			old := bytes.Replace(snapshot.Bytes(), []byte("spate swarm 2\n"), []byte("spate swarm 1\n"), 1)
			restored, err := swarm.New(swarm.Options{Shards: 1})
			if err != nil {
				t.Fatal(err)
			}
			defer restored.Close()
			if err := restored.Restore(now, &snapshot); err != nil {
				t.Fatal(err)
			}
			earlier, err := swarm.New(swarm.Options{Shards: 1})
			if err != nil {
				t.Fatal(err)
			}
			defer earlier.Close()
			if err := earlier.Restore(now, bytes.NewReader(old)); err != nil || earlier.Totals().SeedersTwice+earlier.Totals().LeechersTwice > 0 {
				t.Errorf("a snapshot of an earlier version restores %+v (%v), want no marks", earlier.Totals(), err)
			}
			if a, b := table.Totals(), restored.Totals(); a.Seeders() != b.Seeders() || a.Leechers() != b.Leechers() || restored.Check() != nil {
				t.Errorf("a snapshot restores %d seeders and %d leechers, want %d and %d (%v)", b.Seeders(), b.Leechers(), a.Seeders(), a.Leechers(), restored.Check())
			}
		})
	}
}
