package choker

import (
	"testing"
	"time"
)

// TestProbesGetATenth checks that peers that prove nothing get about a tenth of what is sent while
// others want data, and that a peer that proves itself no longer counts.
func TestProbesGetATenth(t *testing.T) {
	const piece = 1 << 10
	p, now := NewProbes(piece), time.Unix(1000, 0)
	useful, spent := 0, 0
	for range 3000 {
		now = now.Add(10 * time.Millisecond)
		if p.Allows(0, now) {
			p.Sent(piece, false, now)
			spent += piece
		} else {
			p.Sent(piece, true, now)
			useful += piece
		}
	}
	if share := float64(spent) / float64(spent+useful); share < 0.08 || share > 0.12 {
		t.Errorf("peers that proved nothing got %.3f of the bytes, want about 0.1", share)
	}
	for p.Allows(0, now) {
		p.Sent(piece, false, now)
	}
	p.Proved(piece, now)
	if !p.Allows(0, now) {
		t.Error("a peer that proved itself still counts")
	}
}
