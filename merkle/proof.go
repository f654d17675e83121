package merkle

import (
	"errors"
	"math/bits"
)

// ErrProof is returned by [Verify] for hashes that do not lead to the root of the tree.
var ErrProof = errors.New("merkle: the hashes do not lead to the root")

// ErrRange is returned for a request for hashes outside of the tree, or for a request
// that BEP 52 does not allow.
var ErrRange = errors.New("merkle: no such hashes")

// MaxRequest is the maximum number of hashes that a peer should request at once (BEP 52).
// MaxAnswer is the maximum number of hashes in the answer to one request. It is larger so
// that a peer can request all block hashes of a piece of 128 MiB.
const (
	MaxRequest = 512
	MaxAnswer  = 8192
)

// Span selects the hashes of one request of BEP 52: Length hashes of layer Base,
// starting at Index, and the uncle hashes of the next Proof layers.
type Span struct {
	Base   int // layer of the hashes; 0 is the layer of block hashes
	Index  int64
	Length int // number of hashes, a power of two and at least 2
	Proof  int // number of layers above Base that the uncles cover
}

// Uncles returns the number of uncle hashes that follow the hashes of the span. There
// is one for each proof layer that cannot be computed from the hashes of the span.
func (s Span) Uncles() int { return max(0, s.Proof-bits.Len(uint(s.Length))+2) }

// valid reports whether the span lies in the padded tree of a file with the given
// number of blocks.
func (s Span) valid(blocks int64) bool {
	if blocks <= 0 || s.Base < 0 || s.Index < 0 || s.Proof < 0 || s.Length < 2 || s.Length > MaxAnswer || s.Length&(s.Length-1) != 0 {
		return false
	}
	layers := Height(blocks) - s.Base // number of layers above Base, including the root
	if layers <= 0 || s.Proof >= layers || s.Index%int64(s.Length) != 0 {
		return false
	}
	return s.Index+int64(s.Length) <= 1<<layers
}

// Prove answers a request of BEP 52. It appends to dst the hashes of span, then its
// uncle hashes from the lowest layer upwards. layer holds the concatenated hashes of
// layer span.Base, without padding, and blocks is the number of blocks of the file. The
// error is [ErrRange].
//
// Prove computes the uncles, which takes time proportional to the length of layer.
func Prove(dst, layer []byte, blocks int64, span Span) ([]byte, error) {
	n := int64(len(layer) / HashSize)
	if !span.valid(blocks) || n != layerLen(blocks, span.Base) || span.Index >= n {
		return dst, ErrRange
	}
	dst = appendRun(dst, layer, span.Base, span.Index, int64(span.Length))
	above := Height(int64(span.Length)) // height of the subtree that the appended hashes cover
	for range span.Uncles() {
		uncle := node(layer, span.Base, above, span.Index>>above^1)
		dst = append(dst, uncle[:]...)
		above++
	}
	return dst, nil
}

// ProveBlocks is like [Prove] for a span below the piece layer that lies within one
// piece. top is the number of the piece layer and blocks the number of blocks of the
// file. blockHashes holds the block hashes of that piece without padding. pieceHashes
// holds the piece layer of the file; it is not used if the file has only one piece.
//
// ProveBlocks computes the hashes between, which takes time proportional to the length
// of blockHashes and pieceHashes.
func ProveBlocks(dst, blockHashes, pieceHashes []byte, top int, blocks int64, span Span) ([]byte, error) {
	if span.Base >= top || !span.valid(blocks) || span.Base+Height(int64(span.Length)) > top {
		return dst, ErrRange
	}
	piece := span.Index << span.Base >> top
	first := piece << (top - span.Base) // index of the first hash of the piece in layer span.Base
	if int64(len(blockHashes)/HashSize) != min(1<<top, blocks-piece<<top) {
		return dst, ErrRange
	}
	layer := blockHashes
	for k := range span.Base {
		layer = ParentLayer(nil, layer, k)
	}
	index := span.Index - first
	if index >= int64(len(layer)/HashSize) {
		return dst, ErrRange
	}
	dst = appendRun(dst, layer, span.Base, index, int64(span.Length))
	above := Height(int64(span.Length))
	for range span.Uncles() {
		var uncle [32]byte
		if up := span.Base + above - top; up < 0 {
			uncle = node(layer, span.Base, above, index>>above^1)
		} else {
			uncle = node(pieceHashes, top, up, piece>>up^1)
		}
		dst = append(dst, uncle[:]...)
		above++
	}
	return dst, nil
}

