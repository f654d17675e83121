package picker

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"spate/bitfield"
)

// model is the obvious picker's bookkeeping, by maps: what every call must have
// done. It takes the picks as given and judges them.
type model struct {
	k         *Picker
	sizes     []int
	have      []bool
	prio      []int
	peers     map[PeerID][]bool
	requested map[Block][]PeerID // outstanding
	claims    map[Block]PeerID
	senders   map[Block]PeerID
	open      map[int]bool
	onParole  map[int]bool
	fails     map[int]int
	maxOpen   int

	urgent []int
}

func newModel(t *rapid.T) *model {
	m := &model{
		peers: map[PeerID][]bool{}, requested: map[Block][]PeerID{}, claims: map[Block]PeerID{}, senders: map[Block]PeerID{},
		open: map[int]bool{}, onParole: map[int]bool{}, fails: map[int]int{},
	}
	n := rapid.IntRange(1, 90).Draw(t, "pieces")
	length := rapid.SampledFrom([]int{1, BlockSize, BlockSize + 1, 3 * BlockSize, 5*BlockSize - 7}).Draw(t, "length")
	for i := range n {
		size := length
		if i == n-1 || i%7 == 3 {
			size = rapid.IntRange(1, length).Draw(t, "short")
		}
		m.sizes = append(m.sizes, size)
		m.have = append(m.have, false)
		m.prio = append(m.prio, NormalPrio)
	}
	m.maxOpen = rapid.IntRange(1, 12).Draw(t, "open")
	k, err := New(Config{NumPieces: n, PieceSize: func(i int) int { return m.sizes[i] }, Seed: rapid.Uint64().Draw(t, "seed"), MaxOpen: m.maxOpen})
	if err != nil {
		t.Fatal(err)
	}
	k.orderLimit = rapid.SampledFrom([]int{1, 5, defaultOrderLimit}).Draw(t, "walk")
	m.k = k
	return m
}

func (m *model) wanted(i int) bool { return !m.have[i] && m.prio[i] > 0 }

func (m *model) avail(i int) int {
	n := 0
	for _, h := range m.peers {
		if h[i] {
			n++
		}
	}
	return n
}

// free tells whether nobody has, copies or was asked for b.
func (m *model) free(b Block) bool {
	_, c := m.claims[b]
	_, s := m.senders[b]
	return len(m.requested[b]) == 0 && !c && !s
}

func (m *model) blocks(i int) []Block {
	var bs []Block
	for begin := 0; begin < m.sizes[i]; begin += BlockSize {
		bs = append(bs, Block{int32(i), int32(begin), int32(min(BlockSize, m.sizes[i]-begin))})
	}
	return bs
}

// lone tells whether p may be given blocks of piece i as far as parole goes.
func (m *model) paroleAllows(i int, p PeerID) bool {
	if !m.onParole[i] {
		return true
	}
	for _, b := range m.blocks(i) {
		if c, ok := m.claims[b]; ok && c != p {
			return false
		}
		for _, q := range m.requested[b] {
			if q != p {
				return false
			}
		}
	}
	return true
}

func (m *model) unrequested() int {
	n := 0
	for i := range m.sizes {
		if m.wanted(i) {
			for _, b := range m.blocks(i) {
				if m.free(b) {
					n++
				}
			}
		}
	}
	return n
}

func (m *model) endgame() bool {
	missing := false
	for i := range m.sizes {
		if !m.wanted(i) {
			continue
		}
		missing = true
		if m.avail(i) > 0 {
			for _, b := range m.blocks(i) {
				if m.free(b) {
					return false
				}
			}
		}
	}
	return missing
}

func (m *model) forget(i int) {
	for _, b := range m.blocks(i) {
		delete(m.requested, b)
		delete(m.claims, b)
		delete(m.senders, b)
	}
	delete(m.open, i)
	delete(m.onParole, i)
}

// untouched closes pieces that lost every request before a block was claimed.
func (m *model) closeUnclaimed() {
	for i := range m.open {
		if m.k.Slot(i) >= 0 {
			continue
		}
		for _, b := range m.blocks(i) {
			if !m.free(b) {
				panic(fmt.Sprintf("piece %d was closed with block %v in use", i, b))
			}
		}
		m.forget(i)
	}
}

// room tells whether a piece may be opened: of the urgent ones, of the others.
func (m *model) mayOpen() (urgent, other bool) {
	return len(m.open) < m.maxOpen, len(m.open) < m.maxOpen-min(len(m.urgent), m.maxOpen/4)
}

