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

// MaxRequest is the most hashes that BEP 52 lets one request ask for.
const MaxRequest = 512

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
	if leaves <= 0 || s.Base < 0 || s.Index < 0 || s.Proof < 0 || s.Length < 2 || s.Length > MaxRequest || s.Length&(s.Length-1) != 0 {
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
	pad := Pad(span.Base)
	for k := span.Index; k < span.Index+int64(span.Length); k++ {
		if k < n {
			dst = append(dst, layer[k*HashSize:(k+1)*HashSize]...)
		} else {
			dst = append(dst, pad[:]...)
		}
	}
	size := int64(span.Length) // of the subtree that is proved so far, in hashes
	for range span.Uncles() {
		start := (span.Index/size ^ 1) * size // of the subtree next to it
		uncle := Pad(span.Base + Height(size))
		if start < n {
			uncle = subtree(layer[start*HashSize:min(start+size, n)*HashSize], span.Base, Height(size))
		}
		dst = append(dst, uncle[:]...)
		size *= 2
	}
	return dst, nil
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
