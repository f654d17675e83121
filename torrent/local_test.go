package torrent

import (
	"net/netip"
	"slices"
	"testing"

	"spate"
	"spate/metainfo"
	"spate/storage"
)

// TestLocalSwarms holds what the local network is told of, and for what it is
// believed: both hashes of a hybrid, nothing that is private or does not run.
func TestLocalSwarms(t *testing.T) {
	t.Parallel()
	s := testSession(t, Options{})
	add := func(data []byte, mi *metainfo.MetaInfo, opt AddOptions) *Torrent {
		t.Helper()
		opt.Storage = storage.NewMemoryLike(data)
		tor, err := s.Add(mi, opt)
		if err != nil {
			t.Fatal(err)
		}
		return tor
	}
	data, mi := noiseTorrent(t, 100<<10, 16<<10)
	secret := add(data, privateTorrent(t, mi), AddOptions{})
	plain := add(data, mi, AddOptions{})
	data, stopped := noiseTorrent(t, 200<<10, 16<<10)
	add(data, stopped, AddOptions{Stopped: true})
	data, hybrid := hybridTorrent(t, 64<<10, 16<<10)
	both := add(data, hybrid, AddOptions{})
	until(t, "they run", func() bool {
		return secret.Stats().State == StateDownloading && plain.Stats().State == StateDownloading && both.Stats().State == StateDownloading
	})
	want := []spate.InfoHash{mi.Hash(), hybrid.Hash(), v2HashOf(hybrid)}
	got := s.LocalSwarms()
	for _, all := range [][]spate.InfoHash{want, got} {
		slices.SortFunc(all, func(a, b spate.InfoHash) int { return slices.Compare(a[:], b[:]) })
	}
	if !slices.Equal(got, want) {
		t.Errorf("told of %v, want %v", got, want)
	}
	peer := netip.MustParseAddrPort("10.1.2.3:4")
	for ih, ours := range map[spate.InfoHash]bool{mi.Hash(): true, v2HashOf(hybrid): true, secret.InfoHash(): false, stopped.Hash(): false, {1}: false} {
		if s.FoundLocal(ih, peer) != ours {
			t.Errorf("%v: ours is %v", ih, !ours)
		}
	}
	if n := secret.Stats().Known; n != 0 {
		t.Errorf("the private torrent knows %d candidates", n)
	}
	for _, tor := range []*Torrent{plain, both} {
		if n := tor.Stats().Known; n != 1 {
			t.Errorf("%s knows %d candidates", tor.Name(), n)
		}
	}
}