// judge is one Pick under judgement.
type checkedPick struct {
	*model
	p   PeerID
	opt PickOptions
}

// pick asks for blocks and judges each of them in turn.
func (m *model) pickAndCheck(t *rapid.T, p PeerID) {
	opt := PickOptions{
		WholePieces: rapid.Bool().Draw(t, "whole"), Sequential: rapid.Bool().Draw(t, "sequential"),
		Endgame: rapid.Bool().Draw(t, "endgame"), Requesters: rapid.IntRange(0, 4).Draw(t, "requesters"),
		UrgentTwice: rapid.Bool().Draw(t, "twice"), NoUrgent: rapid.IntRange(0, 3).Draw(t, "no urgent") == 0,
	}
	if rapid.IntRange(0, 9).Draw(t, "fast set") == 0 {
		opt.Only = []int32{int32(rapid.IntRange(0, len(m.sizes)-1).Draw(t, "only"))}
	}
	n := rapid.IntRange(1, 12).Draw(t, "n")
	got := m.k.Pick(nil, p, n, opt)
	if len(got) > n {
		t.Fatalf("%d blocks picked, %d asked", len(got), n)
	}
	j := &checkedPick{model: m, p: p, opt: opt}
	twice := false
	for _, b := range got {
		i := int(b.Piece)
		if !m.wanted(i) || !m.peers[p][i] || !slices.Contains(m.blocks(i), b) {
			t.Fatalf("picked %v: wanted %v, peer has %v", b, m.wanted(i), m.peers[p][i])
		}
		if opt.NoUrgent && opt.Only == nil && slices.Contains(m.urgent, i) || opt.Only != nil && !slices.Contains(opt.Only, b.Piece) {
			t.Fatalf("picked %v against the options", b)
		}
		if !m.paroleAllows(i, p) {
			t.Fatalf("picked %v of a piece that is on parole with another", b)
		}
		switch {
		case !m.free(b):
			twice = true
			j.checkDuplicate(t, b)
		case twice:
			t.Fatalf("free block %v after one that is outstanding", b)
		case !m.open[i]:
			j.checkOpened(t, i)
		}
		m.requested[b] = append(m.requested[b], p)
	}
	if len(got) < n {
		j.checkExhausted(t)
	}
}

// twice judges a block that is outstanding elsewhere.
func (j *checkedPick) checkDuplicate(t *rapid.T, b Block) {
	limit := min(max(j.opt.Requesters, 0), MaxRequesters)
	if limit == 0 {
		limit = 2
	}
	asked := j.requested[b]
	late := j.opt.UrgentTwice && !j.opt.NoUrgent && slices.Contains(j.urgent, int(b.Piece)) && len(asked) == 1
	game := j.opt.Endgame && j.endgame() && len(asked) > 0 && len(asked) < limit
	if !late && !game || slices.Contains(asked, j.p) || j.onParole[int(b.Piece)] || j.opt.Only != nil {
		t.Fatalf("picked %v again: asked of %v, endgame %v", b, asked, j.endgame())
	}
}

// opened judges a new piece: an urgent one, or one of the highest priority, and
// the rarest or first of these.
func (j *checkedPick) checkOpened(t *rapid.T, i int) {
	haves := 0
	for _, h := range j.have {
		if h {
			haves++
		}
	}
	urgent := slices.Contains(j.urgent, i) && !j.opt.NoUrgent
	if roomU, room := j.mayOpen(); !room && !(roomU && urgent && j.opt.Only == nil) {
		t.Fatalf("%d pieces are open of %d, %d urgent", len(j.open)+1, j.maxOpen, len(j.urgent))
	}
	for o := range j.sizes {
		if !j.wanted(o) || j.open[o] || !j.peers[j.p][o] || o == i || j.opt.Only != nil {
			continue
		}
		other := slices.Contains(j.urgent, o)
		switch {
		case other && j.opt.NoUrgent:
		case urgent && !other:
		case other && (!urgent || slices.Index(j.urgent, o) < slices.Index(j.urgent, i)):
			t.Fatalf("piece %d before %d, urgent %v", i, o, j.urgent)
		case urgent:
		case j.prio[o] > j.prio[i]:
			t.Fatalf("piece %d of priority %d before %d of %d", i, j.prio[i], o, j.prio[o])
		case j.prio[o] < j.prio[i]:
		case j.opt.Sequential && o < i:
			t.Fatalf("piece %d before %d", i, o)
		case !j.opt.Sequential && haves >= randomFirst && j.avail(o) < j.avail(i):
			t.Fatalf("piece %d that %d have before %d that %d have", i, j.avail(i), o, j.avail(o))
		}
	}
	j.open[i] = true
	j.onParole[i] = j.fails[i] > 0 && j.fails[i] < maxParole
}

