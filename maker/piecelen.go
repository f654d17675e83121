package maker

import (
	"fmt"

	"spate/metainfo"
)

// Limits of the piece length that is chosen from the size of the data.
const (
	MinPieceLength = 16 << 10 // the block size, and the smallest piece length of BEP 52
	MaxPieceLength = 16 << 20 // the largest length that is chosen automatically

	// wantPieces is the maximum number of pieces with the chosen length. Because
	// lengths are powers of two, there are usually 1,250 to 2,500 pieces.
	wantPieces = 2500

	// webSeedPieceLength is the largest power of two that a client can download in 60 s at
	// 1 Mbit/s (7.5 MB). webtorrent requests whole pieces from web seeds and gives up after
	// 60 s.
	webSeedPieceLength = 4 << 20

	// maxPieces is the largest number of pieces that package metainfo accepts.
	maxPieces = metainfo.MaxPieces

	// largestPieceLength is the largest length that can be set in Options.
	largestPieceLength = metainfo.MaxPieceLength
)

// PieceLength returns the piece length in bytes for total bytes of data: the smallest power
// of two from 16 KiB to 16 MiB that gives at most 2,500 pieces. With a web seed the maximum
// is 4 MiB, which a browser can download in time over a slow connection. For more than 32
// TiB of data the pieces are longer, because clients limit the number of pieces.
//
// [Make] chooses shorter pieces for a hybrid torrent of small files, because it pads each
// file to whole pieces.
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

// alignedPieceLength returns the piece length for a hybrid torrent, whose files are padded
// to whole pieces. It starts with [PieceLength] and halves the length while the padding is
// more than a quarter of the data, because clients that do not support pad files download
// and store the padding. It stops at 16 KiB, or before there are more than 2,500 pieces
// plus two for each file.
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

// align returns the number of pieces of n bytes if each file is padded to whole pieces,
// and the number of bytes of padding.
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

// PieceLengthError is returned for an invalid piece length.
type PieceLengthError struct {
	Length int64
	Reason string
}

func (e *PieceLengthError) Error() string {
	return fmt.Sprintf("piece length %d: %s", e.Length, e.Reason)
}

// checkPieceLength returns an error unless n can be the piece length.
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
