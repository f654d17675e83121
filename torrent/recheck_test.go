package torrent

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"spate/storage"
)

// TestRecheckFindsChangedBytes checks that Recheck finds changed bytes of a seeding torrent
// even if the time and the size of the file did not change, and that these pieces are
// downloaded again.
func TestRecheckFindsChangedBytes(t *testing.T) {
	t.Parallel()
	data, mi := noiseTorrent(t, 1<<20, 64<<10)
	dir := t.TempDir()
	path := filepath.Join(dir, mi.Info.Name)
	seed, other := testSession(t, Options{}), testSession(t, Options{})
	for _, s := range []*Session{seed, other} {
		added(t, s, mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true})
	}
	tor, err := testSession(t, Options{}).Add(mi, AddOptions{Dir: dir, Peers: []netip.AddrPort{seed.Addr()}})
	if err != nil {
		t.Fatal(err)
	}
	if err := tor.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n, err := tor.Recheck(t.Context()); n != 0 || err != nil {
		t.Fatalf("%d pieces of good data are bad (%v)", n, err)
	}

	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, off := range []int64{70_000, 700_000} {
		if _, err := f.WriteAt([]byte{data[off] ^ 1}, off); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(f.Close(), os.Chtimes(path, info.ModTime(), info.ModTime())); err != nil {
		t.Fatal(err)
	}
	if n, err := tor.Recheck(t.Context()); n != 2 || err != nil {
		t.Fatalf("%d pieces are bad, want 2 (%v)", n, err)
	}
	if st := tor.Stats(); st.State != StateFailed || !errors.Is(st.Err, storage.ErrChanged) {
		t.Fatalf("%v, %v", st.State, st.Err)
	}
	tor.AddPeers([]netip.AddrPort{other.Addr()}) // because the first peer is not dialled again for some time
	for end := time.Now().Add(patience); tor.Stats().State != StateSeeding; time.Sleep(time.Millisecond) {
		tor.retry() // as tick does every ten seconds
		if time.Now().After(end) {
			t.Fatalf("%+v", tor.Stats())
		}
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != string(data) {
		t.Errorf("the data was not repaired (%v)", err)
	}
}
