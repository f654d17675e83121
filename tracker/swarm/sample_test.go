package swarm_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
	"testing"
	"time"

	"spate"
	"spate/tracker/swarm"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func addr4(n int) netip.AddrPort {
	var a [4]byte
	binary.BigEndian.PutUint32(a[:], uint32(n)+11<<24)
	return netip.AddrPortFrom(netip.AddrFrom4(a), 6881)
}

func addr6(n int) netip.AddrPort {
	a := [16]byte{0x20, 0x01, 0x0d, 0xb8, 15: 1}
	binary.BigEndian.PutUint32(a[4:], uint32(n))
	return netip.AddrPortFrom(netip.AddrFrom16(a), 6881)
}

// TestSampleIsFair checks with a chi-square test at six sigma that every other peer is
// returned equally often, in swarms of many sizes and of both address families.
func TestSampleIsFair(t *testing.T) {
	for _, c := range []struct{ leechers, seeds, six, want int }{
		{3, 2, 0, 2}, {20, 0, 0, 7}, {100, 25, 0, 50}, {60, 60, 40, 30}, {200, 50, 100, 50}, {700, 300, 0, 50}, {1500, 10, 500, 100},
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			tab := open(t, swarm.Options{Seed: [16]byte{3}, MaxNumWant: 200})
			n := c.leechers + c.seeds + c.six
			var rep swarm.Reply
			r := swarm.Request{Want4: true, Want6: true}
			index := map[netip.AddrPort]int{}
			for i := range n {
				r.Addr, r.Seed = addr4(i), i >= c.leechers
				if i >= c.leechers+c.seeds {
					r.Addr, r.Seed = addr6(i), i%2 == 0
				}
				index[r.Addr] = i
				if err := tab.Announce(start, &r, &rep); err != nil {
					t.Fatal(err)
				}
			}
			r = swarm.Request{Addr: addr4(0), NumWant: c.want, Want4: true, Want6: true}
			got := make([]float64, n)
			rounds := 200 * n / c.want
			for range rounds {
				if err := tab.Announce(start, &r, &rep); err != nil {
					t.Fatal(err)
				}
				ps, _ := spate.AppendPeers4(nil, rep.Peers4)
				ps, _ = spate.AppendPeers6(ps, rep.Peers6)
				for _, p := range ps {
					got[index[p]]++
				}
			}
			if got[0] != 0 {
				t.Fatalf("the announcing peer got itself %v times", got[0])
			}
			// Samples are drawn without replacement, but the variance of each count is
			// that of a binomial distribution.
			p := float64(c.want) / float64(n-1)
			mean, vari := float64(rounds)*p, float64(rounds)*p*(1-p)
			chi := 0.0
			for _, g := range got[1:] {
				chi += (g - mean) * (g - mean) / vari
			}
			df := float64(n - 1)
			if z := (chi - df) / math.Sqrt(2*df); z > 6*math.Max(1, float64(c.want)/10) {
				t.Errorf("chi-square %.0f for %.0f peers: %.1f sigma", chi, df, z)
			}
			lo, hi := math.Inf(1), 0.0
			for _, g := range got[1:] {
				lo, hi = math.Min(lo, g), math.Max(hi, g)
			}
			if lo < 0.6*mean || hi > 1.5*mean {
				t.Errorf("returned between %.0f and %.0f times, mean %.0f", lo, hi, mean)
			}
			if _, _, _, ok := tab.Scrape(start, spate.InfoHash{}); !ok {
				t.Fatal("the swarm is gone")
			}
		})
	}
}

// TestConsecutivePeersAreNotSampledTogether checks that entries are inserted at random
// positions: peers that announced one after another must not be in the same sample more
// often than others.
func TestConsecutivePeersAreNotSampledTogether(t *testing.T) {
	const n, want = 120, 10
	together, rounds := 0, 0
	for k := range 200 {
		tab := open(t, swarm.Options{Seed: [16]byte{1, byte(k)}, Shards: 1})
		var rep swarm.Reply
		for i := range n {
			r := swarm.Request{Addr: addr4(i)}
			if err := tab.Announce(start, &r, &rep); err != nil {
				t.Fatal(err)
			}
		}
		for range 20 {
			r := swarm.Request{Addr: addr4(n), NumWant: want, Want4: true, Seed: true}
			if err := tab.Announce(start, &r, &rep); err != nil {
				t.Fatal(err)
			}
			ps, _ := spate.AppendPeers4(nil, rep.Peers4)
			in := map[netip.AddrPort]bool{}
			for _, p := range ps {
				in[p] = true
			}
			for i := range n - 1 {
				if in[addr4(i)] && in[addr4(i+1)] {
					together++
				}
			}
			rounds++
		}
		tab.Close()
	}
	// The probability that two neighbours are in the same random sample, for n-1 pairs.
	mean := float64(rounds) * (n - 1) * want / n * (want - 1) / (n - 1)
	if f := float64(together) / mean; f > 1.3 || f < 0.7 {
		t.Errorf("neighbours are in the same sample %.2f times as often as by chance", f)
	}
}
