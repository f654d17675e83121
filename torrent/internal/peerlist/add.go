package peerlist

import (
	"net/netip"
	"time"

	"spate"
)

// Add adds addresses from a source and returns how many were new. It ignores addresses that
// are not usable (see [List.Usable]) or are banned. A known address keeps its failures, and
// gets the better of its two sources. It gets it before new addresses of the same call replace
// candidates of a full list.
func (l *List) Add(addrs []netip.AddrPort, src Source) int {
	for _, a := range addrs {
		if c := l.find(a); c != nil && src > c.source && l.accepts(c.addr, src) {
			l.counted(c, -1)
			c.source = src
			l.counted(c, 1)
		}
	}
	n := 0
	l.worst.at = l.worst.at[:0]
	for _, a := range addrs {
		a = spate.CanonicalAddr(a)
		if _, known := l.index[a]; known || !l.accepts(a, src) {
			continue
		}
		if l.addNew(candidate{addr: a, source: src, prio: l.priority(a)}) {
			n++
		}
	}
	if n > 0 {
		l.notBefore = time.Time{}
	}
	return n
}

// accepts reports whether a from src can be a candidate now.
func (l *List) accepts(a netip.AddrPort, src Source) bool {
	return l.Usable(a, src) && !l.Banned(a) && (l.opt.Blocked == nil || !l.opt.Blocked(a.Addr())) && (src != SourceLSD || l.local < max(1, l.opt.Max/localShare))
}

// addNew adds a candidate. If the list is full, the candidate replaces the worst idle one, or
// is not added if that one is better.
func (l *List) addNew(c candidate) bool {
	if len(l.all) < l.opt.Max {
		l.found[c.source]++
		l.index[c.addr] = len(l.all)
		l.all = append(l.all, c)
		l.counted(&c, 1)
		return true
	}
	if len(l.worst.at) == 0 {
		l.worst.fill(l.all)
	}
	if len(l.worst.at) == 0 || !l.worst.before(&c, &l.all[l.worst.at[0]]) {
		return false
	}
	l.found[c.source]++
	i := int(l.worst.at[0])
	delete(l.index, l.all[i].addr)
	l.counted(&l.all[i], -1)
	l.all[i], l.index[c.addr] = c, i
	l.counted(&c, 1)
	l.worst.down(l.all, 0)
	return true
}

// worstFirst is a heap of the idle candidates of a full list, the worst one first. One call of
// Add makes it and uses it for all its addresses, so that the call does not look at the whole
// list for each address: other peers choose how many there are.
type worstFirst struct {
	at          []int32 // indices in List.all
	comparisons int     // for tests
}

// fill makes the heap. It takes all candidates that are idle.
func (w *worstFirst) fill(all []candidate) {
	for i := range all {
		if all[i].state == idle {
			w.at = append(w.at, int32(i))
		}
	}
	for k := len(w.at)/2 - 1; k >= 0; k-- {
		w.down(all, k)
	}
}

// down moves entry k behind all entries that are worse.
func (w *worstFirst) down(all []candidate, k int) {
	for {
		child := 2*k + 1
		if child >= len(w.at) {
			return
		}
		if right := child + 1; right < len(w.at) && w.before(&all[w.at[child]], &all[w.at[right]]) {
			child = right
		}
		if !w.before(&all[w.at[k]], &all[w.at[child]]) {
			return
		}
		w.at[k], w.at[child] = w.at[child], w.at[k]
		k = child
	}
}

// before counts and compares.
func (w *worstFirst) before(c, d *candidate) bool {
	w.comparisons++
	return c.before(d)
}
