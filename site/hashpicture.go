package site

import (
	"fmt"
	"strings"

	"spate/publish"
)

// wave is a picture of an info-hash: two rows of waves, whose heights are the bytes of the
// hash. Back and Front are the d attributes of SVG paths in a box of W by H. All pages of a
// torrent have the same picture.
type wave struct {
	W, H        int
	Back, Front string
}

// waveOf draws the picture of the main info-hash of rel.
func waveOf(rel *publish.Release, w, h int) wave {
	ih := rel.Hash()
	back, front := ih[:10], ih[10:]
	if w < 100 {
		back, front = back[:5], front[:5] // a small picture has fewer waves
	}
	return wave{W: w, H: h, Back: ridge(back, w, h, 0.05, 0.75), Front: ridge(front, w, h, 0.35, 0.95)}
}

// ridge returns a smooth line whose heights are the bytes of b, closed along the lower edge.
// top and bottom bound the heights; they are fractions of h, measured from above.
func ridge(b []byte, w, h int, top, bottom float64) string {
	n := len(b)
	y := func(i int) float64 {
		return (top + (bottom-top)*float64(b[min(max(i, 0), n-1)])/255) * float64(h)
	}
	dx := float64(w) / float64(n-1)
	var p strings.Builder
	fmt.Fprintf(&p, "M0 %d V%.1f", h, y(0))
	for i := range n - 1 {
		// The curve is horizontal at each point, so that it never rises above the heights.
		x0, x1 := float64(i)*dx, float64(i+1)*dx
		fmt.Fprintf(&p, "C%.1f %.1f %.1f %.1f %.1f %.1f", x0+dx/2, y(i), x1-dx/2, y(i+1), x1, y(i+1))
	}
	fmt.Fprintf(&p, "V%dZ", h)
	return p.String()
}
