package torrent

import (
	"net/netip"
	"slices"
	"strings"

	"spate/metainfo"
)

// Spread says who among the connected peers has the pieces of a range of a file.
type Spread struct {
	First int    // index of the first piece of the range
	Have  []bool // for each piece of the range, up to maxSpread: whether a peer at another address has it
	// Here is the number of connected peers at the given address that are not seeds, and
	// Progress the smallest number of pieces that one of them has. A request over HTTP from
	// that address is probably of one of them.
	Here, Progress int
}

// maxSpread bounds the pieces in a Spread.
const maxSpread = 64

// Spread returns who has the n bytes from off of the file with the given display path. addr is
// the address of a client that asks for them over HTTP. Spread returns false if the range is not
// part of such a file.
func (t *Torrent) Spread(path string, off, n int64, addr netip.Addr) (Spread, bool) {
	var parts []string
	if path != "" {
		parts = strings.Split(path, "/")
	}
	i := slices.IndexFunc(t.info.Files, func(f metainfo.File) bool { return slices.Equal(f.Path, parts) && !f.Pad() })
	if i < 0 {
		return Spread{}, false
	}
	f := &t.info.Files[i]
	if off < 0 || n <= 0 || off > f.Length-n {
		return Spread{}, false
	}
	first, last := (f.Offset+off)/t.info.PieceLength, (f.Offset+off+n-1)/t.info.PieceLength
	s := Spread{First: int(first), Have: make([]bool, min(last-first+1, maxSpread))}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.pick == nil {
		return s, true
	}
	for _, c := range t.peerConns.byID {
		if c == nil || c.end.gone {
			continue
		}
		here := c.peer.key.Addr().Addr().Unmap() == addr.Unmap()
		if here && !t.pick.PeerIsSeed(c.id) {
			if have := t.pick.PeerHaveCount(c.id); s.Here == 0 || have < s.Progress {
				s.Progress = have
			}
			s.Here++
		}
		if here {
			continue
		}
		for i := range s.Have {
			s.Have[i] = s.Have[i] || t.pick.PeerHas(c.id, s.First+i)
		}
	}
	return s, true
}
