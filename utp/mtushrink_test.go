package utp

import (
	"fmt"
	"testing"
	"time"
)

// TestPathShrinks checks that a transfer goes on after the path has begun to carry only smaller
// packets: data that was sent before passes in fragments, and later data in smaller packets.
func TestPathShrinks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		mtu    int           // bytes that the path carries from then on
		limit  time.Duration // of the whole transfer, which takes 2.1 s otherwise
		pieces int           // packets that may be fragmented
	}{
		{1400, 15 * time.Second, 600},
		{1232, 15 * time.Second, 600},
		{1000, 40 * time.Second, 700},
		{600, 40 * time.Second, 700},
	} {
		t.Run(fmt.Sprint(c.mtu), func(t *testing.T) {
			t.Parallel()
			s := newSim(3)
			there, back := &link{s: s, rate: 10 * mbit, buffer: 200_000, delay: 20 * time.Millisecond}, &link{s: s, delay: 20 * time.Millisecond}
			a, b := pair(s, there, back)
			s.after(time.Second, func() {
				if a.m.mtu.size != maxMTU4 {
					t.Errorf("the size is %d before the path shrinks", a.m.mtu.size)
				}
				there.mtu = c.mtu
			})
			took := transfer(t, s, a, b, randomBytes(2<<20, 9), time.Hour)
			t.Logf("%d bytes: %v, %d packets, %d in fragments, MTU %d", c.mtu, took, a.sent, there.fragmented, a.m.mtu.size)
			if took > c.limit || there.fragmented > c.pieces || a.m.mtu.size > c.mtu {
				t.Errorf("the transfer took %v with %d fragmented packets, and ended with a size of %d", took, there.fragmented, a.m.mtu.size)
			}
		})
	}
}
