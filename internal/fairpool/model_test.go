package fairpool

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// modelHolder is a holder in the model.
type modelHolder struct {
	m       *Member[int]
	network Network
}

// TestModel compares a pool with a model for random operations: the pool never has more
// holders than slots, never evicts a good holder, always evicts the worst one, and refuses a
// newcomer only if it can evict no holder.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		opt := Options{
			Slots: rapid.IntRange(1, 40).Draw(t, "slots"), Floor: 1000, Pause: 10 * time.Second,
			Grace: time.Duration(rapid.SampledFrom([]int{0, 1, 5}).Draw(t, "grace")) * time.Second,
			Quick: time.Duration(rapid.SampledFrom([]int{0, 100}).Draw(t, "quick")) * time.Millisecond, Proof: 50_000,
		}
		now := time.Unix(1e9, 0)
		p := New[int](opt)
		var in []modelHolder
		held := func(n Network) (count int) {
			if n == 0 {
				return 1
			}
			for _, h := range in {
				if h.network == n {
					count++
				}
			}
			return count
		}
		network := rapid.Custom(func(t *rapid.T) Network { return Network(rapid.IntRange(0, 5).Draw(t, "network")) })
		pick := func(t *rapid.T) *modelHolder {
			if len(in) == 0 {
				t.Skip("the pool is empty")
			}
			return &in[rapid.IntRange(0, len(in)-1).Draw(t, "holder")]
		}
		id := 0
		enter := func(t *rapid.T, n Network) {
			mine := held(n)
			if n == 0 {
				mine = 0
			}
			who := newcomer{n, mine, p.marks.has(now, n)}
			free := opt.Slots - len(in)
			others := len(in) > mine || p.wanted != n && now.Sub(p.wantedT) < wantFor
			before := slices.Clone(in)
			states := make([]Holder, len(in))
			counts := make([]int, len(in))
			for i, h := range in {
				states[i] = Holder{h.network, h.m.Standing(now), h.m.since()}
				counts[i] = held(h.network)
			}
			id++
			m, out := p.Enter(now, n, id)
			if out != nil {
				in = slices.DeleteFunc(in, func(h modelHolder) bool { return h.m == out })
			}
			if m != nil {
				in = append(in, modelHolder{m, n})
			}
			switch allowed := free > 0 && (!others || mine < share*free); {
			case allowed && (m == nil || out != nil):
				t.Fatalf("%d of %d slots are free: entered %v, evicted %v", free, opt.Slots, m, out)
			case allowed:
				return
			case m != nil && out == nil:
				t.Fatalf("a network with %d of %d slots got one more while %d are free", mine, opt.Slots, free)
			case len(in) != len(before):
				t.Fatalf("the number of holders changed from %d to %d, although no slot was free or the newcomer was refused", len(before), len(in))
			}
			for i, h := range before {
				if free > 0 && h.network != n || !states[i].evictable(counts[i], who) {
					if h.m == out {
						t.Fatalf("the newcomer %+v evicted %+v, whose network holds %d slots, but may not", who, states[i], counts[i])
					}
					continue
				}
				if out == nil {
					t.Fatalf("the newcomer %+v was refused, but may evict %+v, whose network holds %d slots", who, states[i], counts[i])
				}
				j := slices.IndexFunc(before, func(h modelHolder) bool { return h.m == out })
				if states[i].before(counts[i], &states[j], counts[j]) {
					t.Fatalf("evicted %+v, whose network holds %d, before %+v, whose network holds %d", states[j], counts[j], states[i], counts[i])
				}
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"enter": func(t *rapid.T) {
				n := network.Draw(t, "from")
				for range rapid.IntRange(1, 30).Draw(t, "times") {
					enter(t, n)
				}
			},
			"offer": func(t *rapid.T) { pick(t).m.Offer(now) },
			"take":  func(t *rapid.T) { pick(t).m.Took(now, int64(rapid.IntRange(0, 30_000).Draw(t, "bytes"))) },
			"leave": func(t *rapid.T) {
				h := pick(t)
				h.m.Leave(now)
				h.m.Leave(now)
				in = slices.DeleteFunc(in, func(o modelHolder) bool { return o.m == h.m })
			},
			"move": func(t *rapid.T) {
				h := pick(t)
				h.network = network.Draw(t, "to")
				h.m.Move(h.network)
			},
			"wait": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(1, 20_000).Draw(t, "ms")) * time.Millisecond)
			},
			"": func(t *rapid.T) {
				if p.Len() != len(in) || len(in) > opt.Slots {
					t.Fatalf("%d holders of %d slots, want %d", p.Len(), opt.Slots, len(in))
				}
				sum := 0
				for n, c := range p.held {
					if c != held(n) || n == 0 {
						t.Fatalf("network %d holds %d, want %d", n, c, held(n))
					}
					sum += c
				}
				for i, h := range p.members {
					if h.at != i {
						t.Fatalf("member %d has the index %d", i, h.at)
					}
					if h.network == 0 {
						sum++
					}
				}
				if sum != len(in) {
					t.Fatalf("the counts of networks sum up to %d, want %d", sum, len(in))
				}
			},
		})
	})
}

// TestGoodReadersStay checks that a holder that reads faster than Floor is never evicted
// while other readers and silent holders come and go.
func TestGoodReadersStay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		opt := readers
		opt.Slots = rapid.IntRange(1, 20).Draw(t, "slots")
		now := time.Unix(1e9, 0)
		p := New[bool](opt) // the value is true for a reader
		type reader struct {
			m    *Member[bool]
			next time.Time // time of its next step
			each time.Duration
		}
		const step = 64 << 10
		var reading []*reader
		for range 400 {
			now = now.Add(time.Duration(rapid.IntRange(1, 500).Draw(t, "ms")) * time.Millisecond)
			for _, r := range reading {
				for !r.next.After(now) {
					r.m.Took(r.next, step)
					r.m.Offer(r.next)
					r.next = r.next.Add(r.each)
				}
			}
			reads := rapid.Bool().Draw(t, "reads")
			m, out := p.Enter(now, Network(rapid.IntRange(0, 9).Draw(t, "network")), reads)
			if out != nil && out.Value {
				// A newcomer of a marked network may be evicted before it has proved that it reads.
				if out.counts || !p.marks.has(now, out.network) {
					t.Fatalf("evicted a reader that has taken %d bytes", out.taken)
				}
				reading = slices.DeleteFunc(reading, func(r *reader) bool { return r.m == out })
			}
			if m == nil {
				continue
			}
			m.Offer(now)
			if reads {
				each := step * time.Second / time.Duration(rapid.IntRange(17<<10, 1<<20).Draw(t, "rate"))
				reading = append(reading, &reader{m, now.Add(each), each})
			}
			if len(reading) > 0 && rapid.IntRange(0, 9).Draw(t, "done") == 0 {
				reading[0].m.Leave(now)
				reading = reading[1:]
			}
		}
	})
}
