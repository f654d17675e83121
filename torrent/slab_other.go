//go:build !linux

package torrent

func newSlab(n int) []byte { return make([]byte, n) }
