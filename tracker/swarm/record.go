package swarm

import (
	"encoding/binary"

	"spate"
)

// The four lists of a swarm. Bit 0 is set for seeds, bit 1 for IPv6.
const (
	leech4 = iota
	seed4
	leech6
	seed6
	numLists

	listSeed = 1
	listSix  = 2
)

// strideOf returns the size in bytes of an address in a list.
func strideOf(list int) int {
	return spate.CompactLen4 + (spate.CompactLen6-spate.CompactLen4)*(list>>1)
}

// entrySize returns the size in bytes of an entry: address, stamp and meta.
func entrySize(list int) int { return strideOf(list) + 4 }

// The meta of an entry: a tag of the identity that made it, whether the entry is the second one of
// a peer (families.go), and whether its completion was counted.
const (
	metaTag     = 1<<14 - 1
	metaSecond  = 1 << 14
	metaCounted = 1 << 15
)

// record is a view of one swarm in the memory of the shard: its info-hash, its counters
// and the references of its lists.
type record []byte

const (
	recHash      = 0
	recCompleted = 20 // uint32
	recRefs      = 24 // 4 uint32, see the constants below
	recCounts    = 40 // 4 uint32: number of entries of each list
	recTouched   = 56 // uint32: time of the last announce in seconds
	recSwept     = 60 // uint16: stamp of the last search for expired entries
	recPin       = 62 // uint16: number of the set of pinned origins; 0 for none
	recSecond    = 64 // 2 uint32: number of entries of leechers and of seeds with metaSecond
	recJoined    = 72 // uint16: minute in which the last peer joined
	recBlocked   = 74 // uint16: minute of the last announce with Request.Blocked
	recSockets   = 76 // 2 uint32: number of leechers and of seeds without an address, see Sockets
	recFlags     = 84
	recInline    = 85 // entries of one small list
	recSize      = recInline + inlineSize

	inlineSize = spate.CompactLen6 + 4
	recsPerSeg = segSize / recSize
)

// The references of a list. All other values are blocks of the arena.
const (
	refNone   = 0
	refInline = 1
	refDir    = 1 << 31 // the other bits are the number of a directory
)

const (
	flagProtected = 1 << iota
	flagInline    // the inline area is in use
	flagBlocked   // recBlocked is set
)

func (r record) hash() *spate.InfoHash { return (*spate.InfoHash)(r[recHash:]) }
func (r record) completed() uint32     { return binary.LittleEndian.Uint32(r[recCompleted:]) }
func (r record) setCompleted(n uint32) { binary.LittleEndian.PutUint32(r[recCompleted:], n) }
func (r record) ref(list int) uint32   { return binary.LittleEndian.Uint32(r[recRefs+4*list:]) }
func (r record) setRef(list int, v uint32) {
	binary.LittleEndian.PutUint32(r[recRefs+4*list:], v)
}
func (r record) n(list int) int { return int(binary.LittleEndian.Uint32(r[recCounts+4*list:])) }
func (r record) setN(list int, n int) {
	binary.LittleEndian.PutUint32(r[recCounts+4*list:], uint32(n))
}
func (r record) touched() uint32     { return binary.LittleEndian.Uint32(r[recTouched:]) }
func (r record) setTouched(s uint32) { binary.LittleEndian.PutUint32(r[recTouched:], s) }
func (r record) swept() uint16       { return binary.LittleEndian.Uint16(r[recSwept:]) }
func (r record) setSwept(s uint16)   { binary.LittleEndian.PutUint16(r[recSwept:], s) }
func (r record) pin() uint16         { return binary.LittleEndian.Uint16(r[recPin:]) }
func (r record) setPin(n uint16)     { binary.LittleEndian.PutUint16(r[recPin:], n) }
func (r record) joined() uint16      { return binary.LittleEndian.Uint16(r[recJoined:]) }
func (r record) setJoined(m uint16)  { binary.LittleEndian.PutUint16(r[recJoined:], m) }
func (r record) blocked() uint16     { return binary.LittleEndian.Uint16(r[recBlocked:]) }
func (r record) setBlocked(m uint16) { binary.LittleEndian.PutUint16(r[recBlocked:], m) }
func (r record) has(flag byte) bool  { return r[recFlags]&flag != 0 }
func (r record) set(flag byte)       { r[recFlags] |= flag }
func (r record) unset(flag byte)     { r[recFlags] &^= flag }
func (r record) second(role int) int { return int(binary.LittleEndian.Uint32(r[recSecond+4*role:])) }
func (r record) setSecond(role, n int) {
	binary.LittleEndian.PutUint32(r[recSecond+4*role:], uint32(n))
}
func (r record) sockets(role int) int { return int(binary.LittleEndian.Uint32(r[recSockets+4*role:])) }
func (r record) setSockets(role int, n uint32) {
	binary.LittleEndian.PutUint32(r[recSockets+4*role:], n)
}
func (r record) anySockets() bool      { return r.sockets(0)|r.sockets(listSeed) != 0 }
func (r record) entries() int          { return r.n(leech4) + r.n(seed4) + r.n(leech6) + r.n(seed6) }
func (r record) peers() int            { return r.entries() + r.sockets(0) + r.sockets(listSeed) }
func (r record) isDir(list int) bool   { return r.ref(list)&refDir != 0 }
func (r record) dirNo(list int) int    { return int(r.ref(list) &^ refDir) }
func (r record) idle() bool            { return r.entries() == 0 && r.pin() == 0 && !r.anySockets() }
func (r record) forgettable() bool     { return r.idle() && !r.has(flagProtected) && r.completed() == 0 }
func (r record) inlineCap(l int) int   { return inlineSize / entrySize(l) }
func (r record) inlineEntries() []byte { return r[recInline : recInline+inlineSize] }

// seeds and leechers return the numbers of peers, also of those without an address. A peer with
// two entries counts as one.
func (r record) seeds() int {
	return r.n(seed4) + r.n(seed6) - r.second(listSeed) + r.sockets(listSeed)
}
func (r record) leechers() int { return r.n(leech4) + r.n(leech6) - r.second(0) + r.sockets(0) }

// untouched returns the number of seconds since the last announce. It is 0 if the clock
// was set back, or if another core has seen a later second.
func (r record) untouched(sec uint32) int { return max(int(int32(sec-r.touched())), 0) }
