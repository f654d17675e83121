package trackerstats

import (
	"cmp"
	"encoding/binary"
	"hash/maphash"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"spate"
)

// clientMark returns the part of a peer id that names a program and its version, as a
// number. It returns 0 for an id that follows no known style, because its bytes may be
// random.
func clientMark(id *spate.PeerID) uint64 {
	switch {
	case id[0] == '-' && id[7] == '-': // -TR4050-, the style of Azureus (BEP 20)
	case id[2] == '-' && alnum(id[0]) && alnum(id[1]): // M7-10-5--, A2-1-36-0-
	case alnum(id[0]) && id[5] == '-' && id[6] == '-' && id[7] == '-': // T03I-----, the style of Shadow (BEP 20)
	default:
		return 0
	}
	for _, c := range id[:8] {
		if c < 0x21 || c > 0x7e {
			return 0
		}
	}
	return binary.BigEndian.Uint64(id[:8])
}

func alnum(c byte) bool { return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' }

// clientName returns the program of a mark and its version. Mark 0 gives "other".
func clientName(mark uint64) (program, version string) {
	if mark == 0 {
		return "other", ""
	}
	var id spate.PeerID
	for i := range id {
		id[i] = '-'
	}
	binary.BigEndian.PutUint64(id[:], mark)
	if id[0] == 'A' && id[1] == '2' { // aria2
		return "aria2", strings.ReplaceAll(strings.Trim(string(id[2:8]), "-"), "-", ".")
	}
	program = id.Client()
	if i := strings.LastIndexByte(program, ' '); i >= 0 { // names have spaces, versions have none
		program, version = program[:i], program[i+1:]
	}
	return program, version
}

// clientSlots limits the number of marks that are counted separately.
const clientSlots = 2048

// peerBits is the number of bits in which a window marks the peers that it has counted, by a hash of
// the peer. Two peers with one bit are counted as one: of 100,000 peers 2 % are not counted, and of a
// million 21 %, of every client alike.
const peerBits = 1 << 21

// clientWindow counts peers by the mark of their client, without locks and in
// memory of fixed size (280 KiB). Marks that find no slot are counted as others.
type clientWindow struct {
	seen   [peerBits / 32]atomic.Uint32
	marks  [clientSlots]atomic.Uint64
	counts [clientSlots]atomic.Int32
	others atomic.Int32
}

// see marks the peer with a hash, and reports whether it was not marked before.
func (w *clientWindow) see(hash uint64) bool {
	bit := hash % peerBits
	mask := uint32(1) << (bit % 32)
	return w.seen[bit/32].Load()&mask == 0 && w.seen[bit/32].Or(mask)&mask == 0
}

// has reports whether a peer with the hash is marked.
func (w *clientWindow) has(hash uint64) bool {
	bit := hash % peerBits
	return w.seen[bit/32].Load()&(1<<(bit%32)) != 0
}

// counter returns the number of peers with a mark, or of all others if there is no slot for it.
func (w *clientWindow) counter(mark uint64) *atomic.Int32 {
	if mark == 0 {
		return &w.others
	}
	h := mark * 0x9e3779b97f4a7c15
	for i := h >> 32; i < h>>32+8; i++ {
		slot := i % clientSlots
		m := w.marks[slot].Load()
		if m == 0 && w.marks[slot].CompareAndSwap(0, mark) {
			m = mark
		} else if m == 0 {
			m = w.marks[slot].Load()
		}
		if m == mark {
			return &w.counts[slot]
		}
	}
	return &w.others
}

// clientCounts counts the peers that announced in the last one to two announce intervals, each once:
// a client counts the same whether it has been running for an hour or a month, and whether it
// announces every half an hour over HTTP or every two minutes over WebSocket.
type clientCounts struct {
	seed              maphash.Seed
	current, previous atomic.Pointer[clientWindow]
	started           atomic.Int64 // when current started, in seconds since 1970
}

// countedPeer is a peer of a release, or of a torrent that belongs to none.
type countedPeer struct {
	id      spate.PeerID
	torrent spate.InfoHash
}

func newClientCounts(now time.Time) *clientCounts {
	c := &clientCounts{seed: maphash.MakeSeed()}
	c.current.Store(new(clientWindow))
	c.previous.Store(new(clientWindow))
	c.started.Store(now.Unix())
	return c
}

// add counts a peer unless it is counted.
func (c *clientCounts) add(p countedPeer) {
	w := c.current.Load()
	hash := maphash.Comparable(c.seed, p)
	if !w.see(hash) {
		return
	}
	mark := clientMark(&p.id)
	w.counter(mark).Add(1)
	if old := c.previous.Load(); old.has(hash) {
		old.counter(mark).Add(-1)
	}
}

// advance starts a new window if the current one is as old as an interval.
func (c *clientCounts) advance(now time.Time, interval time.Duration) {
	started := c.started.Load()
	if now.Unix()-started >= int64(interval/time.Second) && c.started.CompareAndSwap(started, now.Unix()) {
		c.previous.Store(c.current.Swap(new(clientWindow)))
	}
}

// ClientShare is the share of one program in the peers that announced lately.
type ClientShare struct {
	Name  string  `json:"name"`  // "other" stands for all unknown programs
	Peers uint64  `json:"peers"` // approximate, and too low if there are more than 100,000
	Share float64 `json:"share"` // share of all such peers, from 0 to 1
	// Versions are the peers by version.
	Versions map[string]uint64 `json:"versions,omitempty"`
}

// shares returns the programs that announced in the last one to two intervals, sorted
// by peers in decreasing order. Unknown programs are last.
func (c *clientCounts) shares() []ClientShare {
	by := map[string]*ClientShare{}
	all := uint64(0)
	add := func(mark uint64, n int32) {
		if n <= 0 {
			return
		}
		name, version := clientName(mark)
		s := by[name]
		if s == nil {
			s = &ClientShare{Name: name, Versions: map[string]uint64{}}
			by[name] = s
		}
		s.Peers += uint64(n)
		if version != "" {
			s.Versions[version] += uint64(n)
		}
		all += uint64(n)
	}
	for _, w := range []*clientWindow{c.current.Load(), c.previous.Load()} {
		for i := range w.marks {
			add(w.marks[i].Load(), w.counts[i].Load())
		}
		add(0, w.others.Load())
	}
	list := make([]ClientShare, 0, len(by))
	for _, s := range by {
		s.Share = float64(s.Peers) / float64(all)
		list = append(list, *s)
	}
	slices.SortFunc(list, func(a, b ClientShare) int {
		if (a.Name == "other") != (b.Name == "other") {
			if a.Name == "other" {
				return 1
			}
			return -1
		}
		return cmp.Or(cmp.Compare(b.Peers, a.Peers), cmp.Compare(a.Name, b.Name))
	})
	return list
}
