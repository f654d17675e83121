package trackerserver

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"spate"
)

// clientMark is the part of a peer id that names a program and its version, as a
// number; 0 for an id that follows no known style, whose bytes may be random.
func clientMark(id *spate.PeerID) uint64 {
	switch {
	case id[0] == '-' && id[7] == '-': // -TR4050-, after Azureus (BEP 20)
	case id[2] == '-' && alnum(id[0]) && alnum(id[1]): // M7-10-5--, A2-1-36-0-
	case alnum(id[0]) && id[5] == '-' && id[6] == '-' && id[7] == '-': // T03I-----, after Shadow
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

// clientName is the program that a mark stands for, and its version.
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
	program, version, _ = strings.Cut(id.Client(), " ")
	return program, version
}

// clientSlots bounds the programs, in all their versions, that are counted apart.
const clientSlots = 2048

// clientWindow counts announces by the mark of their client, without locks and
// in memory that does not grow: marks that find no slot are counted as others.
type clientWindow struct {
	marks  [clientSlots]atomic.Uint64
	counts [clientSlots]atomic.Uint32
	others atomic.Uint32
}

func (w *clientWindow) add(mark uint64) {
	if mark == 0 {
		w.others.Add(1)
		return
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
			w.counts[slot].Add(1)
			return
		}
	}
	w.others.Add(1)
}

// clientCounts counts over a window that moves: who announces once in an interval
// counts alike, however long it runs.
type clientCounts struct {
	now, before atomic.Pointer[clientWindow]
	turned      atomic.Int64 // when the window now began, seconds since 1970
}

func newClientCounts(now time.Time) *clientCounts {
	c := new(clientCounts)
	c.now.Store(new(clientWindow))
	c.before.Store(new(clientWindow))
	c.turned.Store(now.Unix())
	return c
}

// turn begins a new window when the one now is as old as an interval.
func (c *clientCounts) turn(now time.Time, interval time.Duration) {
	if began := c.turned.Load(); now.Unix()-began >= int64(interval/time.Second) && c.turned.CompareAndSwap(began, now.Unix()) {
		c.before.Store(c.now.Swap(new(clientWindow)))
	}
}

// ClientShare is how much of the announces come from one client.
type ClientShare struct {
	Name      string            `json:"name"`
	Announces uint64            `json:"announces"`
	Share     float64           `json:"share"` // of all, 0 to 1
	Versions  map[string]uint64 `json:"versions,omitempty"`
}

// shares returns the programs that announced in the last interval or two, the
// most frequent first; those of no known style are the last, as "other".
func (c *clientCounts) shares() []ClientShare {
	by := map[string]*ClientShare{}
	all := uint64(0)
	add := func(mark uint64, n uint32) {
		if n == 0 {
			return
		}
		name, version := clientName(mark)
		s := by[name]
		if s == nil {
			s = &ClientShare{Name: name, Versions: map[string]uint64{}}
			by[name] = s
		}
		s.Announces += uint64(n)
		if version != "" {
			s.Versions[version] += uint64(n)
		}
		all += uint64(n)
	}
	for _, w := range []*clientWindow{c.now.Load(), c.before.Load()} {
		for i := range w.marks {
			add(w.marks[i].Load(), w.counts[i].Load())
		}
		add(0, w.others.Load())
	}
	list := make([]ClientShare, 0, len(by))
	for _, s := range by {
		s.Share = float64(s.Announces) / float64(all)
		list = append(list, *s)
	}
	slices.SortFunc(list, func(a, b ClientShare) int {
		if (a.Name == "other") != (b.Name == "other") {
			if a.Name == "other" {
				return 1
			}
			return -1
		}
		return cmp.Or(cmp.Compare(b.Announces, a.Announces), cmp.Compare(a.Name, b.Name))
	})
	return list
}
