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

// TestChangedFileHaltsSeed checks that a seed halts when another program changes
// its file. The seed sends no wrong data, stays halted while the data is wrong, and
// continues when the data is correct again.
func TestChangedFileHaltsSeed(t *testing.T) {
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
				t.Fatalf("this did not happen: %s; stats %+v", what, tor.Stats())
			}
		}
	}
	until("the torrent seeds", func() bool { return tor.Stats().State == StateSeeding })

	bad := append([]byte(nil), data...)
	bad[3<<20] ^= 1
	write(bad)
	download := func() *Torrent {
		t.Helper()
		get, err := testSession(t, Options{}).Add(mi, AddOptions{
			Storage: storage.NewMemoryLike(data), Peers: []netip.AddrPort{seed.Addr()},
		})
		if err != nil {
			t.Fatal(err)
		}
		return get
	}
	first := download()
	until("the seed halts after the change", func() bool { return tor.Stats().State == StateFailed })
	if err := tor.Stats().Err; !errors.Is(err, storage.ErrChanged) {
		t.Errorf("the seed halted with the error %v, want ErrChanged", err)
	}
	until("the halted seed closes its connections", func() bool { return tor.Stats().Peers == 0 })
	for range 2 {
		tor.retry()
		if tor.Stats().State != StateFailed {
			t.Fatal("the seed continues with wrong data")
		}
	}
	write(data)
	tor.retry()
	if tor.Stats().State != StateSeeding {
		t.Fatalf("the seed does not continue with correct data: %+v", tor.Stats())
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := download().Wait(ctx); err != nil {
		t.Fatal(err)
	}
	if b := first.Banned(); len(b) > 0 {
		t.Errorf("the first download banned %v, so that it received wrong data", b)
	}
}