// exhausted judges a Pick that gave less than asked: no free block is left.
func (j *checkedPick) checkExhausted(t *rapid.T) {
	_, room := j.mayOpen()
	for i := range j.sizes {
		if !j.wanted(i) || !j.peers[j.p][i] || !j.open[i] && !room || !j.paroleAllows(i, j.p) || j.onParole[i] {
			continue
		}
		if j.opt.Only != nil && !slices.Contains(j.opt.Only, int32(i)) || j.opt.NoUrgent && slices.Contains(j.urgent, i) {
			continue
		}
		for _, b := range j.blocks(i) {
			if j.free(b) {
				t.Fatalf("block %v was not picked", b)
			}
		}
	}
}

// claimOne lets a block of a peer begin to arrive, asked or not.
func (m *model) claim(t *rapid.T, p PeerID, b Block) {
	had := slices.Index(m.requested[b], p)
	solo := m.onParole[int(b.Piece)]
	_, copying := m.claims[b]
	_, here := m.senders[b]
	got := m.k.Claim(b, p)
	if had >= 0 {
		m.requested[b] = slices.Delete(m.requested[b], had, had+1)
	}
	switch {
	case !m.open[int(b.Piece)]:
		if got != Unwanted {
			t.Fatalf("claim of %v, not open: %d", b, got)
		}
	case copying || here:
		if got != Duplicate {
			t.Fatalf("claim of %v, being copied or here: %d", b, got)
		}
	case got == Unwanted && solo && had < 0:
	case got != Fresh:
		t.Fatalf("claim of %v: %d", b, got)
	default:
		m.claims[b] = p
	}
}

func (m *model) arrive(t *rapid.T, b Block) {
	p := m.claims[b]
	complete, others := m.k.Arrived(b, p)
	if !slices.Equal(others, m.requested[b]) {
		t.Fatalf("%v arrived: others %v, want %v", b, others, m.requested[b])
	}
	delete(m.claims, b)
	delete(m.requested, b)
	m.senders[b] = p
	all := true
	for _, o := range m.blocks(int(b.Piece)) {
		if _, ok := m.senders[o]; !ok {
			all = false
		}
	}
	if all != complete {
		t.Fatalf("%v arrived: complete is %v", b, complete)
	}
	if complete {
		m.hash(t, int(b.Piece))
	}
}

func (m *model) setVerified(i int) {
	m.have[i] = true
	delete(m.fails, i)
	if at := slices.Index(m.urgent, i); at >= 0 {
		m.urgent = slices.Delete(m.urgent, at, at+1)
	}
}

func (m *model) hash(t *rapid.T, i int) {
	if rapid.IntRange(0, 3).Draw(t, "good") > 0 {
		m.k.Verified(i)
		m.setVerified(i)
		m.forget(i)
		return
	}
	want := map[PeerID]bool{}
	for _, b := range m.blocks(i) {
		want[m.senders[b]] = true
		if q, ok := m.k.Contributor(b); !ok || q != m.senders[b] {
			t.Fatalf("contributor of %v is %d", b, q)
		}
	}
	got := m.k.Failed(nil, i)
	for _, p := range got {
		if !want[p] {
			t.Fatalf("contributors %v, want %v", got, want)
		}
	}
	if len(got) != len(want) {
		t.Fatalf("contributors %v, want %v", got, want)
	}
	if len(want) > 1 {
		m.fails[i] = min(m.fails[i]+1, maxParole)
	} else {
		delete(m.fails, i)
	}
	m.forget(i)
}

// abandon ends one request of p, or all.
func (m *model) abandonAll(t *rapid.T, p PeerID) {
	n := 0
	for b, ps := range m.requested {
		if at := slices.Index(ps, p); at >= 0 {
			m.requested[b] = slices.Delete(ps, at, at+1)
			n++
		}
	}
	if got := m.k.AbandonAll(p); got != n {
		t.Fatalf("%d abandoned, want %d", got, n)
	}
	m.closeUnclaimed()
}

