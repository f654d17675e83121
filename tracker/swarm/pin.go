package swarm

import (
	"bytes"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"spate"
)

// maxPins is the maximum number of pinned origins of one swarm.
const maxPins = 16

// ErrPins is returned by [Table.Pin] if there are too many origins, or too many
// different sets of origins in the table.
var ErrPins = errors.New("swarm table: too many pinned origins")

// pinSet is a set of pinned origins, which many swarms can share. It is immutable.
type pinSet struct {
	v4, v6 []byte
	public *pinSet // the addresses that are not private, link-local or loopback
}

// newPinSet returns the set of compact addresses.
func newPinSet(v4, v6 []byte) *pinSet {
	all, public := &pinSet{v4: v4, v6: v6}, &pinSet{}
	for a := range slices.Chunk(v4, 6) {
		if !isLocal(netip.AddrFrom4([4]byte(a[:4]))) {
			public.v4 = append(public.v4, a...)
		}
	}
	for a := range slices.Chunk(v6, 18) {
		if !isLocal(netip.AddrFrom16([16]byte(a[:16]))) {
			public.v6 = append(public.v6, a...)
		}
	}
	all.public = public
	return all
}

// isLocal reports whether an address means something in one network only.
func isLocal(a netip.Addr) bool { return a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() }

// toldTo returns the origins that a peer at an address is told. Private ones are only told to a peer of
// a private network, and to a peer that has the same public address as an origin, because it is
// probably behind the same router. For others they are of no use and say what this network is like.
func (p *pinSet) toldTo(at netip.Addr) *pinSet {
	if at = at.Unmap(); isLocal(at) || p.public.n() == p.n() {
		return p
	}
	for a := range slices.Chunk(p.public.v4, 6) {
		if netip.AddrFrom4([4]byte(a[:4])) == at {
			return p
		}
	}
	for a := range slices.Chunk(p.public.v6, 18) {
		if netip.AddrFrom16([16]byte(a[:16])) == at {
			return p
		}
	}
	return p.public
}

// pinSets holds all sets that were ever pinned. Records refer to sets by number. Set 0
// is empty.
type pinSets struct {
	mu   sync.Mutex
	all  atomic.Pointer[[]*pinSet]
	byID map[string]uint16
}

func (p *pinSets) init() {
	p.all.Store(&[]*pinSet{newPinSet(nil, nil)})
	p.byID = map[string]uint16{"|": 0}
}

