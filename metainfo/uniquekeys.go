package metainfo

import (
	"hash/maphash"

	"spate/bencode"
	"spate/internal/units"
)

// keySet finds duplicate keys in a dictionary. It is reused for the next dictionary
// without being cleared: slots of an earlier round count as free.
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

// start removes all keys.
func (s *keySet) start() {
	if s.slots == nil {
		s.seed = maphash.MakeSeed()
		s.slots = make([]keySlot, 2*maxKeys)
	}
	s.round++
}

// add adds key and reports whether it is new. At most maxKeys keys may be added.
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

// takeOrder checks what the decoder has recorded about the order of keys since the last
// call, and reports whether keys were out of order. It rejects duplicate keys, because
// programs disagree about which one counts.
func (p *parser) takeOrder(field string) (shuffled bool) {
	if dup := p.d.Duplicate(); dup >= 0 {
		p.fail(field, dup, "duplicate key")
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

// uniqueKeys checks that the dictionary at off, which was read before and whose keys
// are out of order, has no duplicate keys.
func (p *parser) uniqueKeys(field string, off int) {
	p.uniqueIn(p.at(off), field, off)
}

// uniqueIn is like uniqueKeys for the next value of d, whose input starts at off.
func (p *parser) uniqueIn(d *bencode.Decoder, field string, off int) {
	p.keys.start()
	n := 0
	for key := range d.Dict {
		n++
		if n > maxKeys {
			p.limit(field, off, "more than %s, and not sorted", units.Plural(maxKeys, "key"))
			return
		}
		if !p.keys.add(key) {
			p.fail(field, off+d.Offset(), "duplicate key")
			return
		}
	}
}

// at returns a decoder for the value at offset off, which was read before.
func (p *parser) at(off int) *bencode.Decoder {
	// The number of tokens was limited when the value was read before.
	return bencode.NewDecoder(p.b[off:], bencode.Options{Tokens: len(p.b), Depth: p.o.Limits.Nesting})
}
