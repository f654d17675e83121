package swarm_test

import (
	"bytes"
	"errors"
	"io/fs"
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

// fill announces n peers to swarms of many sizes.
func fill(t testing.TB, tab *swarm.Table, n int) {
	t.Helper()
	var rep swarm.Reply
	for i := range n {
		r := swarm.Request{Key: uint32(i + 1), Addr: addr4(i), Seed: i%3 == 0}
		r.InfoHash[0], r.InfoHash[1] = byte(i%17*i%29), byte(i%7)
		if i%5 == 0 {
			r.Addr = addr6(i)
		}
		if i%6 == 0 {
			r.Event = tracker.EventCompleted
		}
		if err := tab.Announce(start.Add(time.Duration(i%1000)*time.Second), &r, &rep); err != nil {
			t.Fatal(err)
		}
	}
}

func all(tab *swarm.Table) map[spate.InfoHash]swarm.Stats {
	m := map[spate.InfoHash]swarm.Stats{}
	for s := range tab.All() {
		s.Protected = false
		m[s.InfoHash] = s
	}
	return m
}

func sameStats(t *testing.T, got, want map[spate.InfoHash]swarm.Stats) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d swarms, want %d", len(got), len(want))
	}
	for ih, w := range want {
		if got[ih] != w {
			t.Errorf("got  %+v\nwant %+v", got[ih], w)
		}
	}
}

func TestSnapshotRemembersAll(t *testing.T) {
	tab := open(t, swarm.Options{})
	fill(t, tab, 20_000)
	now := start.Add(1000 * time.Second)
	var b bytes.Buffer
	if err := tab.Snapshot(now, &b); err != nil {
		t.Fatal(err)
	}

	// With other hash keys, another number of shards, another clock.
	again := open(t, swarm.Options{Shards: 4})
	later := now.Add(40 * time.Minute)
	if err := again.Restore(later, bytes.NewReader(b.Bytes())); err != nil {
		t.Fatal(err)
	}
	if err := again.Check(); err != nil {
		t.Fatal(err)
	}
	sameStats(t, all(again), all(tab))
	if a, b := tab.Totals(), again.Totals(); a.Peers() != 20_000 || b.Peers() != a.Peers() || a.Completed != b.Completed || a.Seeders6 != b.Seeders6 {
		t.Errorf("before %+v\nafter %+v", a, b)
	}

	// Who it was is known again: only its maker stops an entry.
	r := swarm.Request{Key: 99, Addr: addr4(1), Event: tracker.EventStopped}
	r.InfoHash[0], r.InfoHash[1] = 1, 1
	var rep swarm.Reply
	if again.Announce(later, &r, &rep); rep.Removed {
		t.Error("a stranger stopped an entry")
	}
	r.Key = 2
	if again.Announce(later, &r, &rep); !rep.Removed {
		t.Error("the peer could not stop its entry")
	}

	// Ages go on where they were: the first expire an hour after they announced,
	// without the time in between.
	_, gone := again.Sweep(later.Add(65*time.Minute-500*time.Second), 0)
	if gone < 9_000 || gone > 11_000 {
		t.Errorf("%d of 20000 expired, want half of them", gone)
	}

	// Twice the same changes nothing.
	if err := tab.Restore(now, bytes.NewReader(b.Bytes())); err != nil {
		t.Fatal(err)
	}
	if n := tab.Totals().Peers(); n != 20_000 {
		t.Errorf("%d peers", n)
	}

	// After a longer time only counters are kept.
	old := open(t, swarm.Options{})
	if err := old.Restore(now.Add(2*time.Hour), bytes.NewReader(b.Bytes())); err != nil {
		t.Fatal(err)
	}
	if tot := old.Totals(); tot.Peers() != 0 || tot.Completed != tab.Totals().Completed {
		t.Errorf("after two hours: %+v", tot)
	}
}

func TestSnapshotDamage(t *testing.T) {
	tab := open(t, swarm.Options{})
	fill(t, tab, 3000)
	var b bytes.Buffer
	if err := tab.Snapshot(start, &b); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < b.Len(); i += 97 {
		bad := bytes.Clone(b.Bytes())
		bad[i] ^= 0x10
		mustFail(t, bad)
		mustFail(t, b.Bytes()[:i])
	}
}

func mustFail(t *testing.T, b []byte) {
	t.Helper()
	tab := open(t, swarm.Options{})
	defer tab.Close()
	var bad *swarm.SnapshotError
	if err := tab.Restore(start, bytes.NewReader(b)); !errors.As(err, &bad) || bad.Offset > int64(len(b)) {
		t.Fatalf("restored damage: %v", err)
	}
	if err := tab.Check(); err != nil {
		t.Fatal(err)
	}
}

