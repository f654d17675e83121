// Package hashing hashes several independent messages at a time on one core. The
// SHA instructions of a processor leave it waiting for their results; two or
// three messages in turn fill those gaps, and give up to twice the throughput.
// Zeros, of which a hybrid torrent's padding consists (BEP 47), have kernels of
// their own.
//
// crypto/sha1 and crypto/sha256 are the reference and what is used where a
// processor has no such instructions; results are always theirs.
package hashing

import (
	"crypto/sha1"
	"crypto/sha256"
)

const (
	blockSize = 64 // of SHA-1 and of SHA-256

	// SizeSHA1 and SizeSHA256 are the lengths of the digests in bytes.
	SizeSHA1   = sha1.Size
	SizeSHA256 = sha256.Size
)

// Width returns how many messages [WriteSHA1] hashes best at a time: they take
// less than twice the time of half of them.
func Width() int {
	switch {
	case widest:
		return 16
	case accelerated:
		return 2
	}
	return 1
}