func (m *model) leave(t *rapid.T, p PeerID) {
	m.abandonAll(t, p)
	m.k.PeerLeft(p)
	delete(m.peers, p)
}

// compare looks at everything that the picker tells.
func (m *model) compare(t *rapid.T) {
	if err := m.k.checkInvariants(); err != nil {
		t.Fatal(err)
	}
	wanted := 0
	for i := range m.sizes {
		if m.wanted(i) {
			wanted++
		}
		if m.k.Have(i) != m.have[i] || m.k.Slot(i) >= 0 != m.open[i] || m.k.Availability(i) != m.avail(i) {
			t.Fatalf("piece %d: have %v, slot %d, available %d; want %v, %v, %d", i, m.k.Have(i), m.k.Slot(i), m.k.Availability(i), m.have[i], m.open[i], m.avail(i))
		}
	}
	if m.k.Wanted() != wanted || m.k.Complete() != (wanted == 0) || m.k.Unrequested() != m.unrequested() || m.k.Endgame() != m.endgame() {
		t.Fatalf("wanted %d, unrequested %d, endgame %v; want %d, %d, %v", m.k.Wanted(), m.k.Unrequested(), m.k.Endgame(), wanted, m.unrequested(), m.endgame())
	}
	for p, h := range m.peers {
		interest, pending := 0, 0
		for i := range m.sizes {
			if h[i] != m.k.PeerHas(p, i) {
				t.Fatalf("peer %d, piece %d: %v", p, i, !h[i])
			}
			if h[i] && m.wanted(i) {
				interest++
			}
		}
		for _, ps := range m.requested {
			if slices.Contains(ps, p) {
				pending++
			}
		}
		if m.k.Interest(p) != interest || m.k.PendingOf(p) != pending {
			t.Fatalf("peer %d: interest %d, pending %d; want %d, %d", p, m.k.Interest(p), m.k.PendingOf(p), interest, pending)
		}
	}
}

// keys returns what a map holds in a fixed order, so that a draw is repeatable.
func sortedBlocks[V any](m map[Block]V) []Block {
	var bs []Block
	for b := range m {
		bs = append(bs, b)
	}
	slices.SortFunc(bs, func(a, b Block) int {
		if a.Piece != b.Piece {
			return int(a.Piece - b.Piece)
		}
		return int(a.Begin - b.Begin)
	})
	return bs
}

func TestAgainstModel(t *testing.T) { rapid.Check(t, checkAgainstModel) }

