package merkle

import (
	"errors"
	"math/bits"
)

// ErrProof is the error for hashes that do not lead to the root they should.
var ErrProof = errors.New("merkle: the hashes do not lead to the root")

// ErrRange is the error for a request of hashes outside of a tree, or of a shape
// that BEP 52 does not allow.
var ErrRange = errors.New("merkle: no such hashes")

// MaxRequest is the most hashes that one request should ask for (BEP 52), and
// MaxAnswer the most that one is answered with: a request for the blocks of a piece
// of 128 MiB.
const (
	MaxRequest = 512
	MaxAnswer  = 8192
)

// Span is what the messages of BEP 52 say of the hashes that they are about: the
// Length hashes from Index on of the layer Base, and the uncles that lead up
// from them over Proof layers.
type Span struct {
	Base   int // layer: 0 for blocks
	Index  int64
	Length int // a power of two, from 2 on
	Proof  int // layers above Base that the uncles are to reach
}

// Uncles returns how many uncle hashes follow the hashes of the span: one for
// each proof layer that the hashes do not yield themselves.
func (s Span) Uncles() int { return max(0, s.Proof-bits.Len(uint(s.Length))+2) }

// valid reports whether the span lies in a tree with leaves hashes in layer 0,
// filling included.
func (s Span) valid(leaves int64) bool {
	if leaves <= 0 || s.Base < 0 || s.Index < 0 || s.Proof < 0 || s.Length < 2 || s.Length > MaxAnswer || s.Length&(s.Length-1) != 0 {
		return false
	}
	layers := Height(leaves) - s.Base // above Base, the root's included
	if layers <= 0 || s.Proof >= layers || s.Index%int64(s.Length) != 0 {
		return false
	}
	return s.Index+int64(s.Length) <= 1<<layers
}

// Prove appends to dst the hashes of span, and its uncles from the lowest layer
// upwards, as the answer to a request (BEP 52). leaves is the number of blocks
// of the file. layer has the concatenated hashes of the layer span.Base; what is
// past its end is filling. The error is [ErrRange].
//
// It takes time in proportion to the layer, for it computes the uncles anew.
func Prove(dst, layer []byte, leaves int64, span Span) ([]byte, error) {
	n := int64(len(layer) / HashSize)
	if !span.valid(leaves) || n != nodes(leaves, span.Base) || span.Index >= n {
		return dst, ErrRange
	}
	dst = appendRun(dst, layer, span.Base, span.Index, int64(span.Length))
	above := Height(int64(span.Length)) // of the subtree that is proved so far, in layers
	for range span.Uncles() {
		uncle := node(layer, span.Base, above, span.Index>>above^1)
		dst = append(dst, uncle[:]...)
		above++
	}
	return dst, nil
}

// ProveBlocks is [Prove] for a span below the layer of the piece hashes, top, that
// lies within one piece. leaves has the hashes of the blocks of that piece,
// filling not counted, and pieces the piece layer of the file; that of a file of
// one piece is not looked at.
//
// It takes time in proportion to both, for it computes what lies between anew.
func ProveBlocks(dst, leaves, pieces []byte, top int, blocks int64, span Span) ([]byte, error) {
	if span.Base >= top || !span.valid(blocks) || span.Base+Height(int64(span.Length)) > top {
		return dst, ErrRange
	}
	piece := span.Index << span.Base >> top
	first := piece << (top - span.Base) // hash of the piece in the layer of the span
	if int64(len(leaves)/HashSize) != min(1<<top, blocks-piece<<top) {
		return dst, ErrRange
	}
	layer := leaves
	for k := range span.Base {
		layer = Up(nil, layer, k)
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
			uncle = node(pieces, top, up, piece>>up^1)
		}
		dst = append(dst, uncle[:]...)
		above++
	}
	return dst, nil
}

// appendRun appends n hashes of a layer, filling where it has ended.
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

// node returns the hash of a node that stands above hashes of the layer number,
// which ends where filling begins.
func node(layer []byte, number, above int, index int64) [32]byte {
	n := int64(len(layer) / HashSize)
	start := index << above
	if start >= n {
		return Pad(number + above)
	}
	return subtree(layer[start*HashSize:min(start+1<<above, n)*HashSize], number, above)
}

// nodes returns how many hashes of a layer are above leaves blocks, filling not
// counted.
func nodes(leaves int64, layer int) int64 {
	n := leaves >> layer
	if leaves&(1<<layer-1) != 0 {
		n++
	}
	return n
}

// Verify checks an answer to a request for span: its hashes, and behind them
// its uncles, as they came. The uncles must reach up to what is known: to the
// root, where span.Proof is the largest that there is, or to a hash of a layer
// that was verified before.
//
// leaves is the number of blocks of the file. known returns the verified hash of
// a node: of the root, whose index is 0, or of others; false for one that is not
// known. The error is [ErrRange] for a span that does not fit the file, and
// [ErrProof] for hashes that are wrong or do not reach anything known.
func Verify(hashes []byte, leaves int64, span Span, known func(layer int, index int64) ([32]byte, bool)) error {
	if !span.valid(leaves) || len(hashes) != (span.Length+span.Uncles())*HashSize {
		return ErrRange
	}
	if !fillingIsRight(hashes, leaves, span) {
		return ErrProof
	}
	layer := span.Base + Height(int64(span.Length))
	index := span.Index / int64(span.Length)
	node := subtree(hashes[:span.Length*HashSize], span.Base, Height(int64(span.Length)))
	for rest := hashes[span.Length*HashSize:]; ; rest = rest[HashSize:] {
		if want, ok := known(layer, index); ok {
			if node != want || len(rest) != 0 && layer == Height(leaves) {
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

// fillingIsRight reports whether the hashes past the end of the file are those
// of filling.
func fillingIsRight(hashes []byte, leaves int64, span Span) bool {
	pad := Pad(span.Base)
	for k := max(nodes(leaves, span.Base)-span.Index, 0); k < int64(span.Length); k++ {
		if [32]byte(hashes[k*HashSize:]) != pad {
			return false
		}
	}
	return true
}

// FromRoot is what [Verify] knows when nothing but the root of the tree over
// leaves blocks is known.
func FromRoot(root [32]byte, leaves int64) func(layer int, index int64) ([32]byte, bool) {
	return func(layer int, index int64) ([32]byte, bool) {
		return root, layer == Height(leaves) && index == 0
	}
}

// Up appends to dst the hashes of the layer above that of hashes, which has the
// number layer.
func Up(dst, hashes []byte, layer int) []byte {
	for len(hashes) > 0 {
		n := min(len(hashes), 2*HashSize)
		h := subtree(hashes[:n], layer, 1)
		dst = append(dst, h[:]...)
		hashes = hashes[n:]
	}
	return dst
}
