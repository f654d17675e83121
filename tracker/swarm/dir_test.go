package swarm_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"spate"
	"spate/tracker"
	"spate/tracker/swarm"
)

// FuzzJournal checks that the table is consistent and within its limits after any
// journal.
func FuzzJournal(f *testing.F) {
	dir := f.TempDir()
	tab := open(f, swarm.Options{})
	s, _, err := swarm.OpenDir(start, dir, tab)
	if err != nil {
		f.Fatal(err)
	}
	fill(f, tab, 30)
	if err := s.Close(); err != nil {
		f.Fatal(err)
	}
	const name = "completions.2"
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil || len(b) == 0 {
		f.Fatalf("%v, %d bytes", err, len(b))
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, name), swarm.ResealJournal(b), 0o600); err != nil {
			t.Fatal(err)
		}
		tab, err := swarm.New(swarm.Options{Shards: 1, MaxPeers: 10, MaxSwarms: 10})
		if err != nil {
			t.Fatal(err)
		}
		defer tab.Close()
		s, _, err := swarm.OpenDir(start, dir, tab)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if err := tab.Check(); err != nil {
			t.Fatal(err)
		}
		if tot := tab.Totals(); tot.Peers() > 10 || tot.Swarms > 10 {
			t.Fatalf("over the limits: %+v", tot)
		}
	})
}

func openDir(t *testing.T, dir string, warnings int) (*swarm.Dir, *swarm.Table) {
	t.Helper()
	tab := open(t, swarm.Options{Interval: 30 * time.Minute})
	s, w, err := swarm.OpenDir(start, dir, tab)
	if err != nil {
		t.Fatal(err)
	}
	if len(w) != warnings {
		t.Fatalf("warnings: %v", w)
	}
	t.Cleanup(func() { s.Close() })
	return s, tab
}

// completes announces a completed peer and flushes the store, as a server does before
// it answers.
func completes(t *testing.T, s *swarm.Dir, tab *swarm.Table, ih spate.InfoHash, peer int) {
	t.Helper()
	var rep swarm.Reply
	r := swarm.Request{InfoHash: ih, Key: uint32(peer), Addr: addr4(peer), Seed: true, Event: tracker.EventCompleted}
	if err := tab.Announce(start, &r, &rep); err != nil || !rep.Counted {
		t.Fatalf("peer %d: %v, %+v", peer, err, rep)
	}
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
}

// TestDirRestoresAfterEachEnd ends a process in several ways. What was saved must be restored,
// and every completion in a reply must be counted once.
func TestDirRestoresAfterEachEnd(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	ih := spate.InfoHash{1, 2, 3}
	counted := 0
	note := func(s *swarm.Dir, tab *swarm.Table) {
		t.Helper()
		counted++
		completes(t, s, tab, ih, 100_000+counted)
	}
	want := func(tab *swarm.Table, others int) {
		t.Helper()
		if seeds, _, c, _ := tab.Scrape(start, ih); int(c) != counted || int(seeds) != counted {
			t.Errorf("%d completions, %d seeds, want %d", c, seeds, counted)
		}
		if n := tab.Totals().Peers(); n != others+counted {
			t.Errorf("%d peers, want %d", n, others+counted)
		}
		// The peers that completed announce it again.
		for peer := range counted {
			var rep swarm.Reply
			r := swarm.Request{InfoHash: ih, Key: uint32(100_001 + peer), Addr: addr4(100_001 + peer), Seed: true, Event: tracker.EventCompleted}
			tab.Announce(start, &r, &rep)
			if rep.Counted || rep.New {
				t.Errorf("peer %d was forgotten: %+v", peer, rep)
			}
		}
		if err := tab.Check(); err != nil {
			t.Error(err)
		}
	}
	save := func(s *swarm.Dir) {
		t.Helper()
		if err := s.Save(start); err != nil {
			t.Fatal(err)
		}
	}

	s, tab := openDir(t, dir, 0)
	note(s, tab)
	s, tab = openDir(t, dir, 0) // killed within the first minute
	want(tab, 0)
	fill(t, tab, 1000)
	save(s)
	note(s, tab)
	note(s, tab)
	s, tab = openDir(t, dir, 0) // killed after a save
	want(tab, 1000)
	save(s)
	note(s, tab)
	tear(t, dir, "completions.", 5) // killed in the middle of an entry
	s, tab = openDir(t, dir, 0)
	want(tab, 1000)
	note(s, tab)
	save(s)
	note(s, tab)

	// If the newest snapshot is damaged, the previous one and all completions since
	// then are used.
	newest := last(t, dir, "swarms.")
	if err := os.Truncate(newest, 100); err != nil {
		t.Fatal(err)
	}
	s, tab = openDir(t, dir, 1)
	want(tab, 1000)
	if _, err := os.Stat(newest + ".damaged"); err != nil {
		t.Error(err)
	}
	for range 5 {
		save(s)
		note(s, tab)
	}
	if names := list(t, dir); len(names) != 2+2+1 {
		t.Errorf("files: %v", names)
	}
}

