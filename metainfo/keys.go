package metainfo

import (
	"hash/maphash"

	"spate/bencode"
)

// keySet finds equal keys of one dictionary. It is used again for the next one
// without being cleared: what has an older round is not there.
type keySet struct {
	seed  maphash.Seed
	round uint32
	slots []keySlot // a power of two, at least twice maxKeys
}

type keySlot struct {
	round uint32
	hash  uint32
	key   []byte
}

// start forgets all keys.
func (s *keySet) start() {
	if s.slots == nil {
		s.seed = maphash.MakeSeed()
		s.slots = make([]keySlot, 2*maxKeys)
	}
	s.round++
}

// add reports whether key is new. At most maxKeys may be added.
func (s *keySet) add(key []byte) bool {
	h := maphash.Bytes(s.seed, key)
	for k := h; ; k++ {
		slot := &s.slots[k%uint64(len(s.slots))]
		if slot.round != s.round {
			*slot = keySlot{s.round, uint32(h >> 32), key}
			return true
		}
		if slot.hash == uint32(h>>32) && string(slot.key) == string(key) {
			return false
		}
	}
}

// takeOrder judges what the decoder noted about the order of keys since the last
// call, and reports whether they were out of order. Twice the same key is
// refused, for programs disagree about which of them counts.
func (p *parser) takeOrder(field string) (shuffled bool) {
	if dup := p.d.Duplicate(); dup >= 0 {
		p.fail(field, dup, "a key is there twice")
	}
	off := p.d.Unsorted()
	if off < 0 {
		return false
	}
	if p.info.unsorted < 0 {
		p.info.unsorted = off
	}
	p.d.ForgetOrder()
	return true
}

// uniqueKeys looks for equal keys in a dictionary whose keys are out of order.
// The dictionary at off was read before.
func (p *parser) uniqueKeys(field string, off int) {
	p.uniqueIn(p.at(off), field, off)
}

// uniqueIn reads the dictionary that is next for d, whose input starts at off.
func (p *parser) uniqueIn(d *bencode.Decoder, field string, off int) {
	p.keys.start()
	n := 0
	for key := range d.Dict {
		n++
		if n > maxKeys {
			p.limit(field, off, "more than %d keys, and not sorted", maxKeys)
			return
		}
		if !p.keys.add(key) {
			p.fail(field, off+d.Offset(), "a key is there twice")
			return
		}
	}
}

// at returns a decoder of the value at offset off, which was checked before.
func (p *parser) at(off int) *bencode.Decoder {
	// The same limits as the first time: what passed then passes again.
	return bencode.NewDecoder(p.b[off:], bencode.Options{Tokens: p.o.Limits.Tokens, Depth: p.o.Limits.Nesting})
}
