package peerstore

import (
	"encoding/hex"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestSampleIsFair checks that each of the peers of a torrent is chosen equally often, and
// none twice in one reply.
func TestSampleIsFair(t *testing.T) {
	t.Parallel()
	const peers, chosen, rounds = 333, 50, 1500
	for _, noseed := range []bool{false, true} {
		s := newStore(t, false, Options{})
		for n := range 3000 {
			announce(t, s, start, hash(uint64(n%9)), addr4(n), n%2 == 0)
		}
		count := map[netip.AddrPort]int{}
		for range rounds {
			got := values(t, s, start, hash(4), chosen*ValueLen4+5, noseed)
			if len(got) != chosen {
				t.Fatalf("got %d peers, want %d", len(got), chosen)
			}
			once := map[netip.AddrPort]bool{}
			for _, p := range got {
				if once[p] {
					t.Fatalf("%v is in one reply twice", p)
				}
				once[p] = true
				count[p]++
			}
		}
		all := peers
		if noseed {
			all = 166 // the odd ones
		}
		if len(count) != all {
			t.Errorf("noseed %v: %d peers were chosen, want %d", noseed, len(count), all)
		}
		p := float64(chosen) / float64(all)
		mean, sigma := rounds*p, math.Sqrt(rounds*p*(1-p))
		for peer, n := range count {
			if math.Abs(float64(n)-mean) > 5*sigma {
				t.Errorf("noseed %v: %v was chosen %d times, want about %.0f", noseed, peer, n, mean)
			}
			if noseed && peer.Port()%2 == 0 {
				t.Errorf("noseed: %v is a seed", peer)
			}
		}
	}
}

// TestValuesFitTheSize checks the number of peers for each size in bytes.
func TestValuesFitTheSize(t *testing.T) {
	t.Parallel()
	s := newStore(t, true, Options{})
	for n := range 100 {
		announce(t, s, start, hash(1), addr6(n), false)
	}
	for size := -1; size < 110*ValueLen6; size++ {
		if got, want := len(values(t, s, start, hash(1), size, false)), min(100, size/ValueLen6); got != want {
			t.Fatalf("got %d peers in %d bytes, want %d", got, size, want)
		}
	}
}

// TestNoSeedReturnsSeedsIfNothingElse checks the best effort of BEP 33.
func TestNoSeedReturnsSeedsIfNothingElse(t *testing.T) {
	t.Parallel()
	s := newStore(t, false, Options{})
	for n := range 10 {
		announce(t, s, start, hash(1), addr4(n), true)
	}
	if got := values(t, s, start, hash(1), 1000, true); len(got) != 10 {
		t.Errorf("got %v", got)
	}
}

// vector is the filter in BEP 33.
const vector = `
F6C3F5EA A07FFD91 BDE89F77 7F26FB2B FF37BDB8 FB2BBAA2 FD3DDDE7 BACFFF75 EE7CCBAE
FE5EEDB1 FBFAFF67 F6ABFF5E 43DDBCA3 FD9B9FFD F4FFD3E9 DFF12D1B DF59DB53 DBE9FA5B
7FF3B8FD FCDE1AFB 8BEDD7BE 2F3EE71E BBBFE93B CDEEFE14 8246C2BC 5DBFF7E7 EFDCF24F
D8DC7ADF FD8FFFDF DDFFF7A4 BBEEDF5C B95CE81F C7FCFF1F F4FFFFDF E5F7FDCB B7FD79B3
FA1FC77B FE07FFF9 05B7B7FF C7FEFEFF E0B8370B B0CD3F5B 7F2BD93F EB4386CF DD6F7FD5
BFAF2E9E BFFFFEEC D67ADBF7 C67F17EF D5D75EBA 6FFEBA7F FF47A91E B1BFBB53 E8ABFB57
62ABE8FF 237279BF EFBFEEF5 FFC5FEBF DFE5ADFF ADFEE1FB 737FFFFB FD9F6AEF FEEE76B6
FD8F72EF`

// TestFilterOfBEP33 checks the filter and the estimate in BEP 33.
func TestFilterOfBEP33(t *testing.T) {
	t.Parallel()
	want, err := hex.DecodeString(strings.Join(strings.Fields(vector), ""))
	if err != nil {
		t.Fatal(err)
	}
	var v4, v6 Filter
	a := netip.MustParseAddr("192.0.2.0")
	for range 256 {
		v4.Insert(a)
		a = a.Next()
	}
	a = netip.MustParseAddr("2001:db8::")
	for range 1000 {
		v6.Insert(a)
		a = a.Next()
	}
	v4.Merge(&v6)
	if string(v4[:]) != string(want) {
		t.Errorf("got  %X\nwant %X", v4, want)
	}
	if got := v4.Estimate(); math.Abs(got-1224.9308) > 0.0001 {
		t.Errorf("the estimate is %v, want 1224.9308", got)
	}
	var none, mapped, plain Filter
	if got := none.Estimate(); got != 0 {
		t.Errorf("the estimate of an empty filter is %v", got)
	}
	for i := range none {
		none[i] = 0xff
	}
	if got := none.Estimate(); math.IsInf(got, 0) || got < 6000 {
		t.Errorf("the estimate of a full filter is %v", got)
	}
	mapped.Insert(netip.MustParseAddr("::ffff:192.0.2.1"))
	plain.Insert(netip.MustParseAddr("192.0.2.1"))
	if mapped != plain {
		t.Error("an IPv4-mapped address counts as another one")
	}
}

// TestScrapeSeparatesSeeds checks the two filters of a torrent.
func TestScrapeSeparatesSeeds(t *testing.T) {
	t.Parallel()
	s := newStore(t, false, Options{})
	var wantSeeds, wantPeers Filter
	for n := range 300 {
		announce(t, s, start, hash(1), addr4(n), n < 100)
		announce(t, s, start, hash(2), addr4(n+1000), false)
		if n < 100 {
			wantSeeds.Insert(addr4(n).Addr())
		} else {
			wantPeers.Insert(addr4(n).Addr())
		}
	}
	seeds, peers, ok := s.Scrape(start, hash(1))
	if !ok || seeds != wantSeeds || peers != wantPeers {
		t.Errorf("ok is %v; about %.0f seeds and %.0f other peers, want 100 and 200", ok, seeds.Estimate(), peers.Estimate())
	}
	if _, _, ok := s.Scrape(start, hash(3)); ok {
		t.Error("Scrape of an info-hash without peers succeeds")
	}
	if _, _, ok := s.Scrape(start.Add(time.Hour), hash(1)); ok {
		t.Error("Scrape of expired peers succeeds")
	}
}

// TestScrapeOfLargeSwarmIsKept checks that a minute passes before the filters of a large swarm are made
// again, for each swarm, and that the number of kept filters is bounded.
func TestScrapeOfLargeSwarmIsKept(t *testing.T) {
	t.Parallel()
	s := newStore(t, false, Options{})
	for n := range largeSwarm {
		announce(t, s, start, hash(1), addr4(n), n%2 == 0)
		announce(t, s, start, hash(2), addr4(n+1000), false)
	}
	seeds, peers, ok := s.Scrape(start, hash(1))
	if e := seeds.Estimate(); !ok || math.Abs(e-largeSwarm/2) > 25 {
		t.Errorf("about %.0f seeds, want %d", e, largeSwarm/2)
	}
	if none, all, _ := s.Scrape(start, hash(2)); none != (Filter{}) || all == peers {
		t.Error("the two swarms have the same filters")
	}
	for n := range 100 {
		announce(t, s, start, hash(1), addr4(n+5000), true)
	}
	if kept, _, _ := s.Scrape(start.Add(scrapeFor-time.Second), hash(1)); kept != seeds {
		t.Error("the filters are made again within a minute")
	}
	if fresh, _, _ := s.Scrape(start.Add(scrapeFor), hash(1)); fresh.Estimate() < seeds.Estimate()+50 {
		t.Error("the filters are not made again after a minute")
	}
	for n := range maxScrapes {
		s.scrapes[hash(uint64(1000+n))] = &scrape{}
	}
	s.Scrape(start.Add(2*scrapeFor), hash(1))
	if len(s.scrapes) > maxScrapes {
		t.Errorf("%d filters are kept, want at most %d", len(s.scrapes), maxScrapes)
	}
}

// TestSampleOfInfoHashes checks BEP 51: number, interval, no repetition, a constant result in an
// interval and another one after it, and that each info-hash is equally likely however many
// peers it has.
func TestSampleOfInfoHashes(t *testing.T) {
	t.Parallel()
	s := newStore(t, false, Options{})
	now := start
	if got, interval, num := s.SampleInfoHashes(now, 20); len(got) != 0 || interval <= 0 || num != 0 {
		t.Errorf("an empty store: %x, %v, %d", got, interval, num)
	}
	announce(t, s, now, hash(5), addr4(1), false)
	got, _, _ := s.SampleInfoHashes(now.Add(sweepEvery), 20)
	if want := hash(5); string(got) != string(want[:]) {
		t.Errorf("a small store returns %x after a minute, want %x", got, want)
	}
	now = now.Add(sweepEvery)
	const all = 120
	count := map[[20]byte]int{}
	rounds := 0
	for ; rounds < 300; rounds++ {
		now = now.Add(sampleInterval)
		for h := range all {
			for n := range 1 + h%4 {
				announce(t, s, now, hash(uint64(h)), addr4(n), false)
			}
		}
		got, interval, num := s.SampleInfoHashes(now, 15)
		first := slices.Clone(got)
		if num != all || interval != sampleInterval || len(got) != 15*20 {
			t.Fatalf("%d bytes, interval %v, number %d", len(got), interval, num)
		}
		if got, interval, _ := s.SampleInfoHashes(now.Add(time.Minute), 15); !slices.Equal(got, first) || interval != sampleInterval-time.Minute {
			t.Fatalf("another sample in the same interval, of which %v are left", interval)
		}
		if got, _, _ := s.SampleInfoHashes(now, 1000); len(got) != 20*maxSamples {
			t.Fatalf("%d bytes, want %d info-hashes", len(got), maxSamples)
		}
		once := map[[20]byte]bool{}
		for part := range slices.Chunk(first, 20) {
			once[[20]byte(part)] = true
			count[[20]byte(part)]++
		}
		if len(once) != 15 {
			t.Fatalf("%d different info-hashes, want 15", len(once))
		}
	}
	p := 15.0 / all
	mean, sigma := float64(rounds)*p, math.Sqrt(float64(rounds)*p*(1-p))
	for h := range all {
		if n := count[hash(uint64(h))]; math.Abs(float64(n)-mean) > 5*sigma {
			t.Errorf("info-hash %d was chosen %d times, want about %.0f", h, n, mean)
		}
	}
	if got, _, _ := s.SampleInfoHashes(now, -1); len(got) != 0 {
		t.Errorf("got %x for a negative count", got)
	}
}

// TestSamplerCoversAll checks the positions for all small numbers.
func TestSamplerCoversAll(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(5, 6))
	for n := 1; n < 60; n++ {
		for k := 1; k <= n; k++ {
			c, last := newSampler(rng, n, k), -1
			for range k {
				if p := c.position(); p <= last || p >= n {
					t.Fatalf("%d of %d: position %d follows %d", k, n, p, last)
				}
				last = c.position()
				c.advance()
			}
		}
	}
}
