// Package merkle has the hash trees of BEP 52: SHA-256 over blocks of 16 KiB,
// one binary tree for each file, filled up with zeros to a full one.
//
// Layers count upwards from the blocks, which are layer 0. Hashes stand
// concatenated, 32 bytes each, as torrents and peers carry them. Everything here
// is a pure function or has no lock.
package merkle

import (
	"crypto/sha256"
	"math/bits"
	"sync"
)

const (
	// BlockSize is the size in bytes of what a leaf is the hash of; the last block
	// of a file can be shorter and is hashed as it is.
	BlockSize = 16 << 10
	// HashSize is the size in bytes of a hash.
	HashSize = sha256.Size
	// MaxLayers bounds the height of a tree: 2^62 blocks are more than any file.
	MaxLayers = 62
)

// Layer returns the layer of the hashes that cover n bytes each, for a power of
// two from BlockSize on: of the pieces of n bytes.
func Layer(n int64) int { return bits.Len64(uint64(n)/BlockSize) - 1 }

// Height returns the layer of the root of a tree over n hashes of layer 0.
func Height(n int64) int {
	if n <= 1 {
		return 0
	}
	return bits.Len64(uint64(n - 1))
}

// Parent returns the hash of two nodes that are next to each other.
func Parent(left, right *[32]byte) [32]byte {
	var b [2 * HashSize]byte
	copy(b[:], left[:])
	copy(b[HashSize:], right[:])
	return sha256.Sum256(b[:])
}

// Pad returns the hash of a node of the given layer, up to MaxLayers, with
// nothing but filling below it: zero for a leaf.
func Pad(layer int) [32]byte { return pads()[layer] }

// pads follows from SHA-256 alone.
var pads = sync.OnceValue(func() *[MaxLayers + 1][32]byte {
	p := new([MaxLayers + 1][32]byte)
	for k := range MaxLayers {
		p[k+1] = Parent(&p[k], &p[k])
	}
	return p
})

// Root returns the root of the smallest tree over hashes of the given layer, a
// multiple of 32 bytes; missing ones count as filling. A single hash is its own
// root; of none it is zero. It takes time in proportion to the hashes, and next
// to no memory.
func Root(hashes []byte, layer int) [32]byte {
	if len(hashes) < HashSize {
		return [32]byte{}
	}
	return subtree(hashes, layer, Height(int64(len(hashes)/HashSize)))
}

// subtree returns the root of the tree of the given height over one hash or
// more.
func subtree(hashes []byte, layer, height int) [32]byte {
	if height == 0 {
		return [32]byte(hashes)
	}
	half := HashSize << (height - 1)
	if len(hashes) == 2*HashSize && height == 1 {
		return sha256.Sum256(hashes)
	}
	if len(hashes) <= half {
		left := subtree(hashes, layer, height-1)
		return Parent(&left, &pads()[layer+height-1])
	}
	left := subtree(hashes[:half], layer, height-1)
	right := subtree(hashes[half:], layer, height-1)
	return Parent(&left, &right)
}

// Builder computes a root from the hashes of a layer as they come, in memory of
// a fixed size.
type Builder struct {
	layer int
	n     uint64
	part  [MaxLayers + 1][32]byte // roots of full subtrees: one for each bit of n
}

// NewBuilder returns a builder over hashes of the given layer.
func NewBuilder(layer int) *Builder { return &Builder{layer: layer} }

// Reset makes the builder empty.
func (b *Builder) Reset() { b.n = 0 }

// Len returns how many hashes were added.
func (b *Builder) Len() int64 { return int64(b.n) }

// Add adds the next hash of the layer.
func (b *Builder) Add(h *[32]byte) {
	node := *h
	k := 0
	for ; b.n>>k&1 == 1; k++ {
		node = Parent(&b.part[k], &node)
	}
	b.part[k] = node
	b.n++
}

// Root returns the root of the smallest tree over what was added. More may be
// added afterwards.
func (b *Builder) Root() [32]byte {
	if b.n == 0 {
		return [32]byte{}
	}
	return b.RootAt(b.layer + Height(int64(b.n)))
}

// RootAt returns the root at layer top, at or above that of Root, with filling
// for what was not added: the hash of a piece at the end of a file that is
// shorter than a piece.
func (b *Builder) RootAt(top int) [32]byte {
	height := top - b.layer
	if b.n>>height&1 == 1 {
		return b.part[height] // a full tree
	}
	if b.n == 0 {
		return Pad(top)
	}
	// From the right: node is the root of what stands right of the next part,
	// at its layer, once there is anything.
	k := bits.TrailingZeros64(b.n)
	node := b.part[k]
	for ; k < height; k++ {
		if b.n>>k&1 == 1 && b.n&(1<<k-1) != 0 {
			node = Parent(&b.part[k], &node)
		} else {
			node = Parent(&node, &pads()[b.layer+k])
		}
	}
	return node
}
