package torrent_test

import (
	"testing"
	"time"
)

// lateJoiners returns n members that run the programs in turn. The first half joins at once, and
// after the time first the others, with a pause between two of them.
func lateJoiners(n int, first, pause time.Duration, runs ...program) (all []*member) {
	for i := range n {
		all = append(all, membersRunning(runs[i%len(runs)], 1)...)
		if i >= n/2 {
			all[i].join = first + time.Duration(i-n/2)*pause
		}
	}
	return all
}

// TestLateJoiners checks the copies that the origin sends if half of the members join when others
// are complete. If it told them of all pieces, it would send a tenth of a copy more, and the late
// members would take as long.
func TestLateJoiners(t *testing.T) {
	for _, f := range []foreignSwarm{
		{"spate, some at once", 16 << 20, func() []*member {
			return lateJoiners(16, 5*time.Second, time.Second/2, "")
		}, 1.1, 1.28, 64 << 10},
		{"mixed, one by one", 32 << 20, func() []*member {
			return lateJoiners(8, 20*time.Second, 5*time.Second, "", libtorrent, transmission, aria2)
		}, 1.3, 1.65, 64 << 10},
	} {
		f.check(t)
	}
}
