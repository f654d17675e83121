package torrent

import (
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"spate/internal/hashing"
	"spate/metainfo"
	"spate/storage"
	"spate/torrent/internal/transport"
)

// blockedStorage blocks each write until unblocked is closed.
type blockedStorage struct {
	*storage.Memory
	unblocked chan struct{}
	writes    atomic.Int64 // writes that are blocked now
}

func (d *blockedStorage) WriteAt(p []byte, off int64) (int, error) {
	d.writes.Add(1)
	defer d.writes.Add(-1)
	<-d.unblocked
	return d.Memory.WriteAt(p, off)
}

// TestBlockedStorageStopsReading checks that a session receives only a few pieces
// from a peer while the storage blocks: the pieces that are being written, those
// that wait, and the data of one read.
func TestBlockedStorageStopsReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size, piece = 32 << 20, 64 << 10
		data, mi := noiseTorrent(t, size, piece)
		w := newDormantWorld(t, Options{})
		if _, err := w.seed.Add(mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true}); err != nil {
			t.Fatal(err)
		}
		disk := &blockedStorage{Memory: storage.NewMemory(size), unblocked: make(chan struct{})}
		tor, err := w.get.Add(mi, AddOptions{Storage: disk, Peers: []netip.AddrPort{w.seed.Addr()}})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Second)
		if got := tor.Stats().Downloaded; got == 0 || got > transport.LargeRead+4*maxTogether*piece {
			t.Errorf("the session received %d KiB, want more than 0 and at most %d", got>>10, (transport.LargeRead+4*maxTogether*piece)>>10)
		}
		if n := disk.writes.Load(); n > 2 {
			t.Errorf("%d writes run at once for one connection, want at most 2", n)
		}
		close(disk.unblocked)
		if err := tor.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

// slowStorage delays each write.
type slowStorage struct {
	*storage.Memory
	delay time.Duration
}

func (d *slowStorage) WriteAt(p []byte, off int64) (int, error) {
	time.Sleep(d.delay)
	return d.Memory.WriteAt(p, off)
}

// TestFullPickerContinues checks that a download whose storage is slow, so that the
// picker is often full, sends new requests as soon as a slot becomes unused.
func TestFullPickerContinues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size, piece, open, delay = 16 << 20, 64 << 10, 32, time.Millisecond
		data, mi := noiseTorrent(t, size, piece)
		w := newDormantWorld(t, Options{})
		if _, err := w.seed.Add(mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true}); err != nil {
			t.Fatal(err)
		}
		get := w.session(t, 3, Options{PieceMemory: open * piece})
		began := time.Now()
		tor, err := get.Add(mi, AddOptions{Storage: &slowStorage{storage.NewMemory(size), delay}, Peers: []netip.AddrPort{w.seed.Addr()}})
		if err != nil {
			t.Fatal(err)
		}
		if err := tor.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took, most := time.Since(began), 2*size/piece*delay+time.Second; took > most {
			t.Errorf("the download took %v, want at most %v; all writes take %v", took, most, size/piece*delay)
		}
	})
}

// TestPiecesHashedTogether checks how many pieces are hashed together, depending on
// the time between two complete pieces and on the number of open pieces.
func TestPiecesHashedTogether(t *testing.T) {
	t.Parallel()
	most := 2
	if hashing.Width() >= minWide {
		most = hashing.Width()
	}
	for _, c := range []struct {
		gap  time.Duration
		open int
		want int
	}{
		{time.Second, 1000, 1},
		{pairGap, 1000, 2},
		{maxWait / minWide * 2, 1000, 2},
		{maxWait / maxTogether, 1000, most},
		{0, 1000, most},
		{0, 8, 2}, // half of the open pieces are fewer than minWide
	} {
		tor := &Torrent{info: &metainfo.Info{PieceLength: 1, Pieces: make([]byte, 20)}, s: &Session{opt: Options{PieceMemory: int64(c.open)}}}
		tor.fin.gap = c.gap
		if got := tor.togetherLocked(); got != c.want {
			t.Errorf("a piece each %v and %d open pieces: %d are hashed together, want %d", c.gap, c.open, got, c.want)
		}
	}
}

// TestLongPiecesAreFew checks that the memory of incomplete pieces is bounded for pieces of
// any length.
func TestLongPiecesAreFew(t *testing.T) {
	for length, want := range map[int64]int{
		1: 4096, 16 << 10: 2048, 4 << 20: 8, 16 << 20: 4, 32 << 20: 4, 64 << 20: 2, 128 << 20: 1, 512 << 20: 1,
	} {
		tor := &Torrent{info: &metainfo.Info{PieceLength: length}, s: &Session{opt: Options{PieceMemory: 32 << 20}}}
		if got := tor.openPieces(); got != want {
			t.Errorf("%d pieces of %d bytes may be incomplete, want %d", got, length, want)
		}
	}
}

// TestPieceIsFinishedAfterMaxWait checks that a piece waits at most maxWait for
// others to be hashed with, and not at all if no more pieces are expected.
func TestPieceIsFinishedAfterMaxWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		data, mi := noiseTorrent(t, 4<<20, 64<<10)
		w := newDormantWorld(t, Options{})
		tor, err := w.get.Add(mi, AddOptions{Storage: storage.NewMemory(int64(len(data)))})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		completePieces := func(from, to int) (list []completePiece) {
			for i := from; i < to; i++ {
				list = append(list, completePiece{i, data[i<<16:][:64<<10]})
			}
			return list
		}
		have := func() int {
			tor.mu.Lock()
			defer tor.mu.Unlock()
			return tor.pick.HaveCount()
		}
		tor.fin.gap, tor.fin.last = 0, time.Now()
		began := time.Now()
		tor.gather(completePieces(0, 1), false)
		synctest.Wait()
		if n := have(); n != 0 {
			t.Fatalf("%d pieces were verified without waiting for others", n)
		}
		time.Sleep(maxWait)
		synctest.Wait()
		if n := have(); n != 1 {
			t.Fatalf("%d pieces are verified after %v, want 1", n, time.Since(began))
		}
		tor.fin.gap, tor.fin.last = 0, time.Now()
		tor.gather(completePieces(1, 2), false)
		tor.gather(completePieces(2, 4), true)
		if n := have(); n != 4 {
			t.Fatalf("%d pieces are verified after the last ones, want 4", n)
		}
	})
}
