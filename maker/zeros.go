package maker

import (
	"crypto/sha1"
	"crypto/sha256"
	"sync"

	"spate/merkle"
)

// zeroHashes computes and keeps the hashes of pieces of zeros, which a client or a file system
// stores where no data was downloaded yet. It is safe for concurrent use.
type zeroHashes struct {
	mu sync.Mutex
	v1 map[int64][20]byte
	v2 map[zeroPiece][32]byte
}

// zeroPiece is the shape of a piece in a file of a v2 torrent.
type zeroPiece struct {
	data  int64
	whole bool // the file has no other piece
}

// equal reports whether s are the hashes of p with data of zeros.
func (z *zeroHashes) equal(l *layout, p piece, s *sums) bool {
	z.mu.Lock()
	defer z.mu.Unlock()
	if l.v1 {
		return s.v1 == z.sumV1(p.data+p.zeros)
	}
	return s.v2 == z.sumV2(zeroPiece{p.data, l.extents[p.ext].size <= l.pieceLen}, l.pieceLen)
}

// equalV2 reports whether h is the v2 hash of p with data of zeros.
func (z *zeroHashes) equalV2(h [32]byte, p zeroPiece, pieceLen int64) bool {
	z.mu.Lock()
	defer z.mu.Unlock()
	return h == z.sumV2(p, pieceLen)
}

func (z *zeroHashes) sumV1(n int64) [20]byte {
	sum, ok := z.v1[n]
	if !ok {
		h, zeros := sha1.New(), make([]byte, merkle.BlockSize)
		for left := n; left > 0; left -= int64(len(zeros)) {
			h.Write(zeros[:min(left, int64(len(zeros)))])
		}
		h.Sum(sum[:0])
		if z.v1 == nil {
			z.v1 = map[int64][20]byte{}
		}
		z.v1[n] = sum
	}
	return sum
}

func (z *zeroHashes) sumV2(p zeroPiece, pieceLen int64) [32]byte {
	sum, ok := z.v2[p]
	if !ok {
		tree, zeros := merkle.NewBuilder(0), make([]byte, merkle.BlockSize)
		full := sha256.Sum256(zeros)
		for left := p.data; left > 0; left -= merkle.BlockSize {
			block := full
			if left < merkle.BlockSize {
				block = sha256.Sum256(zeros[:left])
			}
			tree.Add(&block)
		}
		sum = tree.Root()
		if !p.whole {
			sum = tree.RootAt(merkle.Layer(pieceLen))
		}
		if z.v2 == nil {
			z.v2 = map[zeroPiece][32]byte{}
		}
		z.v2[p] = sum
	}
	return sum
}
