// Package hashing hashes several independent messages at once on one core (multi-buffer
// hashing). A SHA instruction has to wait for the result of the previous one. Working on
// two or three messages in turn uses this time and up to doubles the throughput. A kernel
// is a function that hashes several messages at once, each in its own lane. Blocks of zeros
// have their own kernels, because the padding of hybrid torrents (BEP 47) consists of
// zeros.
//
// On processors without these instructions the package uses crypto/sha1 and crypto/sha256.
// The results are the same.
package hashing

import (
	"crypto/sha1"
	"crypto/sha256"
)

const (
	blockSize = 64 // block size of SHA-1 and SHA-256 in bytes

	// SizeSHA1 and SizeSHA256 are the lengths of the digests in bytes.
	SizeSHA1   = sha1.Size
	SizeSHA256 = sha256.Size
)

// Width returns the number of messages that [WriteSHA1] hashes most efficiently in
// one call. Hashing them takes less than twice as long as hashing half of them.
func Width() int {
	switch {
	case useAVX512:
		return 16
	case useSHA:
		return 2
	}
	return 1
}
