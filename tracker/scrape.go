package tracker

import "spate"

// MaxScrapeUDP is the number of info-hashes in one UDP scrape at most, so that the
// request and the response fit into one packet each. BEP 15 gives "about 74".
const MaxScrapeUDP = 70

// ScrapeEntry is the state of one swarm in a scrape response (BEP 48).
type ScrapeEntry struct {
	InfoHash spate.InfoHash
	// Complete and Incomplete are the numbers of seeds and leechers, and Downloaded is
	// the number of completed downloads.
	Complete, Incomplete, Downloaded int
}
