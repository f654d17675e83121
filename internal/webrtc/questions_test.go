package webrtc

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestOffersCauseFewChecks checks how many packets the offers of a stranger direct to addresses that it
// names.
func TestOffersCauseFewChecks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		to := map[netip.AddrPort]int{}
		sent := 0
		e, err := New(Options{
			Send:      func(b []byte, at netip.AddrPort, _ netip.Addr) error { to[at]++; sent++; return nil },
			Addrs:     func() []netip.AddrPort { return nil },
			Reachable: func() bool { return false },
			MayCheck:  func(a netip.AddrPort) bool { return a.Port() != 51301 },
		})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		offer := func(candidates ...string) {
			t.Helper()
			clear(to)
			sent = 0
			var lines strings.Builder
			for _, c := range candidates {
				fmt.Fprintf(&lines, "a=candidate:1 1 udp 1 %s typ host\r\n", c)
			}
			if _, err := e.Answer(chromium+lines.String(), func(*Stream) {}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(OpenTime) // all rounds
			synctest.Wait()
		}
		offer("192.0.2.1 2001", "192.0.2.1 2002", "192.0.2.1 2003", "192.0.2.1 2001")
		if len(to) != maxSameAddrs || sent != 2*maxRounds {
			t.Errorf("one address: %d ports, %d checks", len(to), sent)
		}
		offer("192.0.2.2 1", "192.0.2.3 1", "192.0.2.4 1", "192.0.2.5 1", "192.0.2.6 1", "192.0.2.7 1", "192.0.2.8 1")
		if len(to) != 7 || sent != maxChecks {
			t.Errorf("seven addresses: %d of them, %d checks", len(to), sent)
		}
		clear(to)
		for range 200 {
			text := chromium + "a=candidate:1 1 udp 1 192.0.2.9 2009 typ host\r\n"
			if _, err := e.Answer(text, func(*Stream) {}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if n := to[netip.MustParseAddrPort("192.0.2.9:2009")]; n != maxAskedOf {
			t.Errorf("200 offers caused %d checks", n)
		}
	})
}

// TestNewChecksReplaceOldest checks that checks of one peer that have no answer do not keep others
// from connecting.
func TestNewChecksReplaceOldest(t *testing.T) {
	t.Parallel()
	var q questions
	now := time.Unix(1e9, 0)
	id := func(n int) (id [12]byte) { return [12]byte{byte(n), byte(n >> 8), byte(n >> 16)} }
	at := func(n int) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, byte(n >> 16), byte(n >> 8), byte(n)}), 1)
	}
	for n := range maxAsked + 5 {
		if !q.add(now, id(n), nil, at(n), false) {
			t.Fatalf("check %d is not sent", n)
		}
	}
	for n, want := range map[int]bool{4: false, 5: true, maxAsked + 4: true} {
		if _, ok := q.get(id(n), at(n)); ok != want {
			t.Errorf("check %d is known: %v", n, ok)
		}
	}
	if _, ok := q.get(id(5), at(6)); ok {
		t.Error("a check is known for another address")
	}
	q.expire(now.Add(askedFor + 1))
	if len(q.by)+len(q.of)+len(q.order) != 0 {
		t.Errorf("%d checks are kept for ever", len(q.by))
	}
}
