// Package feed reads feeds that name torrents: RSS 2.0, RSS 1.0 and Atom (BEP 36), and decides by rules
// which of their items are wanted. It makes no requests.
//
// Strangers write feeds. A feed cannot name entities or other documents, and its size, its depth and the
// number of its items are bounded.
package feed

import (
	"errors"
	"net/url"
	"time"

	"spate"
)

// Limits of feeds.
const (
	MaxSize  = 8 << 20 // bytes of a feed
	MaxItems = 2000    // later ones are ignored
	maxDepth = 64      // of elements
	maxText  = 16 << 10
)

// Feed is a feed.
type Feed struct {
	Title     string
	Every     time.Duration // the feed asks for checks not more often than this (ttl); 0: it does not say
	SkipHours [24]bool      // hours of the day in UTC in which it asks for no checks
	SkipDays  [7]bool       // days in UTC, by [time.Weekday], on which it asks for no checks
	Items     []Item        // in the order of the feed
	Skipped   int           // items beyond MaxItems
}

// Item is an item of a feed. A field that the feed does not say is empty.
type Item struct {
	ID        string // guid or id
	Title     string
	Page      string // URL for people
	Published time.Time
	Source    string // URL of the .torrent, or a magnet link; "": the item names no torrent
	InfoHash  spate.InfoHash
	Size      int64 // bytes of the data; 0: unknown
}

// Errors of [Parse].
var (
	ErrNoFeed  = errors.New("it is no RSS or Atom feed")
	ErrTooLong = errors.New("the feed is longer than 8 MiB")
	errDeep    = errors.New("its elements are nested too deeply")
)

// Parse reads a feed. contentType is the Content-Type of the answer, whose charset counts only if the
// feed is not valid UTF-8; it may be wrong or empty. base is the URL of the feed, to which its URLs are
// relative.
func Parse(b []byte, contentType string, base *url.URL) (*Feed, error) {
	if len(b) > MaxSize {
		return nil, ErrTooLong
	}
	text, err := decode(b, contentType)
	if err != nil {
		return nil, err
	}
	p := parser{base: base}
	if err := p.parse(text); err != nil {
		return nil, err
	}
	return &p.feed, nil
}
