package swarm_test

import (
	"bytes"
	"errors"
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

// writerFunc is a function that implements io.Writer.
type writerFunc func(b []byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// TestSnapshotOfGrowingSwarm adds peers to a swarm while its snapshot is written, which
// moves peers between buckets. All peers that announced before must be in the snapshot.
func TestSnapshotOfGrowingSwarm(t *testing.T) {
	const before, during = 100_000, 100
	tab := open(t, swarm.Options{})
	var rep swarm.Reply
	announce := func(tab *swarm.Table, i int) {
		if err := tab.Announce(start, &swarm.Request{Key: uint32(i + 1), Addr: addr4(i)}, &rep); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	for ; n < before; n++ {
		announce(tab, n)
	}
	var b bytes.Buffer
	err := tab.Snapshot(start, writerFunc(func(p []byte) (int, error) {
		for end := n + during; n < end; n++ {
			announce(tab, n)
		}
		return b.Write(p)
	}))
	if err != nil || n == before {
		t.Fatalf("Snapshot: %v; %d peers were added", err, n-before)
	}
	again := open(t, swarm.Options{})
	if err := again.Restore(start, &b); err != nil {
		t.Fatal(err)
	}
	restored := again.Totals().Peers()
	for i := range before {
		announce(again, i)
	}
	if missing := again.Totals().Peers() - restored; missing != 0 {
		t.Errorf("the snapshot lacks %d of %d peers that announced before it", missing, before)
	}
}

func TestSnapshotRestoresEverything(t *testing.T) {
	tab := open(t, swarm.Options{Interval: 30 * time.Minute})
	fill(t, tab, 20_000)
	now := start.Add(1000 * time.Second)
	var b bytes.Buffer
	if err := tab.Snapshot(now, &b); err != nil {
		t.Fatal(err)
	}

	// Restore with other hash keys, another number of shards and another clock.
	again := open(t, swarm.Options{Shards: 4, Interval: 30 * time.Minute})
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

	// The identities are restored: only the peer that made an entry can stop it.
	r := swarm.Request{Key: 99, Addr: addr4(1), Event: tracker.EventStopped}
	r.InfoHash[0], r.InfoHash[1] = 1, 1
	var rep swarm.Reply
	again.Announce(later, &r, &rep)
	if rep.Removed {
		t.Error("another identity stopped an entry")
	}
	r.Key = 2
	again.Announce(later, &r, &rep)
	if !rep.Removed {
		t.Error("the peer could not stop its entry")
	}

	// The ages are restored: the first peers expire one hour after their announce,
	// without the time between snapshot and restore.
	_, gone := again.Sweep(later.Add(65*time.Minute-500*time.Second), 0)
	if gone < 9_000 || gone > 11_000 {
		t.Errorf("%d of 20000 expired, want half of them", gone)
	}

	// Restoring again changes nothing.
	if err := tab.Restore(now, bytes.NewReader(b.Bytes())); err != nil {
		t.Fatal(err)
	}
	if n := tab.Totals().Peers(); n != 20_000 {
		t.Errorf("%d peers", n)
	}

	// After a longer time only counters are restored.
	old := open(t, swarm.Options{Interval: 30 * time.Minute})
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
		t.Fatalf("a damaged snapshot was restored: %v", err)
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