// appendRun appends n hashes of a layer, and padding hashes after the end of the layer.
func appendRun(dst, layer []byte, number int, from, n int64) []byte {
	have := int64(len(layer) / HashSize)
	pad := Pad(number)
	for k := from; k < from+n; k++ {
		if k < have {
			dst = append(dst, layer[k*HashSize:(k+1)*HashSize]...)
		} else {
			dst = append(dst, pad[:]...)
		}
	}
	return dst
}

// node computes the hash of a tree node from the hashes of a lower layer, without
// padding. number is the number of the lower layer, the node is above layers higher, and
// index is the index of the node in its own layer.
func node(layer []byte, number, above int, index int64) [32]byte {
	n := int64(len(layer) / HashSize)
	start := index << above
	if start >= n {
		return Pad(number + above)
	}
	return subtree(layer[start*HashSize:min(start+1<<above, n)*HashSize], number, above)
}

// layerLen returns the number of hashes, without padding, in a layer of a file with the
// given number of blocks.
func layerLen(blocks int64, layer int) int64 {
	n := blocks >> layer
	if blocks&(1<<layer-1) != 0 {
		n++
	}
	return n
}

// Verify checks the answer to a request for span. hashes holds the hashes of the span,
// followed by the uncles. The uncles must lead to a node whose hash is known: to the
// root if span.Proof is as large as possible, or to a node that was verified before.
//
// blocks is the number of blocks of the file. known returns the verified hash of a
// node, and false if it has none. The root has index 0. The error is [ErrRange] if the
// span does not fit the file or the number of hashes is wrong, and [ErrProof] if a hash
// is wrong or the uncles do not reach a known node.
func Verify(hashes []byte, blocks int64, span Span, known func(layer int, index int64) ([32]byte, bool)) error {
	if !span.valid(blocks) || len(hashes) != (span.Length+span.Uncles())*HashSize {
		return ErrRange
	}
	if !validPadding(hashes, blocks, span) {
		return ErrProof
	}
	layer := span.Base + Height(int64(span.Length))
	index := span.Index / int64(span.Length)
	node := subtree(hashes[:span.Length*HashSize], span.Base, Height(int64(span.Length)))
	for rest := hashes[span.Length*HashSize:]; ; rest = rest[HashSize:] {
		if want, ok := known(layer, index); ok {
			if node != want || len(rest) != 0 && layer == Height(blocks) {
				return ErrProof
			}
			return nil
		}
		if len(rest) == 0 {
			return ErrProof
		}
		uncle := (*[32]byte)(rest)
		if index&1 == 0 {
			node = Parent(&node, uncle)
		} else {
			node = Parent(uncle, &node)
		}
		layer, index = layer+1, index/2
	}
}

// validPadding reports whether the hashes after the end of the file are padding hashes.
func validPadding(hashes []byte, blocks int64, span Span) bool {
	pad := Pad(span.Base)
	for k := max(layerLen(blocks, span.Base)-span.Index, 0); k < int64(span.Length); k++ {
		if [32]byte(hashes[k*HashSize:]) != pad {
			return false
		}
	}
	return true
}

// FromRoot returns a function for the known argument of [Verify] that knows only the
// root of a file with the given number of blocks.
func FromRoot(root [32]byte, blocks int64) func(layer int, index int64) ([32]byte, bool) {
	return func(layer int, index int64) ([32]byte, bool) {
		return root, layer == Height(blocks) && index == 0
	}
}

// ParentLayer appends to dst the hashes of the layer above the given one. hashes holds
// the layer with number layer.
func ParentLayer(dst, hashes []byte, layer int) []byte {
	for len(hashes) > 0 {
		n := min(len(hashes), 2*HashSize)
		h := subtree(hashes[:n], layer, 1)
		dst = append(dst, h[:]...)
		hashes = hashes[n:]
	}
	return dst
}
