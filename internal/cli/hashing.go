package cli

import "spate/maker"

// hashing shows the progress of the maker. The end is not shown: the result is
// about to follow, and most runs are over at once.
func (p *progress) hashing(g maker.Progress) {
	if g.Done < g.Total || g.Total == 0 && g.Done > 0 {
		p.updateWith(g.Done, g.Total, g.Rate, "")
	}
}