func checkAgainstModel(t *rapid.T) {
	m := newModel(t)
	n := len(m.sizes)
	peer := func(t *rapid.T) PeerID {
		ps := make([]PeerID, 0, len(m.peers))
		for p := range m.peers {
			ps = append(ps, p)
		}
		if len(ps) == 0 {
			t.Skip("no peers")
		}
		slices.Sort(ps)
		return rapid.SampledFrom(ps).Draw(t, "peer")
	}
	piece := func(t *rapid.T) int { return rapid.IntRange(0, n-1).Draw(t, "piece") }
	one := func(t *rapid.T, bs []Block) Block {
		if len(bs) == 0 {
			t.Skip("no block")
		}
		return rapid.SampledFrom(bs).Draw(t, "block")
	}
	t.Repeat(map[string]func(*rapid.T){
		"": m.compare,
		"join": func(t *rapid.T) {
			p := PeerID(rapid.IntRange(0, 7).Draw(t, "p"))
			if _, here := m.peers[p]; !here && !m.k.Reusable(p) {
				t.Skip("still named")
			}
			h, f, kind := make([]bool, n), bitfield.New(n), rapid.IntRange(0, 3).Draw(t, "kind")
			for i := range n {
				if h[i] = kind == 3 || kind > 0 && rapid.IntRange(0, 3).Draw(t, "has") < kind; h[i] {
					f.Set(i)
				}
			}
			m.k.PeerJoined(p, f)
			m.peers[p] = h
		},
		"have": func(t *rapid.T) {
			p, i := peer(t), piece(t)
			if m.k.PeerHave(p, i) == m.peers[p][i] {
				t.Fatal("have of a piece: wrong answer")
			}
			m.peers[p][i] = true
		},
		"dont have": func(t *rapid.T) {
			p, i := peer(t), piece(t)
			if m.k.PeerDontHave(p, i) != m.peers[p][i] {
				t.Fatal("dont have of a piece: wrong answer")
			}
			m.peers[p][i] = false
		},
		"pick":  func(t *rapid.T) { m.pickAndCheck(t, peer(t)) },
		"pick2": func(t *rapid.T) { m.pickAndCheck(t, peer(t)) },
		"claim": func(t *rapid.T) {
			b := one(t, sortedBlocks(m.requested))
			if len(m.requested[b]) == 0 {
				t.Skip("not outstanding")
			}
			m.claim(t, rapid.SampledFrom(m.requested[b]).Draw(t, "from"), b)
		},
		"claim any": func(t *rapid.T) { m.claim(t, peer(t), one(t, m.blocks(piece(t)))) },
		"arrive": func(t *rapid.T) {
			for _, b := range sortedBlocks(m.claims) {
				if _, ok := m.claims[b]; ok && rapid.IntRange(0, 9).Draw(t, "now") > 0 {
					m.arrive(t, b)
				}
			}
		},
		"arrive all": func(t *rapid.T) {
			for _, b := range sortedBlocks(m.requested) {
				if len(m.requested[b]) > 0 && m.open[int(b.Piece)] {
					if _, busy := m.claims[b]; !busy {
						m.claim(t, m.requested[b][0], b)
						m.arrive(t, b)
					}
				}
			}
		},
		"copy fails": func(t *rapid.T) {
			b := one(t, sortedBlocks(m.claims))
			if !m.k.Abandon(b, m.claims[b]) {
				t.Fatal("claim not abandoned")
			}
			delete(m.claims, b)
			m.closeUnclaimed()
		},
		"abandon": func(t *rapid.T) {
			b, p := one(t, sortedBlocks(m.requested)), peer(t)
			at := slices.Index(m.requested[b], p)
			_, copying := m.claims[b]
			if copying && m.claims[b] == p {
				t.Skip("its claim")
			}
			if m.k.Abandon(b, p) != (at >= 0) {
				t.Fatal("abandon: wrong answer")
			}
			if at >= 0 {
				m.requested[b] = slices.Delete(m.requested[b], at, at+1)
			}
			m.closeUnclaimed()
		},
		"choke": func(t *rapid.T) { m.abandonAll(t, peer(t)) },
		"leave": func(t *rapid.T) { m.leave(t, peer(t)) },
		"bad block": func(t *rapid.T) {
			b := one(t, sortedBlocks(m.senders))
			if p, ok := m.k.BlockFailed(b); !ok || p != m.senders[b] {
				t.Fatalf("bad block of %d: %d %v", m.senders[b], p, ok)
			}
			delete(m.senders, b)
		},
		"priority": func(t *rapid.T) {
			from, prio := piece(t), rapid.IntRange(0, MaxPriority).Draw(t, "priority")
			to := rapid.IntRange(from, n).Draw(t, "to")
			m.k.SetPriority(from, to, prio)
			for i := from; i < to; i++ {
				m.prio[i] = prio
			}
		},
		"lost": func(t *rapid.T) {
			i := piece(t)
			m.k.Lost(i)
			m.have[i] = false
		},
		"urgent": func(t *rapid.T) {
			ask := rapid.SliceOfN(rapid.IntRange(0, n-1), 0, 4).Draw(t, "urgent")
			m.k.SetUrgent(ask)
			m.urgent = nil
			for _, i := range ask {
				if m.wanted(i) && !slices.Contains(m.urgent, i) {
					m.urgent = append(m.urgent, i)
				}
			}
		},
		"check": func(t *rapid.T) {
			i := piece(t)
			m.k.Verified(i)
			m.setVerified(i)
			m.forget(i)
		},
		"resume": func(t *rapid.T) {
			if rapid.IntRange(0, 9).Draw(t, "really") > 0 {
				t.Skip("rarely")
			}
			f := bitfield.New(n)
			for i := range n {
				m.forget(i)
				if m.have[i] = rapid.Bool().Draw(t, "have"); m.have[i] {
					m.setVerified(i)
					f.Set(i)
				}
			}
			m.k.SetHave(f)
		},
		"evict": func(t *rapid.T) {
			p := peer(t)
			if i, ok := m.k.Evict(p); ok {
				if m.prio[i] > 0 && m.peers[p][i] {
					t.Fatalf("evicted %d, which the peer has", i)
				}
				for _, b := range m.blocks(i) {
					if _, copying := m.claims[b]; copying || len(m.requested[b]) > 0 {
						t.Fatalf("evicted %d with %v outstanding", i, b)
					}
				}
				m.forget(i)
			}
		},
	})
}
