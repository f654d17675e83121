package mse

import "encoding/binary"

// dropped is the number of bytes of a key stream that nobody uses, because they tell of the key.
const dropped = 1024

// stream is the state of RC4. The package crypto/rc4 takes twice as long, because it has bytes
// where stream has words, and writes a byte at a time.
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
	s, i, j := &c.s, c.i, c.j
	for len(src) >= 8 {
		var key uint64
		for n := 0; n < 64; n += 8 {
			i++
			x := s[i]
			j += uint8(x)
			y := s[j]
			s[i], s[j] = y, x
			key |= uint64(s[uint8(x+y)]) << n
		}
		binary.LittleEndian.PutUint64(dst, binary.LittleEndian.Uint64(src)^key)
		src, dst = src[8:], dst[8:]
	}
	for n := range src {
		i++
		x := s[i]
		j += uint8(x)
		y := s[j]
		s[i], s[j] = y, x
		dst[n] = src[n] ^ uint8(s[uint8(x+y)])
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
