package peerstore

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"time"

	"spate/dht/internal/nodeid"
)

// The sizes of a peer in a list of values: a bencoded string of 6 or 18 bytes.
const (
	ValueLen4 = len("6:") + 6
	ValueLen6 = len("18:") + 18
)

// AppendValues appends to b the bencoded strings of a list of values (BEP 5, BEP 32): peers of
// an info-hash, at most size bytes of them. If there are more peers, it chooses a sample in
// which each peer is equally likely. With noseed it chooses peers that are not seeds, and
// appends seeds only if no other peer is left (BEP 33).
func (s *Store) AppendValues(b []byte, now time.Time, hash [20]byte, size int, noseed bool) []byte {
	s.sweepIfDue(now)
	k := size / ValueLen4
	if s.v6 {
		k = size / ValueLen6
	}
	found := s.span(nodeid.Distance(s.self, hash))
	if k <= 0 || found.n == 0 {
		return b
	}
	if !noseed {
		return s.appendSample(b, now, found, k)
	}
	leechers, stamp := 0, s.stamp(now)
	s.each(found, func(rec []byte) {
		if s.live(stamp, rec) && !s.seed(rec) {
			leechers++
		}
	})
	if leechers == 0 {
		return s.appendSample(b, now, found, k)
	}
	chosen, i := newSampler(s.rng, leechers, k), 0
	s.each(found, func(rec []byte) {
		if !s.live(stamp, rec) || s.seed(rec) {
			return
		}
		if i == chosen.position() {
			b = s.appendValue(b, rec)
			chosen.advance()
		}
		i++
	})
	return b
}

// appendSample appends k of the peers of a span, or fewer if some have expired since the last
// sweep. It reads only the chosen records.
func (s *Store) appendSample(b []byte, now time.Time, found span, k int) []byte {
	chosen := newSampler(s.rng, found.n, k)
	p, at := found.from, 0 // record at of the span is at p
	stamp := s.stamp(now)
	for range min(k, found.n) {
		p.i += chosen.position() - at
		at = chosen.position()
		for p.i >= s.size(p.b) {
			p = position{p.b + 1, p.i - s.size(p.b)}
		}
		if rec := s.at(p); s.live(stamp, rec) {
			b = s.appendValue(b, rec)
		}
		chosen.advance()
	}
	return b
}

// appendValue appends the address and port of a record as a bencoded string.
func (s *Store) appendValue(b, rec []byte) []byte {
	if s.v6 {
		b = append(b, "18:"...)
	} else {
		b = append(b, "6:"...)
	}
	return append(b, rec[20:s.keyLen+2]...)
}

// sampler chooses k of n positions in ascending order, at equal distances from a random start.
// Each position is equally likely. The records of an info-hash are ordered by address, so that
// a sample has peers of many networks.
type sampler struct{ next, step uint64 } // with 32 bits after the binary point

func newSampler(rng *rand.Rand, n, k int) sampler {
	if n <= k {
		return sampler{0, 1 << 32}
	}
	step := uint64(n) << 32 / uint64(k)
	return sampler{rng.Uint64N(step), step}
}

// position returns the next chosen position.
func (c *sampler) position() int { return int(c.next >> 32) }

func (c *sampler) advance() { c.next += c.step }

// Scrape returns the bloom filters of the seeds and of the other peers of an info-hash. It
// reports whether there are any peers; if not, a reply has no filters (BEP 33). The filters of
// a large swarm may be a minute old, because each of its peers takes about 100 ns.
func (s *Store) Scrape(now time.Time, hash [20]byte) (seeds, peers Filter, ok bool) {
	s.sweepIfDue(now)
	found := s.span(nodeid.Distance(s.self, hash))
	if found.n < largeSwarm {
		c := s.scrape(now, found)
		return c.seeds, c.peers, c.ok
	}
	c := s.scrapes[hash]
	if c == nil || now.Sub(c.at) >= scrapeFor {
		c = s.scrape(now, found)
		if s.scrapes == nil || len(s.scrapes) >= maxScrapes {
			s.scrapes = map[[20]byte]*scrape{}
		}
		s.scrapes[hash] = c
	}
	return c.seeds, c.peers, c.ok
}

const (
	largeSwarm = 500         // peers from which on filters are kept
	scrapeFor  = time.Minute // time for which they are kept

	// maxScrapes is the maximum number of kept filters. A store with the default limits has at
	// most 200 large swarms.
	maxScrapes = 200
)

// scrape has the filters of an info-hash at a time.
type scrape struct {
	seeds, peers Filter
	ok           bool // there are peers
	at           time.Time
}

// scrape makes the filters of a span.
func (s *Store) scrape(now time.Time, found span) *scrape {
	c, stamp := &scrape{at: now}, s.stamp(now)
	s.each(found, func(rec []byte) {
		if !s.live(stamp, rec) {
			return
		}
		c.ok = true
		a, _ := netip.AddrFromSlice(rec[20:s.keyLen])
		if s.seed(rec) {
			c.seeds.Insert(a)
		} else {
			c.peers.Insert(a)
		}
	})
	return c
}

const (
	maxSamples = 40 // maximum number of info-hashes in a sample; they fill most of a packet

	sampleInterval = 10 * time.Minute
)

// samples is the sample of info-hashes that all queries of an interval get (BEP 51).
type samples struct {
	hashes []byte
	until  time.Time
}

// SampleInfoHashes returns up to count random info-hashes of 20 bytes each, the time after
// which there will be others, and the number of info-hashes in the store (BEP 51). The result
// is valid until the next call.
func (s *Store) SampleInfoHashes(now time.Time, count int) (hashes []byte, interval time.Duration, num int) {
	s.sweepIfDue(now)
	if !now.Before(s.samples.until) {
		s.samples.until = now.Add(sampleInterval)
		if s.hashes <= maxSamples {
			s.samples.until = now.Add(sweepEvery) // a small store changes soon
		}
		s.resample()
	}
	hashes = s.samples.hashes[:min(len(s.samples.hashes), 20*max(count, 0))]
	return hashes, s.samples.until.Sub(now), s.Hashes()
}

// resample chooses other samples, in a random order.
func (s *Store) resample() {
	out := s.samples.hashes[:0]
	chosen, i := newSampler(s.rng, s.hashes, maxSamples), 0
	var previous []byte
	for _, block := range s.blocks {
		for ; len(block) > 0; block = block[s.stride:] {
			if bytes.Equal(block[:20], previous) {
				continue
			}
			previous = block[:20]
			if i == chosen.position() && len(out) < 20*maxSamples {
				hash := nodeid.Distance(s.self, [20]byte(previous))
				out = append(out, hash[:]...)
				chosen.advance()
			}
			i++
		}
	}
	s.rng.Shuffle(len(out)/20, func(i, j int) {
		a, b := [20]byte(out[20*i:]), [20]byte(out[20*j:])
		copy(out[20*i:], b[:])
		copy(out[20*j:], a[:])
	})
	s.samples.hashes = out
}
