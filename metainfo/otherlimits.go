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
	// Remedy says how to stay below the limit.
	Remedy string
}

// String returns a warning with the remedy.
func (e Excess) String() string {
	return fmt.Sprintf("the .torrent has %s %s, but libtorrent (qBittorrent, Deluge) accepts at most %s; %s",
		digits(e.Have), e.What, digits(e.Limit), e.Remedy)
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
	const longer = "use a larger piece length"
	fewer := "use fewer files, such as an archive"
	if m.Info.HasV2() {
		fewer = "use format v1, or fewer files, such as an archive"
	}
	ofBytes := longer
	if hashes < len(file)/2 {
		ofBytes = fewer
	}
	var list []Excess
	for _, e := range []Excess{
		{"bytes", int64(len(file)), libtorrentSize, ofBytes},
		{"pieces", int64(m.Info.NumPieces()), libtorrentPieces, longer},
		{"tokens", int64(bencode.Tokens(file)), libtorrentTokens, fewer},
	} {
		if e.Have > e.Limit {
			list = append(list, e)
		}
	}
	return list
}
