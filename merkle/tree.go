// Package merkle implements the hash trees of BEP 52. Each file has one binary tree of
// SHA-256 hashes over its blocks of 16 KiB. The lowest layer is padded with zero hashes
// to a power of two.
//
// Layer 0 holds the hashes of the blocks; layers are counted upwards. The hashes of a
// layer are concatenated, 32 bytes each, as in torrents and messages. The functions are
// safe for concurrent use; a [Builder] is not.
package merkle

import (
	"crypto/sha256"
	"math/bits"
	"sync"
)

const (
	// BlockSize is the size of a block in bytes. The last block of a file can be
	// shorter and is hashed without padding.
	BlockSize = 16 << 10
	// HashSize is the size in bytes of a hash.
	HashSize = sha256.Size
	// MaxLayers is the largest height of a tree. No file has more than 2^62 blocks.
	MaxLayers = 62
)

// Layer returns the number of the layer whose hashes cover n bytes each. n is a power
// of two and at least BlockSize. For the piece length it returns the number of the
// piece layer.
func Layer(n int64) int { return bits.Len64(uint64(n)/BlockSize) - 1 }

// Height returns the layer of the root of a tree with n hashes in layer 0.
func Height(n int64) int {
	if n <= 1 {
		return 0
	}
	return bits.Len64(uint64(n - 1))
}

// Parent returns the hash of the parent of two sibling nodes.
func Parent(left, right *[32]byte) [32]byte {
	var b [2 * HashSize]byte
	copy(b[:], left[:])
	copy(b[HashSize:], right[:])
	return sha256.Sum256(b[:])
}

// Pad returns the padding hash of a layer from 0 to MaxLayers: the hash of a node with
// only padding below it. In layer 0 it is zero.
func Pad(layer int) [32]byte { return pads()[layer] }

// pads holds the padding hash of each layer.
var pads = sync.OnceValue(func() *[MaxLayers + 1][32]byte {
	p := new([MaxLayers + 1][32]byte)
	for k := range MaxLayers {
		p[k+1] = Parent(&p[k], &p[k])
	}
	return p
})

// Root returns the root of the smallest tree over the given hashes of a layer, padded
// to a power of two. The length of hashes must be a multiple of 32. A single hash is
// its own root; without hashes the root is zero. Root takes time proportional to the
// number of hashes and needs little memory.
func Root(hashes []byte, layer int) [32]byte {
	if len(hashes) < HashSize {
		return [32]byte{}
	}
	return subtree(hashes, layer, Height(int64(len(hashes)/HashSize)))
}

// subtree returns the root of a tree of the given height over at least one hash of a
// layer.
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

// Builder computes a root from hashes that are added one at a time. It uses a fixed
// amount of memory.
type Builder struct {
	layer int
	n     uint64
	part  [MaxLayers + 1][32]byte // roots of complete subtrees, one for each set bit of n
}

// NewBuilder returns a builder for hashes of the given layer.
func NewBuilder(layer int) *Builder { return &Builder{layer: layer} }

// Reset removes all hashes from the builder.
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

// AddAll adds the next hashes of the layer.
func (b *Builder) AddAll(hashes [][HashSize]byte) {
	for k := range hashes {
		b.Add(&hashes[k])
	}
}

// Root returns the root of the smallest tree over the hashes that were added, padded to
// a power of two. More hashes may be added afterwards.
func (b *Builder) Root() [32]byte {
	if b.n == 0 {
		return [32]byte{}
	}
	return b.RootAt(b.layer + Height(int64(b.n)))
}

// RootAt returns the root of a padded tree whose root is in layer top, which must not
// be below the layer that Root returns. It computes the hash of the last piece of a
// file if that piece is shorter than the others.
func (b *Builder) RootAt(top int) [32]byte {
	height := top - b.layer
	if b.n>>height&1 == 1 {
		return b.part[height] // the tree is complete
	}
	if b.n == 0 {
		return Pad(top)
	}
	// Go through the parts from right to left. node is the root of the tree over all
	// parts to the right of the next one.
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
