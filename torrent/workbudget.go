package torrent

import "time"

// Bounds of the work that messages of one peer cause although they are short, such as a search
// of all its requests for a cancel message of 17 bytes. A step is one request that is searched,
// or one piece whose counts change. On a busy machine a step of a cancel took about 2 ns, and a
// step of a seed of a million pieces that revokes one about 12 ns (BenchmarkWorkOfCancel and
// BenchmarkWorkOfRevoking). At that cost a peer causes a burst of about 50 ms, and later about
// 1 ms in a second. An honest peer that cancels all 2,000 requests of the end of a download needs
// half of the burst.
const (
	workBurst = 4 << 20
	workRate  = 100_000 // steps a second
)

// workBudget bounds the work that one peer causes. The zero value allows a whole burst.
type workBudget struct {
	spent int // steps that count against workBurst
	at    time.Time
}

// take reports whether the messages of the peer may cause that many more steps, and counts them.
// Steps are always allowed if nothing is spent, so that a peer of a torrent with very many pieces
// can do each thing once.
func (b *workBudget) take(steps int, now time.Time) bool {
	if back := now.Sub(b.at).Seconds() * workRate; b.at.IsZero() || back >= float64(b.spent) {
		b.spent, b.at = 0, now
	} else if back >= 1 {
		b.spent -= int(back)
		b.at = now
	}
	if b.spent > 0 && b.spent+steps > workBurst {
		return false
	}
	b.spent += steps
	return true
}
