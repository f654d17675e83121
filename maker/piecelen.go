package maker

import (
	"fmt"

	"spate/internal/units"
	"spate/metainfo"
)

// Limits of the piece length that is chosen from the size of the data.
const (
	MinPieceLength = 16 << 10 // the block size, and the smallest piece length of BEP 52
	MaxPieceLength = 64 << 20 // the largest length that is chosen automatically

	// usualPieceLength is the largest length that all clients accept.
	usualPieceLength = 16 << 20

	// wantPieces is the maximum number of pieces with the chosen length. Because
	// lengths are powers of two, there are usually 1,250 to 2,500 pieces.
	wantPieces = 2500

	// webSeedPieceLength is the largest power of two that a client can download in 60 s at
	// 1 Mbit/s (7.5 MB). webtorrent requests whole pieces from web seeds and gives up after
	// 60 s.
	webSeedPieceLength = 4 << 20

	// wantHashes is the size in bytes of the hashes of a .torrent up to which lengths above
	// the usual ones are avoided. libtorrent refuses a .torrent of more than 10,000,000
	// bytes; the difference is for the names of files.
	wantHashes = 8_000_000
	// mostHashes is wantHashes for lengths above MaxPieceLength, which few clients accept.
	mostHashes = 90_000_000
	// hashesPerPiece is the number of bytes of the hashes of a piece in a hybrid torrent:
	// SHA-1 and SHA-256.
	hashesPerPiece = 20 + 32

	// maxPieces is the largest number of pieces that package metainfo accepts.
	maxPieces = metainfo.MaxPieces

	// largestPieceLength is the largest length that can be set in Options.
	largestPieceLength = metainfo.MaxPieceLength
)

// PieceLength returns the piece length in bytes for total bytes of data: the smallest power
// of two from 16 KiB to 16 MiB that gives at most 2,500 pieces. With a web seed the maximum
// is 4 MiB, which a browser can download in time over a slow connection. If the hashes of a
// hybrid torrent exceed 8 MB, the pieces are longer, up to 64 MiB, because clients limit
// the size of a .torrent. For more than about 100 TB they are longer still, so that the
// hashes stay below 90 MB.
//
// [Make] chooses shorter pieces for a hybrid torrent of small files, because it pads each
// file to whole pieces.
func PieceLength(total int64, webSeed bool) int64 {
	usual := int64(usualPieceLength)
	if webSeed {
		usual = webSeedPieceLength
	}
	n := int64(MinPieceLength)
	for _, limit := range []struct{ length, pieces int64 }{
		{usual, wantPieces},
		{MaxPieceLength, wantHashes / hashesPerPiece},
		{largestPieceLength, mostHashes / hashesPerPiece},
	} {
		for n < limit.length && total > n*limit.pieces {
			n *= 2
		}
	}
	return n
}

// alignedPieceLength returns the piece length for a hybrid torrent, whose files are padded
// to whole pieces. It starts with [PieceLength] and halves the length while the padding is
// more than a quarter of the data, because clients that do not support pad files download
// and store the padding. It stops at 16 KiB, before there are more than 2,500 pieces plus
// two for each file, or before the number of pieces grows beyond 8 MB of hashes.
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
		now, padding := align(sizes, n)
		pieces, _ := align(sizes, n/2)
		if padding <= total/4 || pieces > wantPieces+2*files || pieces > max(now, wantHashes/hashesPerPiece) {
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

// SizeError is returned if the .torrent would exceed the limits of package metainfo.
type SizeError struct {
	Size  int64 // least size in bytes of the .torrent; 0 if Files is the reason
	Files int   // number of files; 0 if Size is the reason
}

func (e *SizeError) Error() string {
	if e.Files > 0 {
		return fmt.Sprintf("%s are more than the %d that a torrent may have", units.Plural(e.Files, "file"), metainfo.MaxFiles)
	}
	return fmt.Sprintf("the .torrent would have at least %d MB, more than the limit of %d MB", e.Size/1_000_000, metainfo.MaxSize/1_000_000)
}

// checkSize returns an error if the .torrent will certainly exceed the limits of package
// metainfo, so that no data is hashed in vain.
func (b *build) checkSize(files int) error {
	if files > metainfo.MaxFiles {
		return &SizeError{Files: files}
	}
	const (
		leastV1 = len("d6:lengthi0e4:pathlee")
		leastV2 = len("d0:d6:lengthi0eee")
		root    = len("11:pieces root32:") + 32
	)
	size := int64(len(b.info.Pieces))
	for i := range b.info.Files {
		f := &b.info.Files[i]
		name := len("1:")
		if n := len(f.Path); n > 0 {
			name += len(f.Path[n-1])
		}
		if b.layout.v1 {
			size += int64(leastV1 + name)
		}
		if b.layout.v2 && !f.Pad() {
			size += int64(leastV2 + name)
			if f.Length > 0 {
				size += int64(root)
			}
		}
	}
	for _, layer := range b.layers {
		if len(layer) > 32 {
			size += int64(len(layer))
		}
	}
	if size > metainfo.MaxSize {
		return &SizeError{Size: size}
	}
	return nil
}

// checkPieceLength returns an error unless n can be the piece length.
func checkPieceLength(n int64, v2 bool) error {
	switch {
	case n <= 0:
		return &PieceLengthError{n, "must be positive"}
	case n > largestPieceLength:
		return &PieceLengthError{n, "more than 512 MiB"}
	case v2 && (n < MinPieceLength || n&(n-1) != 0):
		return &PieceLengthError{n, "v2 hashes need a power of two of at least 16 KiB (BEP 52)"}
	}
	return nil
}
