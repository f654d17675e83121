package limit

import (
	"net/netip"
	"time"

	"spate/dht/internal/siphash"
)

const (
	// Factor is the maximum size of a reply in sizes of its query, if the address that sent the
	// query may be forged.
	Factor = 4

	// MaxPacket is the maximum size of a packet in bytes (BEP 32).
	MaxPacket = 1024
)

// MaxReply returns the maximum size in bytes of the reply to a query of that size. proved says
// that the sender has proved its address; see [Proved].
func MaxReply(query int, proved bool) int {
	if proved {
		return MaxPacket
	}
	return min(Factor*query, MaxPacket)
}

const (
	// provedFor is the time for which a proof holds.
	provedFor = 10 * time.Minute

	ways     = 4 // entries of a set
	ageBits  = 24
	ageMask  = 1<<ageBits - 1
	provedIn = uint64(provedFor / time.Second)
)

// Proved remembers which endpoints have proved that they receive what is sent to their
// address: by a write token that this node made for them, or by a reply with the transaction
// id of a query. It forgets them after ten minutes, and when too many others have come. The
// port belongs to the proof because whoever forges the address of a DHT node would
// otherwise profit from the proofs of that node at any port. Proved is not safe for concurrent
// use.
type Proved struct {
	key   siphash.Key
	start time.Time
	sets  [][ways]uint64 // a tag of 40 bits, and the second of the proof, counted from 1
}

// NewProved returns an empty Proved with a random key. It holds about endpoints entries of 8
// bytes each.
func NewProved(key siphash.Key, now time.Time, endpoints int) *Proved {
	return &Proved{key: key, start: now, sets: make([][ways]uint64, max(1, (endpoints+ways-1)/ways))}
}

// Add records a proof of an endpoint.
func (p *Proved) Add(now time.Time, a netip.AddrPort) {
	set, tag := p.find(a)
	second := p.second(now)
	oldest := 0
	for i, e := range set {
		if e&^ageMask == tag {
			oldest = i
			break
		}
		if age(second, e) > age(second, set[oldest]) {
			oldest = i
		}
	}
	set[oldest] = tag | second
}

// Has reports whether the endpoint has proved its address in the last ten minutes.
func (p *Proved) Has(now time.Time, a netip.AddrPort) bool {
	set, tag := p.find(a)
	second := p.second(now)
	for _, e := range set {
		if e&^ageMask == tag && age(second, e) < provedIn {
			return true
		}
	}
	return false
}

// second returns the number of the current second. It is never 0, so that an empty entry is
// always old.
func (p *Proved) second(now time.Time) uint64 {
	return (uint64(now.Sub(p.start)/time.Second) + 2*provedIn) & ageMask
}

// age returns the age of an entry in seconds.
func age(second, entry uint64) uint64 { return (second - entry) & ageMask }

// find returns the set and the tag of an endpoint.
func (p *Proved) find(a netip.AddrPort) (set *[ways]uint64, tag uint64) {
	high, low := siphash.Words(a.Addr())
	hash := siphash.Sum(p.key, high, low, uint64(a.Port()))
	return &p.sets[hash&ageMask%uint64(len(p.sets))], hash &^ ageMask
}
