package daemon

import (
	"net/netip"

	"spate/publish"
	"spate/site"
)

// spread returns who in the swarms of a release has a range of file i: see
// [site.Options.Spread]. A hybrid and its twin have the same pieces and the same files.
func (p *Publisher) spread(r *publish.Release, i int, off, n int64, addr netip.Addr) (site.Spread, bool) {
	out := site.Spread{Pieces: r.Pieces, PieceLength: r.PieceLength}
	known := false
	for _, ih := range r.AllHashes() {
		t := p.session.Torrent(ih)
		if t == nil {
			continue
		}
		s, ok := t.Spread(i, off, n, addr)
		if !ok {
			continue
		}
		if out.Have == nil {
			out.First, out.Have = s.First, s.Have
		}
		for k := range min(len(out.Have), len(s.Have)) {
			out.Have[k] = out.Have[k] || s.Have[k]
		}
		if s.Here > 0 {
			if !out.Client || s.Progress < out.Progress {
				out.Progress = s.Progress
			}
			out.Client = true
		}
		known = true
	}
	return out, known
}
