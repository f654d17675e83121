package torrent

import (
	"net/netip"
	"sync"
	"time"
)

// Bounds of the answers to requests for block hashes (BEP 52), which a peer sends after a
// piece has failed its hash. Block hashes are not stored, so a request of 53 bytes makes
// this side read and hash a whole piece. The bounds keep peers from overloading this side.
const (
	hashBurst      = 128 << 20 // bytes that are hashed for one address without a pause
	hashRate       = 2 << 20   // after a burst, bytes a second that are hashed for one address
	hashLeast      = 1 << 20   // bytes that a shorter piece counts as, because a read has a fixed cost
	maxHashing     = 2         // connections of a session that hash at the same time
	maxHashedPiece = hashBurst // bytes of the longest piece that is hashed for peers
	maxHashBudgets = 1024      // addresses in hashBudgets
)

// hashBudgets bounds the bytes that a session hashes for the peers at each address. A peer that
// connects again, from another port or for another torrent, continues its budget.
type hashBudgets struct {
	mu sync.Mutex
	by map[PeerKey]*hashBudget // by addressOf
}

// hashBudget is the budget of one address. The zero value allows a whole burst.
type hashBudget struct {
	spent int64     // bytes that count against hashBurst
	at    time.Time // when spent was computed
}

// addressOf returns the key without its port, and only the /64 of an IPv6 address. Other keys stay
// as they are.
func addressOf(k PeerKey) PeerKey {
	a := k.addr.Addr().Unmap()
	if !a.IsValid() {
		return k
	}
	if a.Is6() {
		p, _ := a.WithZone("").Prefix(64)
		a = p.Addr()
	}
	return PeerKey{addr: netip.AddrPortFrom(a, 0)}
}

// take reports whether size more bytes may be hashed for the peer, and counts them.
func (b *hashBudgets) take(from PeerKey, size int64, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	key := addressOf(from)
	budget := b.by[key]
	if budget == nil {
		if len(b.by) >= maxHashBudgets {
			b.forget(now)
		}
		if b.by == nil {
			b.by = map[PeerKey]*hashBudget{}
		}
		budget = &hashBudget{at: now}
		b.by[key] = budget
	}
	return budget.take(size, now)
}

// forget removes the budgets that are whole again, or the one that has spent least if there are
// none.
func (b *hashBudgets) forget(now time.Time) {
	var least *hashBudget
	var leastKey PeerKey
	for key, budget := range b.by {
		budget.recover(now)
		if budget.spent == 0 {
			delete(b.by, key)
		} else if least == nil || budget.spent < least.spent {
			least, leastKey = budget, key
		}
	}
	if len(b.by) >= maxHashBudgets {
		delete(b.by, leastKey)
	}
}

// recover subtracts the bytes that were allowed since the last call.
func (b *hashBudget) recover(now time.Time) {
	back := min(now.Sub(b.at).Seconds()*hashRate, hashBurst)
	if back >= 1 {
		b.spent, b.at = max(b.spent-int64(back), 0), now
	}
}

func (b *hashBudget) take(size int64, now time.Time) bool {
	b.recover(now)
	size = max(size, hashLeast)
	if b.spent+size > hashBurst {
		return false
	}
	b.spent += size
	return true
}
