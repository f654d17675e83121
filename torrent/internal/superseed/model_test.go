package superseed

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"spate/bitfield"
	"spate/torrent/internal/picker"
)

const (
	block     = picker.BlockSize
	mostPeers = 6
)

// modelPeer is one peer of a model, with a connection that is a list of pieces.
type modelPeer struct {
	hidden  bool // the peer is shown pieces one by one
	know    bitfield.Bitfield
	have    bitfield.Bitfield
	choked  bool
	queue   []uint32 // the pieces of the blocks that the peer requested and did not get
	unacked int
	waits   bool // Show asked for a retry
	ready   bool
}

// model is a seed with peers, and the rules that hold after every event.
type model struct {
	t     *rapid.T
	n     int // number of pieces; each has two blocks
	s     *Seed
	pick  *picker.Picker
	peers map[picker.PeerID]*modelPeer
	now   time.Time
	other bool // another seed was seen
}

func newModel(t *rapid.T) *model {
	n := rapid.IntRange(1, 40).Draw(t, "pieces")
	m := &model{
		t: t, n: n, peers: map[picker.PeerID]*modelPeer{}, now: time.Unix(1e9, 0),
	}
	var err error
	if m.pick, err = picker.New(picker.Config{NumPieces: n, PieceSize: func(int) int { return 2 * block }}); err != nil {
		t.Fatal(err)
	}
	m.s = New(Pieces{Num: n, Length: 2 * block, Size: func(int) int64 { return 2 * block }})
	m.s.SetSwarm(m.pick)
	for range 4 {
		m.join(t)
	}
	return m
}

// show calls Show for a peer, checks the result, and sends the peer the have messages.
func (m *model) show(id picker.PeerID) {
	p := m.peers[id]
	unacked := func() (int, bool) { return p.unacked, true }
	l := Link{Choked: p.choked, Queued: len(p.queue), Unacked: unacked}
	pieces, retry := m.s.Show(id, l, m.now)
	if len(pieces) > 0 && !m.s.Hides(id) {
		m.t.Fatalf("peer %d was told of all pieces and is shown %v", id, pieces)
	}
	m.tell(id, pieces)
	p.waits = p.waits || retry > 0
	if p.waits && retry > lastRetry {
		m.t.Fatalf("retry after %v", retry)
	}
	if !m.s.Hides(id) || !p.ready || !m.s.peer(id).choking.IsZero() {
		return
	}
	if len(m.s.peer(id).open) > 0 || p.know.Count() == m.n {
		return
	}
	if p.choked {
		m.t.Fatalf("peer %d is choked, lacks pieces, and is shown none", id)
	}
	if len(p.queue) == 0 && p.unacked == 0 {
		m.t.Fatalf("peer %d has received everything, lacks pieces, and is shown none", id)
	}
}

func (m *model) tell(id picker.PeerID, pieces []uint32) {
	p := m.peers[id]
	for _, piece := range pieces {
		if p.know.Get(int(piece)) {
			m.t.Fatalf("peer %d is told of piece %d, which it knows of or has", id, piece)
		}
		p.know.Set(int(piece))
	}
}

// has gives the peer a piece.
func (m *model) has(id picker.PeerID, piece uint32) {
	if !m.pick.PeerHave(id, int(piece)) {
		return
	}
	m.peers[id].have.Set(int(piece))
	m.peers[id].know.Set(int(piece))
	if m.s.Has(id, piece, m.now) {
		m.choke(id)
	}
	m.show(id)
}

func (m *model) choke(id picker.PeerID) {
	m.peers[id].choked, m.peers[id].queue = true, nil
	m.s.Choked(id)
}

// peer draws a peer that has joined; it skips the action if there is none.
func (m *model) peer() (picker.PeerID, *modelPeer) {
	ids := make([]picker.PeerID, 0, len(m.peers))
	for id := range m.peers {
		ids = append(ids, id)
	}
	if len(ids) == 0 {
		m.t.Skip()
	}
	slices.Sort(ids)
	id := rapid.SampledFrom(ids).Draw(m.t, "peer")
	return id, m.peers[id]
}

func (m *model) join(*rapid.T) {
	id := picker.PeerID(0)
	for m.peers[id] != nil {
		id++
	}
	if id == mostPeers {
		m.t.Skip()
	}
	p := &modelPeer{know: bitfield.New(m.n), have: bitfield.New(m.n), choked: true}
	m.pick.PeerJoined(id, bitfield.New(m.n))
	p.hidden = m.s.Join(Joining{ID: id, Connected: m.now, Complete: true}, m.now)
	if want := !m.other; p.hidden != want {
		m.t.Fatalf("pieces are hidden: %v", p.hidden)
	}
	if !p.hidden {
		p.know.SetAll()
	}
	m.peers[id] = p
}

func (m *model) leave(*rapid.T) {
	id, _ := m.peer()
	m.s.Leave(id)
	m.pick.PeerLeft(id)
	delete(m.peers, id)
}

func (m *model) sayReady(*rapid.T) {
	id, p := m.peer()
	p.ready = true
	m.s.Ready(id)
	m.show(id)
}

func (m *model) unchoke(*rapid.T) {
	id, p := m.peer()
	if !p.choked {
		m.s.KeepUnchoked(id)
		return
	}
	p.choked = false
	m.s.Unchoked(id, m.now)
	m.show(id)
}

func (m *model) chokeSoon(*rapid.T) {
	if id, p := m.peer(); !p.choked && !m.s.Finishing(id, m.now) {
		m.choke(id)
	}
}

