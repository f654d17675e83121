package torrent

import (
	"sync"

	"spate/merkle"
	"spate/peerwire"
)

// upperHeight is the height of the stored layer above a piece layer. A proof computes at most
// 512 hashes below it, and one in 512 of the piece layer above it.
const upperHeight = 9

// upperLayers holds, for each large piece layer that a peer has asked for, the layer upperHeight
// above it. Without it each request of 49 bytes would hash a whole piece layer.
type upperLayers struct {
	mu sync.Mutex
	by map[[merkle.HashSize]byte][]byte // guarded by mu; by pieces root
}

// of returns the layer upperHeight above the piece layer of a root, which has the number base.
func (u *upperLayers) of(root [merkle.HashSize]byte, layer []byte, base int) []byte {
	u.mu.Lock()
	defer u.mu.Unlock()
	if up, ok := u.by[root]; ok {
		return up
	}
	up := layer
	for k := range upperHeight {
		up = merkle.ParentLayer(nil, up, base+k)
	}
	if u.by == nil {
		u.by = map[[merkle.HashSize]byte][]byte{}
	}
	u.by[root] = up
	return up
}

// prove is [merkle.Prove] for a span of the piece layer of r, with stored hashes for a large
// layer.
func (u *upperLayers) prove(r *peerwire.HashRange, layer []byte, blocks int64, span merkle.Span) ([]byte, error) {
	if len(layer) <= 2*merkle.HashSize<<upperHeight || span.Proof < upperHeight {
		return merkle.Prove(nil, layer, blocks, span)
	}
	lower, upper := span, span
	lower.Proof = upperHeight - 1
	upper.Base += upperHeight
	upper.Proof -= upperHeight
	upper.Index, upper.Length = span.Index>>upperHeight&^1, max(2, span.Length>>upperHeight)
	hashes, err := merkle.Prove(nil, layer, blocks, lower)
	if err != nil {
		return nil, err
	}
	above, err := merkle.Prove(nil, u.of(r.PiecesRoot, layer, span.Base), blocks, upper)
	if err != nil {
		return nil, err
	}
	if span.Length>>upperHeight < 2 { // the sibling in the stored layer is an uncle
		sibling := span.Index>>upperHeight&1 ^ 1
		hashes = append(hashes, above[sibling*merkle.HashSize:][:merkle.HashSize]...)
	}
	return append(hashes, above[upper.Length*merkle.HashSize:]...), nil
}
