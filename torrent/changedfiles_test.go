package torrent

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"spate/storage"
)

// TestSeededFileChanges writes to a file that is seeded. The torrent sends none of the new
// bytes, halts while the data is bad, and continues once it is good.
func TestSeededFileChanges(t *testing.T) {
	t.Parallel()
	data, mi := noiseTorrent(t, 4<<20, 64<<10)
	dir := t.TempDir()
	path := filepath.Join(dir, mi.Info.Name)
	write := func(b []byte) {
		t.Helper()
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(data)
	seed := testSession(t, Options{})
	tor, err := seed.Add(mi, AddOptions{Dir: dir, SeedOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	until := func(what string, ok func() bool) {
		t.Helper()
		for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: %+v", what, tor.Stats())
			}
		}
	}
	until("not seeding", func() bool { return tor.Stats().State == StateSeeding })

	bad := append([]byte(nil), data...)
	bad[3<<20] ^= 1
	write(bad)
	fetch := func() *Torrent {
		t.Helper()
		get, err := testSession(t, Options{}).Add(mi, AddOptions{
			Storage: storage.NewMemoryLike(data), Peers: []netip.AddrPort{seed.Addr()},
		})
		if err != nil {
			t.Fatal(err)
		}
		return get
	}
	first := fetch()
	until("the change was not noticed", func() bool { return tor.Stats().State == StateFailed })
	if err := tor.Stats().Err; !errors.Is(err, storage.ErrChanged) {
		t.Errorf("halted with %v", err)
	}
	until("its peers are still connected", func() bool { return tor.Stats().Peers == 0 })
	for range 2 {
		tor.retry()
		if tor.Stats().State != StateFailed {
			t.Fatal("it continues with bad data")
		}
	}
	write(data)
	tor.retry()
	if tor.Stats().State != StateSeeding {
		t.Fatalf("it does not continue with good data: %+v", tor.Stats())
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := fetch().Wait(ctx); err != nil {
		t.Fatal(err)
	}
	if b := first.Banned(); len(b) > 0 {
		t.Errorf("banned %v", b)
	}
}
