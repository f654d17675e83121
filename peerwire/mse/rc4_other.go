//go:build !amd64 || purego

package mse

func (c *stream) xorWords(dst, src []byte) { c.xorWordsPortable(dst, src) }
