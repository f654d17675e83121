package tracker

import "spate"

// MaxScrapeUDP is the number of info-hashes that one UDP scrape can carry and
// still fit one packet with its answer (BEP 15: "about 74").
const MaxScrapeUDP = 70

// ScrapeEntry is what a tracker says of one swarm (BEP 48).
type ScrapeEntry struct {
	InfoHash spate.InfoHash
	// Complete and Incomplete count seeds and leechers, Downloaded the completed
	// downloads.
	Complete, Incomplete, Downloaded int
}