func (m *model) request(*rapid.T) {
	id, p := m.peer()
	piece := uint32(rapid.IntRange(0, m.n-1).Draw(m.t, "piece"))
	if p.choked {
		m.t.Skip()
	}
	known := p.know.Get(int(piece))
	if ok := m.s.Request(id, piece, block, m.now); ok != (known || !m.s.Hides(id)) && !p.have.Get(int(piece)) {
		m.t.Fatalf("peer %d, which knows of piece %d: %v, may ask for it: %v", id, piece, known, ok)
	} else if ok {
		p.queue = append(p.queue, piece)
	}
}

// requestAll requests every piece that the peer was shown and lacks.
func (m *model) requestAll(*rapid.T) {
	id, p := m.peer()
	if p.choked {
		m.t.Skip()
	}
	for piece := range p.know.Ones() {
		if p.have.Get(piece) || slices.Contains(p.queue, uint32(piece)) {
			continue
		}
		for range 2 {
			if !m.s.Request(id, uint32(piece), block, m.now) {
				m.t.Fatalf("peer %d may not ask for piece %d", id, piece)
			}
			p.queue = append(p.queue, uint32(piece))
		}
	}
}

func (m *model) cancel(*rapid.T) {
	id, p := m.peer()
	if len(p.queue) == 0 {
		m.t.Skip()
	}
	m.s.Cancel(id, p.queue[0], block)
	p.queue = p.queue[1:]
}

func (m *model) write(*rapid.T) {
	id, p := m.peer()
	if len(p.queue) == 0 {
		m.t.Skip()
	}
	for n := rapid.IntRange(1, 20).Draw(m.t, "blocks"); n > 0 && len(p.queue) > 0; n-- {
		m.writeOne(id, p)
	}
}

func (m *model) writeOne(id picker.PeerID, p *modelPeer) {
	piece := p.queue[0]
	p.queue = p.queue[1:]
	m.s.Writing(id, 1)
	m.show(id)
	m.s.Writing(id, 0)
	p.unacked++
	if m.s.Written(id, piece, block) {
		m.has(id, piece)
	}
	if len(p.queue) == 0 && !p.choked {
		m.s.Drained(id, 1e6)
		m.show(id)
	}
}

func (m *model) acknowledge(*rapid.T) {
	id, p := m.peer()
	p.unacked = 0
	if p.waits {
		p.waits = false
		m.s.Retry(id)
		m.show(id)
	}
}

func (m *model) announce(*rapid.T) {
	id, _ := m.peer()
	m.has(id, uint32(rapid.IntRange(0, m.n-1).Draw(m.t, "piece")))
}

func (m *model) otherSeed(*rapid.T) {
	if rapid.IntRange(0, 9).Draw(m.t, "seen") > 0 {
		m.t.Skip()
	}
	m.other = true
	m.s.OtherSeed(m.now)
}

func (m *model) tick(*rapid.T) {
	m.now = m.now.Add(time.Second)
	still := m.now.Sub(m.s.movedAt) >= stillWait
	m.s.Tick(len(m.peers), true, m.now)
	for id := range picker.PeerID(mostPeers) {
		p := m.peers[id]
		if p == nil {
			continue
		}
		p.ready = p.ready || m.s.Hides(id) && m.s.peer(id).ready
		if still && p.hidden {
			p.know = p.have.Clone() // it is told again of the pieces that it was shown
		}
		m.show(id)
		m.tell(id, m.s.Rest(id))
		if !p.ready && m.s.Hides(id) {
			m.t.Fatalf("peer %d is still not ready after a second", id)
		}
		if p.hidden && !m.s.Hides(id) {
			p.hidden = false
			if p.know.Count() < m.n {
				m.t.Fatalf("peer %d is not told of all pieces after super-seeding: it knows of %d of %d", id, p.know.Count(), m.n)
			}
		}
	}
}

// check compares the count of each piece with the records of the peers.
func (m *model) check(*rapid.T) {
	want := make([]uint16, m.n)
	for id, p := range m.s.peers {
		if p == nil {
			continue
		}
		if len(p.open) > maxShown {
			m.t.Fatalf("%d pieces are shown to peer %d", len(p.open), id)
		}
		for _, w := range p.open {
			want[w.piece]++
			if w.expected {
				want[w.piece] += expected
			}
			if m.pick.PeerHas(picker.PeerID(id), int(w.piece)) {
				m.t.Fatalf("piece %d counts as missing at peer %d", w.piece, id)
			}
		}
	}
	if m.s.shown != nil && !slices.Equal(m.s.shown, want) {
		m.t.Fatalf("counts are %v, want %v", m.s.shown, want)
	}
}

// TestRandomEventsKeepTheRules checks the rules of the package with random events: a peer
// is never told of a piece twice, an unchoked peer that has received everything is always
// shown another piece, a choked peer is shown one piece, and after super-seeding each peer
// is told of all pieces.
func TestRandomEventsKeepTheRules(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		m := newModel(rt)
		rt.Repeat(map[string]func(*rapid.T){
			"join": m.join, "leave": m.leave, "ready": m.sayReady, "choke": m.chokeSoon, "unchoke": m.unchoke,
			"request": m.request, "request all": m.requestAll, "cancel": m.cancel, "write": m.write, "acknowledge": m.acknowledge,
			"announce": m.announce, "other seed": m.otherSeed, "tick": m.tick, "": m.check,
		})
	})
}
