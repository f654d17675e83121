package mse

import "encoding/binary"

// dropped is the number of bytes of a key stream that nobody uses, because they tell of the key.
const dropped = 1024

// stream is the state of RC4. The package crypto/rc4 takes twice as long, because it has bytes
// where stream has words, and writes a byte at a time. rc4_amd64.s knows the offsets of the fields.
type stream struct {
	s    [256]uint32
	i, j uint8
}

// newStream returns the stream of a key of 1 to 256 bytes, without its first bytes.
func newStream(key []byte) *stream {
	c := &stream{}
	for i := range c.s {
		c.s[i] = uint32(i)
	}
	var j uint8
	for i := range c.s {
		j += uint8(c.s[i]) + key[i%len(key)]
		c.s[i], c.s[j] = c.s[j], c.s[i]
	}
	var b [dropped]byte
	c.xor(b[:], b[:])
	return c
}

// xor encrypts or decrypts src into dst, which has at least the length of src, and is the same
// memory or does not overlap with it.
func (c *stream) xor(dst, src []byte) {
	dst = dst[:len(src)]
	if words := len(src) / 8; words > 0 {
		c.xorWords(dst, src)
		src, dst = src[8*words:], dst[8*words:]
	}
	for n := range src {
		var key uint64
		c.i++
		c.j, key = step(&c.s, c.i, c.j)
		dst[n] = src[n] ^ byte(key)
	}
}

// step makes a byte of the key stream, for the index i, and returns the next index j with it.
func step(s *[256]uint32, i, j uint8) (uint8, uint64) {
	x := s[i]
	j += uint8(x)
	y := s[j]
	s[i], s[j] = y, x
	return j, uint64(s[uint8(x+y)])
}

// xorWordsPortable is xor for the words of 8 bytes in src.
func (c *stream) xorWordsPortable(dst, src []byte) {
	s, i, j := &c.s, c.i, c.j
	var k [8]uint64
	for len(src) >= 8 && len(dst) >= 8 {
		j, k[0] = step(s, i+1, j)
		j, k[1] = step(s, i+2, j)
		j, k[2] = step(s, i+3, j)
		j, k[3] = step(s, i+4, j)
		j, k[4] = step(s, i+5, j)
		j, k[5] = step(s, i+6, j)
		j, k[6] = step(s, i+7, j)
		j, k[7] = step(s, i+8, j)
		i += 8
		key := k[0] | k[1]<<8 | k[2]<<16 | k[3]<<24 | k[4]<<32 | k[5]<<40 | k[6]<<48 | k[7]<<56
		binary.LittleEndian.PutUint64(dst, binary.LittleEndian.Uint64(src)^key)
		src, dst = src[8:], dst[8:]
	}
	c.i, c.j = i, j
}

// back takes the stream back by n bytes.
func (c *stream) back(n int) {
	s := &c.s
	for range n {
		x, y := s[c.j], s[c.i]
		s[c.i], s[c.j] = x, y
		c.j -= uint8(x)
		c.i--
	}
}
