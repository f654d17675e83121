package publish

import "time"

// Counts are the total downloads and bytes of a release since it was first published.
type Counts struct {
	Completed int64 `json:"completed"`  // downloads whose end was announced to the tracker
	Direct    int64 `json:"direct"`     // files and archives that were downloaded completely over HTTP
	Archives  int64 `json:"archives"`   // those of Direct that were archives of all files
	SeedBytes int64 `json:"seed_bytes"` // bytes sent to peers by the publisher's seed
	HTTPBytes int64 `json:"http_bytes"` // bytes sent over HTTP by the site
}

// Downloads returns the number of complete downloads by BitTorrent and over HTTP.
func (c Counts) Downloads() int64 { return c.Completed + c.Direct }

// OriginBytes returns the number of bytes sent by the publisher.
func (c Counts) OriginBytes() int64 { return c.SeedBytes + c.HTTPBytes }

// Add returns the sum of c and d.
func (c Counts) Add(d Counts) Counts {
	return Counts{c.Completed + d.Completed, c.Direct + d.Direct, c.Archives + d.Archives, c.SeedBytes + d.SeedBytes, c.HTTPBytes + d.HTTPBytes}
}

// Day holds the counts of one day.
type Day struct {
	Date string // 2006-01-02, in UTC
	Counts
}

// History holds the counts of a release over time.
type History struct {
	Total Counts // since it was first published
	Days  []Day  // days with counts, the oldest first
}

// dayOf returns the day of t in the format of [Day.Date].
func dayOf(t time.Time) string { return t.UTC().Format(time.DateOnly) }
