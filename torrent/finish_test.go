package torrent

import (
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"spate/storage"
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
		w := newSleepyWorld(t, Options{})
		if _, err := w.seed.Add(mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true}); err != nil {
			t.Fatal(err)
		}
		disk := &stuckDisk{Memory: storage.NewMemory(size), free: make(chan struct{})}
		tor, err := w.get.Add(mi, AddOptions{Storage: disk, Peers: []netip.AddrPort{w.seed.Addr()}})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Second)
		if got := tor.Stats().Downloaded; got == 0 || got > largeRead+4*piecesAtOnce*piece {
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

// Pieces that come fast are hashed two at a time, and one that comes alone does not
// wait for long. The helper, where there is one, has ended with the connection.
func TestPairs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		whole int
		gap   time.Duration
		want  bool
	}{
		"fast":       {1, time.Millisecond, true},
		"slow":       {1, time.Second, false},
		"both there": {2, time.Millisecond, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nc := &deadlines{}
			k := &conn{nc: nc, fin: &finishing{gap: c.gap, last: time.Now()}, whole: make([]wholePiece, c.whole)}
			if got := k.awaitPair(); got != c.want || nc.last.IsZero() == c.want {
				t.Errorf("waits %v, until %v", got, nc.last)
			}
			if c.want && time.Until(nc.last) > longestPairWait {
				t.Errorf("waits until %v", nc.last)
			}
			k.closing.Store(true)
			if k.awaitPair() {
				t.Error("waits although the connection ends")
			}
		})
	}
}

// deadlines is a connection of which only the deadline is used.
type deadlines struct {
	net.Conn
	last time.Time
}

func (d *deadlines) SetReadDeadline(t time.Time) error { d.last = t; return nil }
