// Package limit bounds what strangers can make a DHT node do: the rate of events that an
// address and its network cause ([Rates]), and the size of replies to addresses that may be
// forged ([MaxReply], [Proved]).
//
// The tables have a fixed size, so that several addresses share a cell. A secret key decides
// which addresses do, so that nobody can choose addresses that share the cells of somebody else.
package limit

import (
	"errors"
	"math/bits"
	"net/netip"
	"time"

	"spate/dht/internal/siphash"
)

// Rate is a limit of events in the long run and at once.
type Rate struct {
	PerSecond float64
	Burst     int // events that are allowed at once after a pause
}

// Options are the limits of [Rates].
type Options struct {
	// Address limits one IPv4 address, or an IPv6 /64, in which a host can have any number of
	// addresses.
	Address Rate
	// Network limits an IPv4 /24 or an IPv6 /48.
	Network Rate
	// Cells is the size of each of two tables; it is rounded up to a power of two. A cell has 8
	// bytes. The tables are made at the first event. The default is 8192.
	Cells int
}

const defaultCells = 8192

// Rates limits the rate of events by address and network. An event that is not allowed costs
// its address nothing, so that an address above its limit still gets its limit. Rates is not
// safe for concurrent use.
type Rates struct {
	key                siphash.Key
	start              time.Time
	addresses, network table
}

// NewRates returns Rates with a random key. now is the current time.
func NewRates(key siphash.Key, now time.Time, o Options) (*Rates, error) {
	for _, r := range []Rate{o.Address, o.Network} {
		if !(r.PerSecond > 0 && r.PerSecond <= 1e9) || r.Burst < 1 {
			return nil, errors.New("limit: a rate needs from 0 to 1e9 events a second and a burst of at least one")
		}
	}
	if o.Cells < 0 || o.Cells > 1<<24 {
		return nil, errors.New("limit: the number of cells is not from 0 to 16,777,216")
	}
	if o.Cells == 0 {
		o.Cells = defaultCells
	}
	return &Rates{key: key, start: now, addresses: newTable(o.Address, o.Cells), network: newTable(o.Network, o.Cells)}, nil
}

// Allow reports whether an event of address a is within the limits, and counts it if so. cost is
// its weight in events. Loopback has no limit: its addresses cannot be forged, and all
// programs of the machine share them.
func (r *Rates) Allow(now time.Time, a netip.Addr, cost int) bool {
	a = a.Unmap()
	if a.IsLoopback() {
		return true
	}
	host, network := words(a)
	at := now.Sub(r.start)
	first := r.addresses.cells(siphash.Sum(r.key, host))
	second := r.network.cells(siphash.Sum(r.key, network, 1))
	if !r.addresses.allows(first, at, cost) || !r.network.allows(second, at, cost) {
		return false
	}
	r.addresses.add(first, at, cost)
	r.network.add(second, at, cost)
	return true
}

// Network returns the IPv4 /24 or the IPv6 /48 of an address as a number, and 0 for loopback, whose
// addresses all programs of the machine share.
func Network(a netip.Addr) uint64 {
	a = a.Unmap()
	if !a.IsValid() || a.IsLoopback() {
		return 0
	}
	_, network := words(a)
	return network
}

// words returns the /32 or /64 and the /24 or /48 of an address.
func words(a netip.Addr) (host, network uint64) {
	high, low := siphash.Words(a)
	if a.Is4() {
		return low, low &^ 0xff // ::ffff:a.b.c.d, so that the words differ from those of IPv6
	}
	return high, high &^ 0xffff
}

// table counts events of keys. A cell has the time at which the events that it counted would
// end if each took the time that the rate gives it (the generic cell rate algorithm). A key
// has two cells, and the one with fewer events counts, as in a count-min sketch: a key is limited
// too early only if other keys fill both.
type table struct {
	size  int // cells
	ends  []time.Duration
	event time.Duration // time of one event
	burst time.Duration // time by which an end may be in the future
}

func newTable(r Rate, cells int) table {
	event := max(1, time.Duration(float64(time.Second)/r.PerSecond))
	return table{size: 1 << bits.Len(uint(cells-1)), event: event, burst: time.Duration(r.Burst) * event}
}

// cells returns the two cells of a key.
func (t *table) cells(hash uint64) [2]*time.Duration {
	if t.ends == nil {
		t.ends = make([]time.Duration, t.size)
	}
	mask := uint64(t.size - 1)
	return [2]*time.Duration{&t.ends[hash&mask], &t.ends[hash>>32&mask]}
}

// end returns the end after one more event.
func (t *table) end(c [2]*time.Duration, now time.Duration, cost int) time.Duration {
	return max(min(*c[0], *c[1]), now) + time.Duration(cost)*t.event
}

func (t *table) allows(c [2]*time.Duration, now time.Duration, cost int) bool {
	return t.end(c, now, cost) <= now+t.burst
}

func (t *table) add(c [2]*time.Duration, now time.Duration, cost int) {
	end := t.end(c, now, cost)
	*c[0], *c[1] = max(*c[0], end), max(*c[1], end)
}