// TestDirRestoresCompletedPeers checks that a leecher of the snapshot that completed
// later is a seed after the process was killed, and that its completion is not counted
// again over either address family. A peer that left before the snapshot must not
// return.
func TestDirRestoresCompletedPeers(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	s, tab := openDir(t, dir, 0)
	ih := spate.InfoHash{7}
	var rep swarm.Reply
	announce := func(tab *swarm.Table, peer int, seed bool, e tracker.Event) swarm.Reply {
		t.Helper()
		r := swarm.Request{InfoHash: ih, Key: uint32(peer), Addr: addr4(peer), Seed: seed, Event: e}
		if err := tab.Announce(start, &r, &rep); err != nil {
			t.Fatal(err)
		}
		return rep
	}
	announce(tab, 1, false, tracker.EventStarted)
	announce(tab, 2, false, tracker.EventStarted)
	completes(t, s, tab, ih, 3)
	announce(tab, 3, true, tracker.EventStopped)
	if err := s.Save(start); err != nil {
		t.Fatal(err)
	}
	completes(t, s, tab, ih, 1)

	_, tab = openDir(t, dir, 0)
	if seeds, leechers, c, _ := tab.Scrape(start, ih); seeds != 1 || leechers != 1 || c != 2 {
		t.Errorf("%d seeds, %d leechers, %d completions", seeds, leechers, c)
	}
	if rep := announce(tab, 1, true, tracker.EventNone); rep.Counted || rep.Completed != 2 {
		t.Errorf("counted twice: %+v", rep)
	}
	r := swarm.Request{InfoHash: ih, Key: 1, Addr: addr6(1), Seed: true, Event: tracker.EventCompleted}
	if err := tab.Announce(start, &r, &rep); err != nil || rep.Counted {
		t.Errorf("counted once per address family: %v, %+v", err, rep)
	}
	if rep := announce(tab, 2, true, tracker.EventNone); !rep.Counted || rep.Completed != 3 {
		t.Errorf("not counted: %+v", rep)
	}

	// One day later only the counter is restored.
	again := open(t, swarm.Options{})
	if _, _, err := swarm.OpenDir(start.Add(24*time.Hour), dir, again); err != nil {
		t.Fatal(err)
	}
	if seeds, leechers, c, _ := again.Scrape(start.Add(24*time.Hour), ih); seeds != 0 || leechers != 0 || c != 2 {
		t.Errorf("a day later: %d seeds, %d leechers, %d completions", seeds, leechers, c)
	}
}

func list(t *testing.T, dir string) (names []string) {
	t.Helper()
	es, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range es {
		names = append(names, e.Name())
	}
	return names
}

func last(t *testing.T, dir, prefix string) string {
	t.Helper()
	newest := ""
	for _, n := range list(t, dir) {
		if strings.HasPrefix(n, prefix) && (len(n) > len(newest) || n > newest) {
			newest = n
		}
	}
	return filepath.Join(dir, newest)
}

// tear appends n bytes to the newest file with a prefix.
func tear(t *testing.T, dir, prefix string, n int) {
	t.Helper()
	f, err := os.OpenFile(last(t, dir, prefix), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(make([]byte, n)); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestDirRecordsWhileSaving checks that no completion is lost if many goroutines
// complete peers while snapshots are taken.
func TestDirRecordsWhileSaving(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	s, tab := openDir(t, dir, 0)
	const workers, each, hashes = 8, 2000, 3
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			var rep swarm.Reply
			for n := range each {
				peer := w*each + n + 1
				r := swarm.Request{InfoHash: spate.InfoHash{byte(peer % hashes)}, Key: uint32(peer), Addr: addr4(peer), Seed: true, Event: tracker.EventCompleted}
				if err := tab.Announce(start, &r, &rep); err != nil || !rep.Counted {
					t.Errorf("%v, %+v", err, rep)
				}
				if n%16 == 15 {
					if err := s.Flush(); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	for range 3 {
		if err := s.Save(start); err != nil {
			t.Error(err)
		}
	}
	wg.Wait() // the process is killed now
	_, again := openDir(t, dir, 0)
	if tot := again.Totals(); tot.Completed != workers*each || tot.Peers() != workers*each {
		t.Errorf("%d completions and %d peers, want %d", tot.Completed, tot.Peers(), workers*each)
	}
}

// TestDirDamagedJournal checks that a journal that is no journal is set aside and reported, that
// its intact entries are restored, and that the next start reports nothing.
func TestDirDamagedJournal(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		want int // completions that are restored
		do   func(path string) error
	}{
		{"zeros at the end", 1, func(p string) error {
			b, err := os.ReadFile(p)
			return errors.Join(err, os.WriteFile(p, append(b, make([]byte, 300)...), 0o600))
		}},
		{"only zeros", 0, func(p string) error { return os.WriteFile(p, make([]byte, 200), 0o600) }},
		{"a directory", 0, func(p string) error { return errors.Join(os.Remove(p), os.MkdirAll(filepath.Join(p, "x"), 0o700)) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir, ih := t.TempDir(), spate.InfoHash{1}
			d, tab := openDir(t, dir, 0)
			completes(t, d, tab, ih, 1)
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			if err := c.do(last(t, dir, "completions.")); err != nil {
				t.Fatal(err)
			}
			for run, warnings := range []int{1, 0} {
				d, tab := openDir(t, dir, warnings)
				if _, _, got, _ := tab.Scrape(start, ih); int(got) != c.want {
					t.Errorf("run %d: %d completions, want %d", run, got, c.want)
				}
				d.Close()
			}
			if aside, _ := filepath.Glob(filepath.Join(dir, "*.damaged")); len(aside) != 1 {
				t.Errorf("%q were set aside, want one journal", aside)
			}
		})
	}
}
