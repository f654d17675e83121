package metainfo

import (
	"fmt"
	"strconv"

	"spate/bencode"
)

// Limits of libtorrent 2.0, which is in qBittorrent, Deluge and other programs.
const (
	libtorrentSize   = 10_000_000
	libtorrentPieces = 2_097_152
	libtorrentTokens = 3_000_000
)

// Excess is a limit of other programs that a torrent exceeds.
type Excess struct {
	What  string // "bytes", "pieces", or "tokens" of bencoding
	Have  int64
	Limit int64
	// Names reports whether fewer or shorter file names help. If it is false, longer pieces
	// help.
	Names bool
}

// String returns a warning with the way to stay below the limit.
func (e Excess) String() string {
	remedy := "use a larger piece length"
	if e.Names {
		remedy = "use format v1, or fewer files, such as an archive"
	}
	return fmt.Sprintf("the .torrent has %s %s, but libtorrent (qBittorrent, Deluge) accepts at most %s; %s",
		digits(e.Have), e.What, digits(e.Limit), remedy)
}

// digits formats n with commas.
func digits(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Exceeds returns the limits of libtorrent that m exceeds. file is the torrent file that
// [MetaInfo.Bytes] returns.
func (m *MetaInfo) Exceeds(file []byte) []Excess {
	hashes := len(m.Info.Pieces)
	for _, layer := range m.PieceLayers {
		hashes += len(layer)
	}
	var list []Excess
	for _, e := range []Excess{
		{"bytes", int64(len(file)), libtorrentSize, hashes < len(file)/2},
		{"pieces", int64(m.Info.NumPieces()), libtorrentPieces, false},
		{"tokens", int64(bencode.Tokens(file)), libtorrentTokens, true},
	} {
		if e.Have > e.Limit {
			list = append(list, e)
		}
	}
	return list
}
