package maker

import (
	"fmt"

	"spate/metainfo"
)

// Bounds of the piece length that is chosen from the size of the data.
const (
	MinPieceLength = 16 << 10 // the block of BEP 52, and its smallest piece
	MaxPieceLength = 16 << 20 // the largest that is chosen; more may be asked for

	// wantPieces is the most pieces that a chosen length leads to. Together with
	// the powers of two it gives 1,250 to 2,500 of them.
	wantPieces = 2500

	// webSeedPieceLength is the largest power of two that a browser fetches in
	// 60 s at 1 Mbit/s, 7.5 MB: webtorrent asks a web seed for whole pieces and
	// gives up on one after that time.
	webSeedPieceLength = 4 << 20

	// maxPieces is what readers accept (reliability limits of metainfo).
	maxPieces = metainfo.MaxPieces

	// largestPieceLength is the largest length that may be asked for.
	largestPieceLength = metainfo.MaxPieceLength
)

// PieceLength returns the piece length in bytes for total bytes of data: the
// smallest power of two that gives at most 2,500 pieces, at least 16 KiB and at
// most 16 MiB. With a web seed it is at most 4 MiB, which a browser can fetch
// in time over a slow line. Where those bounds would give more pieces than
// readers accept (32 TiB), the length grows past them.
//
// [Make] takes a shorter one for a hybrid torrent of small files, whose padding
// would be out of proportion to the data.
func PieceLength(total int64, webSeed bool) int64 {
	most := int64(MaxPieceLength)
	if webSeed {
		most = webSeedPieceLength
	}
	n := int64(MinPieceLength)
	for n < most && total > n*wantPieces {
		n *= 2
	}
	for n < largestPieceLength && total > n*maxPieces {
		n *= 2
	}
	return n
}

// alignedPieceLength returns the piece length for a hybrid of these files, each of
// which is padded to whole pieces: that of [PieceLength] or a shorter one. Clients
// that know nothing of pad files fetch and store the padding. So the length is
// halved while there is more than a quarter as much padding as data, down to 16
// KiB and up to 2,500 pieces and two for each file, for pieces cost too.
func alignedPieceLength(sizes []int64, webSeed bool) int64 {
	var total, files int64
	for _, n := range sizes {
		total += n
		if n > 0 {
			files++
		}
	}
	n := PieceLength(total, webSeed)
	for n > MinPieceLength {
		_, padding := align(sizes, n)
		pieces, _ := align(sizes, n/2)
		if padding <= total/4 || pieces > wantPieces+2*files {
			break
		}
		n /= 2
	}
	return n
}

// align returns how many pieces of n bytes the files are together, each in pieces
// of its own, and how many bytes of padding that takes.
func align(sizes []int64, n int64) (pieces, padding int64) {
	for _, size := range sizes {
		p := size / n
		if over := size % n; over > 0 {
			p++
			padding += n - over
		}
		pieces += p
	}
	return pieces, padding
}

// PieceLengthError is a piece length that cannot be used.
type PieceLengthError struct {
	Length int64
	Reason string
}

func (e *PieceLengthError) Error() string {
	return fmt.Sprintf("piece length %d: %s", e.Length, e.Reason)
}

// checkPieceLength reports whether n bytes may be the piece length.
func checkPieceLength(n int64, v2 bool) error {
	switch {
	case n <= 0:
		return &PieceLengthError{n, "must be positive"}
	case n > largestPieceLength:
		return &PieceLengthError{n, "more than 512 MiB"}
	case v2 && (n < MinPieceLength || n&(n-1) != 0):
		return &PieceLengthError{n, "v2 and hybrid torrents need a power of two of at least 16 KiB (BEP 52)"}
	}
	return nil
}
