package fairpool

import "time"

// Bounds of the marks.
const (
	markFor  = 10 * time.Minute // after one of its holders was silent, new ones of a network are suspect
	maxMarks = 4096
)

// marks are the networks that had silent holders lately.
type marks struct {
	until map[Network]time.Time
	queue []mark // the oldest first
}

type mark struct {
	network Network
	until   time.Time
}

func (k *marks) has(now time.Time, n Network) bool {
	return n != 0 && now.Before(k.until[n])
}

// add marks a network. Marks that have expired go, and of too many the oldest.
func (k *marks) add(now time.Time, n Network) {
	if n == 0 {
		return
	}
	until := now.Add(markFor)
	k.until[n] = until
	k.queue = append(k.queue, mark{n, until})
	for oldest := k.queue[0]; len(k.queue) > maxMarks || !now.Before(oldest.until); oldest = k.queue[0] {
		if k.until[oldest.network].Equal(oldest.until) {
			delete(k.until, oldest.network) // it was not marked again
		}
		k.queue = k.queue[1:]
	}
}
