//go:build !amd64 || purego

package hashing

// There are no kernels for this processor, so the functions below are never called.
const (
	useSHA    = false
	useAVX2   = false
	useAVX512 = false
)

func sha1Blocks(*[5]uint32, *byte, int)                { panic("no kernel") }
func sha1Blocks2(_, _ *[5]uint32, _, _ *byte, _ int)   { panic("no kernel") }
func sha256Blocks2(_, _ *[8]uint32, _, _ *byte, _ int) { panic("no kernel") }
func zeros3(*state3, int)                              { panic("no kernel") }
func zeros16(*state16, int)                            { panic("no kernel") }
func zeros32(*state32, int)                            { panic("no kernel") }
func sha1Blocks16(*state16, *[16]*byte, int)           { panic("no kernel") }
