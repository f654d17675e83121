package site

import (
	"spate/publish"
)

// numbers are what is known of a release's swarm at one moment.
type numbers struct {
	Known                     bool // whether the tracker has an answer
	Seeds, Leeches, Completed int
	Sent                      int64   // bytes, by the own seed and by direct downloads
	Rate                      float64 // bytes a second, the own seed
	Copies                    float64 // Sent in copies of the release
}

// numbers asks the tracker and the seed about rel. A hybrid is two swarms and
// its clients announce to both or to one: the larger count is the nearer one,
// and their sum would count most of them twice.
func (s *Site) numbers(rel *publish.Release) numbers {
	var n numbers
	for _, ih := range rel.Hashes() {
		if s.opts.Swarm != nil {
			if c, ok := s.opts.Swarm(ih); ok {
				n.Known = true
				n.Seeds = max(n.Seeds, c.Seeders)
				n.Leeches = max(n.Leeches, c.Leechers)
				n.Completed = max(n.Completed, c.Completed)
			}
		}
	}
	if s.opts.Origin != nil {
		if o, ok := s.opts.Origin(rel.Hash()); ok {
			n.Sent, n.Rate = o.Bytes, o.Rate
		}
	}
	n.Sent += s.Sent(rel.Hash())
	if rel.Size > 0 {
		n.Copies = float64(n.Sent) / float64(rel.Size)
	}
	return n
}
