package trackerstats

import (
	"cmp"
	"encoding/binary"
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

// clientWindow counts announces by the mark of their client, without locks and in
// memory of fixed size. Marks that find no slot are counted as others.
type clientWindow struct {
	marks  [clientSlots]atomic.Uint64
	counts [clientSlots]atomic.Uint32
	others atomic.Uint32
}

// add counts an announce.
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

// clientCounts counts the announces of the last one to two announce intervals, so that
// a client counts the same whether it has been running for an hour or a month.
type clientCounts struct {
	current, previous atomic.Pointer[clientWindow]
	started           atomic.Int64 // when current started, in seconds since 1970
}

func newClientCounts(now time.Time) *clientCounts {
	c := new(clientCounts)
	c.current.Store(new(clientWindow))
	c.previous.Store(new(clientWindow))
	c.started.Store(now.Unix())
	return c
}

// advance starts a new window if the current one is as old as an interval.
func (c *clientCounts) advance(now time.Time, interval time.Duration) {
	started := c.started.Load()
	if now.Unix()-started >= int64(interval/time.Second) && c.started.CompareAndSwap(started, now.Unix()) {
		c.previous.Store(c.current.Swap(new(clientWindow)))
	}
}

// ClientShare is the share of one program in the announces.
type ClientShare struct {
	Name      string  `json:"name"` // "other" stands for all unknown programs
	Announces uint64  `json:"announces"`
	Share     float64 `json:"share"` // share of all announces, from 0 to 1
	// Versions are the announces by version.
	Versions map[string]uint64 `json:"versions,omitempty"`
}

// shares returns the programs that announced in the last one to two intervals, sorted
// by announces in decreasing order. Unknown programs are last.
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
	for _, w := range []*clientWindow{c.current.Load(), c.previous.Load()} {
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
