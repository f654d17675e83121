package torrent

import (
	"net/netip"
	"slices"
	"sync"

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

// Spread returns who has the n bytes from off of a file. file counts the entries of the metainfo
// that are neither padding nor symbolic links. addr is the address of a client that asks for the
// bytes over HTTP. Spread returns false if the range is not part of such a file. Its time does not
// grow with the number of files.
func (t *Torrent) Spread(file int, off, n int64, addr netip.Addr) (Spread, bool) {
	start, ok := t.rangeStart(file, off, n)
	if !ok {
		return Spread{}, false
	}
	first, last := start/t.info.PieceLength, (start+n-1)/t.info.PieceLength
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

// rangeStart returns the position in the torrent of byte off of a file, as [Torrent.Spread] counts
// files, and whether the file has the n bytes from there.
func (t *Torrent) rangeStart(file int, off, n int64) (start int64, ok bool) {
	i := t.dataFiles.at(t.info, file)
	if i < 0 {
		return 0, false
	}
	f := &t.info.Files[i]
	if off < 0 || n <= 0 || off > f.Length-n {
		return 0, false
	}
	return f.Offset + off, true
}

// dataFiles finds the entries of a torrent that are neither padding nor symbolic links. It lists
// them when it is used for the first time.
type dataFiles struct {
	once sync.Once
	list []int32 // their indexes; nil if all entries are such files
}

// at returns the index of data file k, or -1 if there is none.
func (d *dataFiles) at(i *metainfo.Info, k int) int {
	d.once.Do(func() {
		isData := func(f metainfo.File) bool { return !f.Pad() && !f.IsSymlink() }
		if !slices.ContainsFunc(i.Files, func(f metainfo.File) bool { return !isData(f) }) {
			return
		}
		d.list = []int32{}
		for at, f := range i.Files {
			if isData(f) {
				d.list = append(d.list, int32(at))
			}
		}
	})
	switch {
	case d.list == nil && k >= 0 && k < len(i.Files):
		return k
	case d.list != nil && k >= 0 && k < len(d.list):
		return int(d.list[k])
	}
	return -1
}
