package torrent

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"spate"
	"spate/metainfo"
	"spate/peerwire/mse"
	"spate/storage"
)

// names reports how many info-hashes a session finds by digests, and whether these include hashes.
func names(s *Session, hashes ...spate.InfoHash) (n int, all bool) {
	s.mu.Lock()
	n, all = len(s.digests), true
	s.mu.Unlock()
	for _, ih := range hashes {
		found, ok := s.hashOf(mse.Digest(ih))
		all = all && ok && found == ih
	}
	return n, all
}

// TestDigestsFollowTorrents checks that a session knows the digests of all its torrents before the
// first encrypted handshake, so that none has to compute them, and forgets those of removed ones.
func TestDigestsFollowTorrents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newDormantWorld(t, Options{ResumeDir: t.TempDir()})
		s := w.seed
		l, _ := noiseFile(t, 100_000)
		if _, _, err := s.AddDormant(l); err != nil {
			t.Fatal(err)
		}
		if n, all := names(s, l.mi.Hash()); n != 1 || !all {
			t.Errorf("%d digests with a dormant torrent, found: %v", n, all)
		}
		if err := w.fetch(t, l.mi, time.Minute); err != nil {
			t.Fatal(err)
		}
		time.Sleep(idleTimeout)
		if n, all := names(s, l.mi.Hash()); n != 1 || !all {
			t.Errorf("%d digests after the torrent was awake, found: %v", n, all)
		}
		data, mi := hybridTorrent(t, 256<<10, 32<<10)
		v2, _ := mi.HashV2()
		both := []spate.InfoHash{mi.Hash(), v2.Truncate()}
		if _, err := s.Add(mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true}); err != nil {
			t.Fatal(err)
		}
		if n, all := names(s, both...); n != 3 || !all {
			t.Errorf("%d digests with a hybrid torrent in addition, found: %v", n, all)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go s.FetchMetadata(ctx, metainfo.Magnet{HashV1: spate.InfoHash{1}}, MetadataOptions{})
		synctest.Wait()
		if n, all := names(s, spate.InfoHash{1}); n != 4 || !all {
			t.Errorf("%d digests with a magnet link in addition, found: %v", n, all)
		}
		cancel()
		synctest.Wait()
		if err := s.Remove(mi.Hash()); err != nil {
			t.Fatal(err)
		}
		if err := s.Remove(l.mi.Hash()); err != nil {
			t.Fatal(err)
		}
		if n, all := names(s, l.mi.Hash()); n != 0 || all {
			t.Errorf("%d digests without torrents, found: %v", n, all)
		}
	})
}
