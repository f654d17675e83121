package lanes

import (
	"crypto/sha256"
	"encoding/binary"
)

// SumSHA256 puts the SHA-256 of ps[i] into dst[i], for all of them at a time.
// Messages of equal lengths beside each other go at full speed.
func SumSHA256(dst [][SizeSHA256]byte, ps [][]byte) {
	for i := 0; i < len(ps); {
		if accelerated && i+1 < len(ps) && len(ps[i]) == len(ps[i+1]) && len(ps[i]) > 0 {
			sumPair(&dst[i], &dst[i+1], ps[i], ps[i+1])
			i += 2
			continue
		}
		dst[i] = sha256.Sum256(ps[i])
		i++
	}
}

var init256 = [8]uint32{
	0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
}

// sumPair hashes two messages of one length, which is not 0.
func sumPair(d0, d1 *[SizeSHA256]byte, p0, p1 []byte) {
	h0, h1 := init256, init256
	whole := len(p0) &^ (blockSize - 1)
	for i := 0; i < whole; {
		n := min(whole-i, maxBlocks*blockSize)
		sha256Blocks2(&h0, &h1, &p0[i], &p1[i], n/blockSize)
		i += n
	}
	// The padding of FIPS 180-4: a one bit, zeros, the length in bits.
	var end [2][2 * blockSize]byte
	rest := copy(end[0][:], p0[whole:])
	copy(end[1][:], p1[whole:])
	n := blockSize
	if rest+1+8 > blockSize {
		n = 2 * blockSize
	}
	for i := range end {
		end[i][rest] = 0x80
		binary.BigEndian.PutUint64(end[i][n-8:], uint64(len(p0))*8)
	}
	sha256Blocks2(&h0, &h1, &end[0][0], &end[1][0], n/blockSize)
	for i := range h0 {
		binary.BigEndian.PutUint32(d0[4*i:], h0[i])
		binary.BigEndian.PutUint32(d1[4*i:], h1[i])
	}
}