// number returns the number of the set of addrs.
func (p *pinSets) number(addrs []netip.AddrPort) (uint16, error) {
	set := &pinSet{}
	for _, ap := range addrs {
		var b [18]byte
		w := spate.AppendCompact(b[:0], spate.CanonicalAddr(ap))
		if len(w) == 0 || ap.Port() == 0 {
			return 0, ErrAddr
		}
		if set.has(w) {
			continue
		}
		if len(w) == 6 {
			set.v4 = append(set.v4, w...)
		} else {
			set.v6 = append(set.v6, w...)
		}
	}
	if set.n() > maxPins {
		return 0, ErrPins
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	key := string(set.v4) + "|" + string(set.v6)
	if no, ok := p.byID[key]; ok {
		return no, nil
	}
	all := *p.all.Load()
	if len(all) > 1<<16-1 {
		return 0, ErrPins
	}
	no := uint16(len(all))
	all = append(all[:len(all):len(all)], newPinSet(set.v4, set.v6))
	p.all.Store(&all)
	p.byID[key] = no
	return no, nil
}

func (p *pinSet) n() int { return len(p.v4)/6 + len(p.v6)/18 }

// seeds returns how many seeds the addresses count as: an IPv4 and an IPv6 address are
// assumed to belong to the same seed.
func (p *pinSet) seeds() int { return max(len(p.v4)/6, len(p.v6)/18) }

// has reports whether the compact address a is in the set.
func (p *pinSet) has(a []byte) bool {
	list := p.v4
	if len(a) == 18 {
		list = p.v6
	}
	for ; len(list) > 0; list = list[len(a):] {
		if bytes.Equal(list[:len(a)], a) {
			return true
		}
	}
	return false
}

// appendTo appends at most want of the addresses to the reply, and returns how many.
func (p *pinSet) appendTo(r *Request, rep *Reply, want int) int {
	given := 0
	if r.Want4 {
		n := min(want, len(p.v4)/6)
		rep.Peers4 = append(rep.Peers4, p.v4[:n*6]...)
		given += n
	}
	if r.Want6 {
		n := min(want-given, len(p.v6)/18)
		rep.Peers6 = append(rep.Peers6, p.v6[:n*18]...)
		given += n
	}
	return given
}

func (t *Table) pinSet(rec record) *pinSet { return (*t.pins.all.Load())[rec.pin()] }

// setPin changes the set of a record and updates the totals.
func (s *shard) setPin(rec record, no uint16) {
	was := rec.idle()
	s.pinned -= s.t.pinSet(rec).seeds()
	rec.setPin(no)
	s.pinned += s.t.pinSet(rec).seeds()
	if is := rec.idle(); was && !is {
		s.active++
	} else if is && !was {
		s.active--
	}
}

// getOrCreate returns the record of a swarm that will be protected, and creates it if
// needed.
func (s *shard) getOrCreate(ih *spate.InfoHash, h uint64, sec uint32) (uint32, error) {
	ri, ok := s.lookup(ih, h)
	if ok {
		return ri, nil
	}
	if !s.reserveSwarm(sec, true) {
		return 0, ErrFull
	}
	ri = s.create(ih, h)
	s.record(ri).setTouched(sec)
	return ri, nil
}

// Protect marks the swarm of ih as protected, because it was published here. The swarm
// is kept even without peers, and neither it nor its peers are evicted for unprotected
// swarms. The error is [ErrFull] if there is no space and all swarms are protected.
func (t *Table) Protect(ih spate.InfoHash) error {
	s, h := t.shard(&ih)
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.protect(&ih, h)
	return err
}

func (s *shard) protect(ih *spate.InfoHash, h uint64) (record, error) {
	ri, err := s.getOrCreate(ih, h, s.t.lastSec.Load())
	if err != nil {
		return nil, err
	}
	rec := s.record(ri)
	if !rec.has(flagProtected) {
		rec.set(flagProtected)
		s.protected++
	}
	return rec, nil
}

// Unprotect undoes [Table.Protect] and [Table.Pin]. The peers stay until they expire,
// and the completion counter for another month, unless their space is needed.
func (t *Table) Unprotect(ih spate.InfoHash) {
	s, h := t.shard(&ih)
	s.mu.Lock()
	defer s.mu.Unlock()
	ri, ok := s.lookup(&ih, h)
	if !ok {
		return
	}
	rec := s.record(ri)
	if rec.has(flagProtected) {
		rec.unset(flagProtected)
		s.protected--
	}
	s.setPin(rec, 0)
	if rec.forgettable() {
		s.forget(ri)
	}
}

// Pin makes addrs, up to 16 addresses, the origins of the swarm of ih. They are in
// every reply to a leecher although they do not announce, and count as seeds, where an
// IPv4 and an IPv6 address count as one. Pin replaces earlier origins and protects the
// swarm. The errors are [ErrFull], [ErrPins] and [ErrAddr].
func (t *Table) Pin(ih spate.InfoHash, addrs ...netip.AddrPort) error {
	no, err := t.pins.number(addrs)
	if err != nil {
		return err
	}
	s, h := t.shard(&ih)
	s.mu.Lock()
	defer s.mu.Unlock()
	rec, err := s.protect(&ih, h)
	if err != nil {
		return err
	}
	s.setPin(rec, no)
	ri, _ := s.lookup(&ih, h)
	set := t.pinSet(rec)
	for p := set.v4; len(p) > 0; p = p[6:] {
		s.removeAddr(ri, leech4, p[:6])
	}
	for p := set.v6; len(p) > 0; p = p[18:] {
		s.removeAddr(ri, leech6, p[:18])
	}
	return nil
}

// removeAddr removes the address a from list and from the list of seeds of the same
// family.
func (s *shard) removeAddr(ri uint32, list int, a []byte) {
	rec := s.record(ri)
	for _, l := range [2]int{list, list | listSeed} {
		bucket := s.bucketOf(rec, l, a)
		b := s.block(rec, l, bucket)
		if at, _, _ := b.find(a, 0); at >= 0 {
			s.removeAt(ri, l, bucket, at)
		}
	}
}

// Unpin removes the origins of a swarm, which stays protected.
func (t *Table) Unpin(ih spate.InfoHash) {
	s, h := t.shard(&ih)
	s.mu.Lock()
	defer s.mu.Unlock()
	if ri, ok := s.lookup(&ih, h); ok {
		s.setPin(s.record(ri), 0)
	}
}

// Drop removes the swarm of ih with its peers and counters.
func (t *Table) Drop(ih spate.InfoHash) {
	s, h := t.shard(&ih)
	s.mu.Lock()
	defer s.mu.Unlock()
	if ri, ok := s.lookup(&ih, h); ok {
		s.forget(ri)
	}
}

// SetCompleted raises the completion counter of a swarm to n if it is lower. It creates
// the swarm if needed. The error is [ErrFull].
func (t *Table) SetCompleted(ih spate.InfoHash, n uint32) error {
	s, h := t.shard(&ih)
	s.mu.Lock()
	defer s.mu.Unlock()
	ri, err := s.getOrCreate(&ih, h, t.lastSec.Load())
	if err != nil {
		return err
	}
	rec := s.record(ri)
	if have := rec.completed(); n > have {
		s.completed += uint64(n - have)
		rec.setCompleted(n)
	}
	if rec.forgettable() {
		s.forget(ri)
	}
	return nil
}
