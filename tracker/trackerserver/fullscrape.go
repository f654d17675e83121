package trackerserver

import (
	"bytes"
	"slices"
	"sync"
	"time"

	"spate"
	"spate/tracker/wire"
)

// A scrape without info-hashes (full scrape) is a short request that examines all swarms. Its
// answer is therefore used again: fullScrapeShare times as long as making it took, so that full
// scrapes take at most one part in fullScrapeShare of a processor.
const (
	fullScrapeShare = 20
	maxFullScrape   = time.Minute // longest time for which an answer is used again
)

// fullScrape holds the last answer to a full scrape.
type fullScrape struct {
	mu   sync.Mutex
	body []byte        // guarded by mu; nil if there is none
	made time.Time     // guarded by mu
	keep time.Duration // guarded by mu; how long body is used after made
}

// appendFullScrape appends the answer to a scrape of all torrents to b.
func (s *Server) appendFullScrape(b []byte) []byte {
	f := &s.full
	f.mu.Lock()
	defer f.mu.Unlock()
	now := s.now() // after the wait for the lock, in which another request may have made the answer
	if age := now.Sub(f.made); f.body == nil || age < 0 || age >= f.keep {
		var hashes []spate.InfoHash
		for st := range s.store.All() {
			hashes = append(hashes, st.InfoHash)
		}
		f.body = s.appendScrape(nil, now, hashes)
		f.made = s.now()
		f.keep = min(fullScrapeShare*f.made.Sub(now), maxFullScrape)
		body := f.body
		time.AfterFunc(f.keep, func() { f.forget(body) })
	}
	return append(b, f.body...)
}

// forget frees the memory of an answer that is not used again.
func (f *fullScrape) forget(body []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(body) > 0 && len(f.body) > 0 && &f.body[0] == &body[0] {
		f.body = nil
	}
}

// appendScrape appends the answer to a scrape of hashes to b. It sorts hashes.
func (s *Server) appendScrape(b []byte, now time.Time, hashes []spate.InfoHash) []byte {
	slices.SortFunc(hashes, func(a, b spate.InfoHash) int { return bytes.Compare(a[:], b[:]) })
	b = wire.AppendScrapeStart(b)
	for _, ih := range slices.Compact(hashes) {
		if seeders, leechers, completed, ok := s.scrape(now, ih); ok {
			b = wire.AppendScrapeEntry(b, ih, seeders, completed, leechers)
		}
	}
	return wire.AppendScrapeEnd(b, minScrape)
}
