package peerlist

import (
	"maps"
	"math/bits"
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// numbered returns n addresses, which differ for each net.
func numbered(net byte, n int) []netip.AddrPort {
	as := make([]netip.AddrPort, n)
	for i := range as {
		as[i] = netip.AddrPortFrom(netip.AddrFrom4([4]byte{9, net, byte(i >> 8), byte(i)}), 9)
	}
	return as
}

// TestFullListComparesFew checks that one call of Add makes few comparisons of candidates,
// whatever other peers choose to send while the list is full.
func TestFullListComparesFew(t *testing.T) {
	t.Parallel()
	const most = 1000 // addresses in one call
	best := func(l *List, as []netip.AddrPort) []netip.AddrPort {
		slices.SortFunc(as, func(a, b netip.AddrPort) int { return int(int64(l.priority(b)) - int64(l.priority(a))) })
		return as
	}
	for name, c := range map[string]struct {
		src   Source
		busy  int // candidates that are being tried
		addrs func(l *List) []netip.AddrPort
		added int // -1: any number
	}{
		"better source":      {SourceTracker, 0, func(*List) []netip.AddrPort { return numbered(2, most) }, most},
		"same source":        {SourceDHT, 0, func(*List) []netip.AddrPort { return numbered(2, most) }, -1},
		"worse source":       {SourcePEX, 0, func(*List) []netip.AddrPort { return numbered(2, most) }, 0},
		"best first":         {SourceTracker, 0, func(l *List) []netip.AddrPort { return best(l, numbered(2, most)) }, most},
		"worst first":        {SourceTracker, 0, func(l *List) []netip.AddrPort { as := best(l, numbered(2, most)); slices.Reverse(as); return as }, most},
		"known":              {SourceTracker, 0, func(*List) []netip.AddrPort { return numbered(1, most) }, 0},
		"known between new":  {SourceTracker, 0, func(*List) []netip.AddrPort { return alternating(numbered(1, most/2), numbered(2, most/2)) }, most / 2},
		"each address twice": {SourceTracker, 0, func(*List) []netip.AddrPort { return alternating(numbered(2, most/2), numbered(2, most/2)) }, most / 2},
		"more than the list": {SourceTracker, 0, func(*List) []netip.AddrPort { return numbered(2, 2*DefaultMax) }, -1},
		"one idle":           {SourceTracker, DefaultMax - 1, func(*List) []netip.AddrPort { return numbered(2, most) }, -1},
		"none idle":          {SourceTracker, DefaultMax, func(*List) []netip.AddrPort { return numbered(2, most) }, 0},
		"nothing":            {SourceTracker, 0, func(*List) []netip.AddrPort { return nil }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := New(Options{Seed: 1})
			if n := l.Add(numbered(1, DefaultMax), SourceDHT); n != DefaultMax || l.worst.comparisons != 0 {
				t.Fatalf("%d candidates were added with %d comparisons", n, l.worst.comparisons)
			}
			for _, a := range numbered(1, c.busy) {
				l.Take(a)
			}
			as := c.addrs(l)
			added := l.Add(as, c.src)
			if c.added >= 0 && added != c.added || l.Len() != DefaultMax {
				t.Errorf("%d of %d addresses were added, want %d", added, len(as), c.added)
			}
			bound := 2*DefaultMax + len(as)*(1+2*bits.Len(DefaultMax))
			if n := l.worst.comparisons; n > bound {
				t.Errorf("%d addresses caused %d comparisons, want at most %d", len(as), n, bound)
			}
		})
	}
}

// alternating returns the addresses of two slices of one length in turns.
func alternating(a, b []netip.AddrPort) (all []netip.AddrPort) {
	for i := range a {
		all = append(all, a[i], b[i])
	}
	return all
}

// TestFullListAgainstModel compares the candidates of a small full list with those of a list
// that searches all candidates for the worst one each time.
func TestFullListAgainstModel(t *testing.T) {
	t.Parallel()
	const size = 7
	pool := numbered(3, 40)
	rapid.Check(t, func(t *rapid.T) {
		l := New(Options{Max: size, Seed: 1})
		m := map[netip.AddrPort]*candidate{}
		worst := func() (w *candidate) {
			for _, c := range m {
				if c.state == idle && (w == nil || w.before(c)) {
					w = c
				}
			}
			return w
		}
		add := func(a netip.AddrPort, src Source) bool {
			c := &candidate{addr: a, source: src, prio: l.priority(a)}
			if len(m) == size {
				w := worst()
				if w == nil || !c.before(w) {
					return false
				}
				delete(m, w.addr)
			}
			m[a] = c
			return true
		}
		t.Repeat(map[string]func(*rapid.T){
			"": func(t *rapid.T) {
				got := map[netip.AddrPort]candidate{}
				for i, c := range l.all {
					if l.index[c.addr] != i {
						t.Fatalf("the index of %v is wrong", c.addr)
					}
					got[c.addr] = candidate{addr: c.addr, source: c.source, prio: c.prio, failures: c.failures, state: c.state}
				}
				want := map[netip.AddrPort]candidate{}
				for a, c := range m {
					want[a] = *c
				}
				if !maps.Equal(got, want) || len(l.index) != len(l.all) {
					t.Fatalf("candidates %v, want %v", got, want)
				}
			},
			"add": func(t *rapid.T) {
				as := rapid.SliceOfN(rapid.SampledFrom(pool), 0, 12).Draw(t, "addrs")
				src := rapid.SampledFrom([]Source{SourcePEX, SourceDHT, SourceTracker}).Draw(t, "source")
				for _, a := range as {
					if c := m[a]; c != nil {
						c.source = max(c.source, src)
					}
				}
				want := 0
				for _, a := range as {
					if m[a] == nil && add(a, src) {
						want++
					}
				}
				if n := l.Add(as, src); n != want {
					t.Fatalf("%d addresses were added, want %d", n, want)
				}
			},
			"take": func(t *rapid.T) {
				a := rapid.SampledFrom(pool).Draw(t, "addr")
				l.Take(a)
				if c := m[a]; c != nil {
					c.state = trying
				}
			},
			"failed": func(t *rapid.T) {
				a := rapid.SampledFrom(pool).Draw(t, "addr")
				l.Failed(a, start)
				if c := m[a]; c != nil {
					c.state = idle
					c.failures++
					if c.failures == maxFailures {
						delete(m, a)
					}
				}
			},
		})
	})
}

// BenchmarkAddToFullList measures the largest answer of a tracker for a full list.
func BenchmarkAddToFullList(b *testing.B) {
	as := numbered(2, 1000)
	for b.Loop() {
		b.StopTimer()
		l := New(Options{Seed: 1})
		l.Add(numbered(1, DefaultMax), SourceDHT)
		b.StartTimer()
		l.Add(as, SourceTracker)
	}
}
