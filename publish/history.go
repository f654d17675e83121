package publish

import "time"

// Counts are sums of what was delivered of a release since it was first published.
type Counts struct {
	Completed int64 `json:"completed"`  // downloads that the tracker saw finished
	Direct    int64 `json:"direct"`     // files that were downloaded whole over HTTP
	SeedBytes int64 `json:"seed_bytes"` // bytes that the publisher's seed sent to peers
	HTTPBytes int64 `json:"http_bytes"` // bytes that the site sent over HTTP
}

// Downloads is how often the release was fetched, one way or another.
func (c Counts) Downloads() int64 { return c.Completed + c.Direct }

// OriginBytes is what this machine has sent.
func (c Counts) OriginBytes() int64 { return c.SeedBytes + c.HTTPBytes }

// Add returns the sum of c and d.
func (c Counts) Add(d Counts) Counts {
	return Counts{c.Completed + d.Completed, c.Direct + d.Direct, c.SeedBytes + d.SeedBytes, c.HTTPBytes + d.HTTPBytes}
}

// Day is the counts of one day.
type Day struct {
	Date string // 2006-01-02, in UTC
	Counts
}

// History is what was delivered over time.
type History struct {
	Total Counts // ever
	Days  []Day  // those with anything to count, the oldest first
}

// dayOf is the day of t as [Day] writes it.
func dayOf(t time.Time) string { return t.UTC().Format(time.DateOnly) }
