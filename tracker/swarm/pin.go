package swarm

import (
	"bytes"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"

	"spate"
)

// maxPins is the most pinned origins of one swarm.
const maxPins = 16

// ErrPins says that a swarm was given too many pinned origins, or the table too
// many different sets of them.
var ErrPins = errors.New("swarm table: too many pinned origins")

// pinSet is the origins of one or, mostly, of many swarms. It never changes.
type pinSet struct{ v4, v6 []byte }

// pinSets are all sets that were ever pinned; a record has the number of one.
// Set 0 is empty.
type pinSets struct {
	mu   sync.Mutex
	all  atomic.Pointer[[]*pinSet]
	byID map[string]uint16
}

func (p *pinSets) init() {
	p.all.Store(&[]*pinSet{{}})
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
	all = append(all[:len(all):len(all)], set)
	p.all.Store(&all)
	p.byID[key] = no
	return no, nil
}

func (p *pinSet) n() int { return len(p.v4)/6 + len(p.v6)/18 }

// seeds is how many machines the addresses are taken for: one with addresses of
// both families is one seed.
func (p *pinSet) seeds() int { return max(len(p.v4)/6, len(p.v6)/18) }

// has reports whether the wire address a is in the set.
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

// give appends up to want of the addresses to the reply, and returns how many.
func (p *pinSet) give(r *Request, rep *Reply, want int) int {
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

// setPin changes the set of a record, and the sums.
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

// known returns the record of ih, made if need be, for a swarm that is
// protected.
func (s *shard) known(ih *spate.InfoHash, h uint64, sec uint32) (uint32, error) {
	ri, ok := s.lookup(ih, h)
	if ok {
		return ri, nil
	}
	if !s.roomForSwarm(sec, true) {
		return 0, ErrFull
	}
	ri = s.create(ih, h)
	s.record(ri).setTouched(sec)
	return ri, nil
}

// Protect says that the swarm of ih was published here: it is remembered without
// peers too, and neither it nor its peers are evicted for those of swarms that
// are not protected. The error is [ErrFull], where all are protected.
func (t *Table) Protect(ih spate.InfoHash) error {
	s, h := t.shard(&ih)
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.protect(&ih, h)
	return err
}

func (s *shard) protect(ih *spate.InfoHash, h uint64) (record, error) {
	ri, err := s.known(ih, h, s.t.lastSec.Load())
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

// Unprotect takes back [Table.Protect] and [Table.Pin]. Peers stay until they
// expire, counters for a month after that, unless their room is wanted.
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

// Pin makes addrs, up to 16, the origins of the swarm of ih: they are in every
// answer to a leecher, without ever announcing, and count as seeds, where an IPv4
// and an IPv6 address are one machine's. It replaces earlier ones, and protects
// the swarm. The errors are [ErrFull], [ErrPins] and [ErrAddr].
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

// removeAddr takes the address a out of list and its list of seeds.
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

// Unpin takes the origins out of the swarm, which stays protected.
func (t *Table) Unpin(ih spate.InfoHash) {
	s, h := t.shard(&ih)
	s.mu.Lock()
	defer s.mu.Unlock()
	if ri, ok := s.lookup(&ih, h); ok {
		s.setPin(s.record(ri), 0)
	}
}

// Drop forgets the swarm of ih with its peers and counters.
func (t *Table) Drop(ih spate.InfoHash) {
	s, h := t.shard(&ih)
	s.mu.Lock()
	defer s.mu.Unlock()
	if ri, ok := s.lookup(&ih, h); ok {
		s.forget(ri)
	}
}

// SetCompleted raises the completions of a swarm to n where it counts fewer, and
// remembers the swarm for it. The error is [ErrFull].
func (t *Table) SetCompleted(ih spate.InfoHash, n uint32) error {
	s, h := t.shard(&ih)
	s.mu.Lock()
	defer s.mu.Unlock()
	ri, err := s.known(&ih, h, t.lastSec.Load())
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
