package uplink

import "time"

const (
	// emptyEvery determines how often the limit is lowered to emptyPart of the capacity, so
	// that sockets that began behind a queue measure the round-trip time without it. While
	// sockets that began since then disagree with the others by more than longQueue, it is
	// emptySoon. leastEmpty and mostEmpty limit how long the limit is low.
	emptyEvery = 10 * time.Second
	emptySoon  = time.Second
	leastEmpty = 150 * time.Millisecond
	mostEmpty  = 300 * time.Millisecond
	emptyPart  = 0.6
)

// empty lowers the limit for the time in which the longest queue that most sockets see
// becomes empty.
func (c *Controller) empty(now time.Time) {
	need := time.Duration(float64(c.highQueue) / (1 - emptyPart))
	c.emptyAt, c.emptyUntil = now, now.Add(min(mostEmpty, max(leastEmpty, need)))
	c.limit = max(minRate, emptyPart*c.capacity)
}

// emptyDue reports whether it is time for empty.
func (c *Controller) emptyDue(now time.Time) bool {
	return now.Sub(c.emptyAt) > emptyEvery || now.Sub(c.emptyUntil) > emptySoon &&
		4*c.newcomers > len(c.rises) && c.highQueue-c.queue > longQueue
}