func FuzzRestore(f *testing.F) {
	tab := open(f, swarm.Options{})
	fill(f, tab, 300)
	var b bytes.Buffer
	if err := tab.Snapshot(start, &b); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		tab, err := swarm.New(swarm.Options{Shards: 1, MaxPeers: 1000, MaxSwarms: 100})
		if err != nil {
			t.Fatal(err)
		}
		defer tab.Close()
		_ = tab.Restore(start, bytes.NewReader(swarm.Reseal(b)))
		if err := tab.Check(); err != nil {
			t.Fatal(err)
		}
	})
}

func openStore(t *testing.T, dir string, warnings int) (*swarm.Store, *swarm.Table) {
	t.Helper()
	tab := open(t, swarm.Options{})
	s, w, err := swarm.OpenStore(start, dir, tab)
	if err != nil {
		t.Fatal(err)
	}
	if len(w) != warnings {
		t.Fatalf("warnings: %v", w)
	}
	t.Cleanup(func() { s.Close() })
	return s, tab
}

// TestStoreSurvives goes through the ways in which a process can end: what was
// saved is there, and every completion that was noted.
func TestStoreSurvives(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	ih := spate.InfoHash{1, 2, 3}
	noted := uint32(0)
	note := func(s *swarm.Store, tab *swarm.Table) {
		t.Helper()
		noted++
		if err := tab.SetCompleted(ih, noted); err != nil {
			t.Fatal(err)
		}
		if err := s.Completed(ih, noted); err != nil {
			t.Fatal(err)
		}
		if err := s.Flush(); err != nil { // what its goroutine does in a moment
			t.Fatal(err)
		}
	}
	want := func(tab *swarm.Table, peers int) {
		t.Helper()
		if _, _, c, _ := tab.Scrape(start, ih); c != noted {
			t.Errorf("%d completions, want %d", c, noted)
		}
		if n := tab.Totals().Peers(); n != peers {
			t.Errorf("%d peers, want %d", n, peers)
		}
	}
	save := func(s *swarm.Store) {
		t.Helper()
		if err := s.Save(start); err != nil {
			t.Fatal(err)
		}
	}

	s, tab := openStore(t, dir, 0)
	note(s, tab)
	s, tab = openStore(t, dir, 0) // killed before the first save
	want(tab, 0)
	fill(t, tab, 1000)
	save(s)
	note(s, tab)
	note(s, tab)
	s, tab = openStore(t, dir, 0) // killed after one
	want(tab, 1000)
	save(s)
	note(s, tab)
	tear(t, dir, "completions.", 5) // in the middle of an entry
	s, tab = openStore(t, dir, 0)
	want(tab, 1000)
	note(s, tab)
	save(s)
	note(s, tab)

	// The newest snapshot is damaged: the one before, and all since.
	newest := last(t, dir, "swarms.")
	if err := os.Truncate(newest, 100); err != nil {
		t.Fatal(err)
	}
	s, tab = openStore(t, dir, 1)
	want(tab, 1000)
	if _, err := os.Stat(filepath.Join(dir, "corrupt-"+filepath.Base(newest))); err != nil {
		t.Error(err)
	}
	for range 5 {
		save(s)
		note(s, tab)
	}
	if names := list(t, dir); len(names) != 2+2+1 {
		t.Errorf("files: %v", names)
	}
	s.Close()
	if err := s.Completed(ih, 1); err == nil {
		t.Error("a store that is closed notes")
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

// Completions that are noted while snapshots are taken, by many at once, are all
// there, and none waits for the disk.
func TestStoreNotesWhileSaving(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	s, tab := openStore(t, dir, 0)
	const hashes, each = 8, 2000
	var wg sync.WaitGroup
	for i := range hashes {
		wg.Go(func() {
			ih := spate.InfoHash{byte(i + 1)}
			for n := range uint32(each) {
				if err := tab.SetCompleted(ih, n+1); err != nil {
					t.Error(err)
				}
				if err := s.Completed(ih, n+1); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 3 {
		if err := s.Save(start); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Completed(spate.InfoHash{1}, 1); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	_, again := openStore(t, dir, 0)
	for i := range hashes {
		if _, _, c, _ := again.Scrape(start, spate.InfoHash{byte(i + 1)}); c != each {
			t.Errorf("hash %d: %d completions, want %d", i+1, c, each)
		}
	}
}
