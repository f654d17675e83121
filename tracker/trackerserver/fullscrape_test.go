package trackerserver

import (
	"iter"
	"strings"
	"testing"
	"time"

	"spate/tracker/swarm"
)

// slowStore is a store that takes a while to list its swarms, by the clock now, and counts the
// lists.
type slowStore struct {
	*swarm.Table
	now   time.Time
	takes time.Duration
	lists int
}

func (s *slowStore) All() iter.Seq[swarm.Stats] {
	s.lists++
	s.now = s.now.Add(s.takes)
	return s.Table.All()
}

// TestFullScrapesTakeASmallShare checks that a flood of full scrapes examines all swarms only
// for a small share of the time, that a fast answer is not used again, and that the memory of
// an answer is freed.
func TestFullScrapesTakeASmallShare(t *testing.T) {
	t.Parallel()
	for takes, want := range map[time.Duration]int{
		0: 600, time.Millisecond: 600, 50 * time.Millisecond: 58, time.Second: 4, 10 * time.Second: 1,
	} {
		store := &slowStore{Table: newTable(t, swarm.Options{}), takes: takes, now: time.Unix(1e9, 0)}
		s, err := New(store, Options{Scrapes: ScrapesAll, Limit: RateLimit{PerSecond: -1}, Now: func() time.Time { return store.now }})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := announce(t, s, "192.0.2.1:9", peer(1)); err != nil {
			t.Fatal(err)
		}
		for end := store.now.Add(time.Minute); store.now.Before(end); store.now = store.now.Add(100 * time.Millisecond) {
			if got := string(ask(t, s, "192.0.2.2:9", "/scrape")); !strings.Contains(got, string(testHash[:])) {
				t.Fatalf("the answer is %q", got)
			}
		}
		if store.lists > want || store.lists < want*9/10 {
			t.Errorf("with %v for a list, all swarms were listed %d times in a minute, want %d", takes, store.lists, want)
		}
		s.full.forget(s.full.body)
		if s.full.body != nil {
			t.Error("the last answer is kept")
		}
	}
}
