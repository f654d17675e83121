package torrent

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"spate/peerwire"
)

// TestRelaysShareThePunches checks that two relays that name as many addresses as they can leave
// punches for others, and that one alone gets half.
func TestRelaysShareThePunches(t *testing.T) {
	t.Parallel()
	var p punches
	now, n := time.Unix(1e9, 0), 0
	take := func(relay string, tries int) (got int) {
		for range tries {
			n++
			if p.take(netip.AddrPortFrom(netip.AddrFrom4([4]byte{44, 9, byte(n >> 8), byte(n)}), 7000), netip.MustParseAddr(relay), now) {
				p.end()
				got++
			}
		}
		return got
	}
	if got := take("44.1.0.1", 100); got != maxAllPunches/2 {
		t.Errorf("one relay gets %d punches", got)
	}
	take("44.1.0.2", 100)
	for _, relay := range []string{"44.1.0.3", "44.1.0.4", "44.1.0.5"} {
		if got := take(relay, 1); got != 1 {
			t.Errorf("%s gets no punch after two others took all they could", relay)
		}
	}
	for i := range 200 {
		take(netip.AddrFrom4([4]byte{44, 2, 0, byte(i)}).String(), 1)
	}
	if len(p.dialled) != maxAllPunches {
		t.Errorf("%d punches in a minute, want %d", len(p.dialled), maxAllPunches)
	}
}

// TestConnectMessageWithoutRoomCountsNot checks that a connect message that comes while the session
// has no room for a connection does not keep away the next one for the same address.
func TestConnectMessageWithoutRoomCountsNot(t *testing.T) {
	t.Parallel()
	withHoleSession(t, func(t *testing.T, h *holeSession) {
		relay, hidden := h.peer("44.1.0.1", 7001, theirHolepunch), at("44.5.0.1", 7000)
		add := func(n int) {
			h.s.mu.Lock()
			h.s.conns += n
			h.s.mu.Unlock()
		}
		for _, c := range []struct{ taken, packets int }{{h.s.opt.MaxConns, 0}, {0, 1}} {
			add(c.taken)
			relay.say(peerwire.HolepunchConnect, hidden)
			time.Sleep(time.Second / 2)
			add(-c.taken)
			if n := h.utp.udp.Sent(hidden.Addr()); n != c.packets {
				t.Errorf("with %d connections more, %d packets are sent, want %d", c.taken, n, c.packets)
			}
		}
	})
}

// TestIntroductionsFollowTheirLimits checks mayIntroduce against a plain list of introductions, and
// that nothing remains of them after a minute.
func TestIntroductionsFollowTheirLimits(t *testing.T) {
	t.Parallel()
	var p punches
	var list []introduction
	rng, now := rand.New(rand.NewPCG(1, 2)), time.Unix(1e9, 0)
	allowed := func(from, to netip.AddrPort) bool {
		all, by := 0, 0
		for _, o := range list {
			if now.Sub(o.at) >= punchEvery || o.a != to && o.b != to {
				continue
			}
			other := o.a
			if o.a == to {
				other = o.b
			}
			if other == from {
				return false
			}
			all++
			if other.Addr() == from.Addr() {
				by++
			}
		}
		return all < maxIntroduced && by < maxIntroducedBy
	}
	addr := func() netip.AddrPort { // few hosts, and one that most ask for
		n := max(rng.IntN(30)-8, 0)
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{44, 1, 0, byte(n)}), uint16(7000+rng.IntN(8)*min(n, 1)))
	}
	for range 4000 {
		now = now.Add(time.Duration(rng.IntN(200)) * time.Millisecond)
		from, to := addr(), addr()
		if from == to {
			continue
		}
		want := allowed(from, to)
		if got := p.mayIntroduce(from, to, now); got != want {
			t.Fatalf("after %d introductions %v may be introduced to %v: %v, want %v", len(list), from, to, got, want)
		}
		if want {
			list = append(list, introduction{now, from, to})
		}
	}
	for i := range 2 * maxPairs {
		p.mayIntroduce(netip.AddrPortFrom(netip.AddrFrom4([4]byte{44, 2, byte(i >> 8), byte(i)}), 1), netip.AddrPortFrom(netip.AddrFrom4([4]byte{44, 3, byte(i >> 8), byte(i)}), 1), now)
	}
	if len(p.introduced) != maxPairs {
		t.Errorf("%d introductions are remembered, want %d", len(p.introduced), maxPairs)
	}
	now = now.Add(punchEvery)
	p.mayIntroduce(at("44.1.0.1", 1), at("44.1.0.2", 1), now)
	if len(p.introduced) != 1 || len(p.partners) != 2 {
		t.Errorf("%d introductions and %d addresses remain after a minute", len(p.introduced), len(p.partners))
	}
}
