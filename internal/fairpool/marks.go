package fairpool

import "time"

const (
	markFor  = 10 * time.Minute // time for which a network stays marked
	maxMarks = 4096             // maximum number of marked networks
)

// marks is the set of marked networks. A network is marked when one of its holders leaves
// that has been silent all the time.
type marks struct {
	until map[Network]time.Time
	queue []mark // oldest first
}

// mark is an entry of the queue of marks.
type mark struct {
	network Network
	until   time.Time // end of the mark
}

// has reports whether n is marked.
func (k *marks) has(now time.Time, n Network) bool {
	return n != 0 && now.Before(k.until[n])
}

// add marks a network. It removes expired marks, and the oldest ones above maxMarks.
func (k *marks) add(now time.Time, n Network) {
	if n == 0 {
		return
	}
	until := now.Add(markFor)
	k.until[n] = until
	k.queue = append(k.queue, mark{n, until})
	for oldest := k.queue[0]; len(k.queue) > maxMarks || !now.Before(oldest.until); oldest = k.queue[0] {
		if k.until[oldest.network].Equal(oldest.until) {
			delete(k.until, oldest.network) // the network was not marked again
		}
		k.queue = k.queue[1:]
	}
}
