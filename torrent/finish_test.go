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

// stuckDisk takes no data until it is released.
type stuckDisk struct {
	*storage.Memory
	free   chan struct{}
	writes atomic.Int64 // under way
}

func (d *stuckDisk) WriteAt(p []byte, off int64) (int, error) {
	d.writes.Add(1)
	defer d.writes.Add(-1)
	<-d.free
	return d.Memory.WriteAt(p, off)
}

// A disk that takes nothing stops the reading after a few pieces: those that are
// being written, those that wait for that, and what one read may bring.
func TestStuckDiskPushesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size, piece = 32 << 20, 64 << 10
		data, mi := noiseTorrent(t, size, piece)
		w := newDormantWorld(t, Options{})
		if _, err := w.seed.Add(mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true}); err != nil {
			t.Fatal(err)
		}
		disk := &stuckDisk{Memory: storage.NewMemory(size), free: make(chan struct{})}
		tor, err := w.get.Add(mi, AddOptions{Storage: disk, Peers: []netip.AddrPort{w.seed.Addr()}})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Second)
		if got := tor.Stats().Downloaded; got == 0 || got > transport.LargeRead+4*maxTogether*piece {
			t.Errorf("%d KiB were taken from the peer", got>>10)
		}
		if n := disk.writes.Load(); n > 2 {
			t.Errorf("%d writes at once for one connection", n)
		}
		close(disk.free)
		if err := tor.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

// slowDisk takes its time for each write.
type slowDisk struct {
	*storage.Memory
	each time.Duration
}

func (d *slowDisk) WriteAt(p []byte, off int64) (int, error) {
	time.Sleep(d.each)
	return d.Memory.WriteAt(p, off)
}

// Where the disk holds back a download, and every place for an open piece is taken,
// the peer is asked again as soon as one is free.
func TestFullPickerGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size, piece, open, each = 16 << 20, 64 << 10, 32, time.Millisecond
		data, mi := noiseTorrent(t, size, piece)
		w := newDormantWorld(t, Options{})
		if _, err := w.seed.Add(mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true}); err != nil {
			t.Fatal(err)
		}
		get := w.session(t, 3, Options{PieceMemory: open * piece})
		began := time.Now()
		tor, err := get.Add(mi, AddOptions{Storage: &slowDisk{storage.NewMemory(size), each}, Peers: []netip.AddrPort{w.seed.Addr()}})
		if err != nil {
			t.Fatal(err)
		}
		if err := tor.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took, most := time.Since(began), 2*size/piece*each+time.Second; took > most {
			t.Errorf("it took %v, and the disk %v of that", took, size/piece*each)
		}
	})
}

// Pieces are finished together while they come so fast that they are soon here.
func TestTogether(t *testing.T) {
	t.Parallel()
	wide := 2
	if hashing.Width() >= minWide {
		wide = hashing.Width()
	}
	for _, c := range []struct {
		gap  time.Duration
		open int
		want int
	}{
		{time.Second, 1000, 1},
		{pairGap, 1000, 2},
		{maxWait / minWide * 2, 1000, 2},
		{maxWait / maxTogether, 1000, wide},
		{0, 1000, wide},
		{0, 8, 2}, // half of the open pieces are not enough
	} {
		tor := &Torrent{info: &metainfo.Info{PieceLength: 1, Pieces: make([]byte, 20)}, s: &Session{opt: Options{PieceMemory: int64(c.open)}}}
		tor.fin.gap = c.gap
		if got := tor.togetherLocked(); got != c.want {
			t.Errorf("%v apart, %d open: %d together, want %d", c.gap, c.open, got, c.want)
		}
	}
}

// Pieces that wait for others in vain do not wait for long; the last ones do not
// wait at all.
func TestWaitInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		data, mi := noiseTorrent(t, 4<<20, 64<<10)
		w := newDormantWorld(t, Options{})
		tor, err := w.get.Add(mi, AddOptions{Storage: storage.NewMemory(int64(len(data)))})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		whole := func(from, to int) (list []completePiece) {
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
		tor.gather(whole(0, 1), false)
		synctest.Wait()
		if n := have(); n != 0 {
			t.Fatalf("%d pieces were judged at once", n)
		}
		time.Sleep(maxWait)
		synctest.Wait()
		if n := have(); n != 1 {
			t.Fatalf("%d pieces after %v", n, time.Since(began))
		}
		tor.fin.gap, tor.fin.last = 0, time.Now()
		tor.gather(whole(1, 2), false)
		tor.gather(whole(2, 4), true)
		if n := have(); n != 4 {
			t.Fatalf("%d pieces when no more are awaited", n)
		}
	})
}
