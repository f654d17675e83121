//go:build !amd64 || purego

package hashing

// There are no kernels for this processor: nothing below is called.
const (
	accelerated = false
	wide        = false
	widest      = false
)

func sha1Blocks(*[5]uint32, *byte, int)                { panic("no kernel") }
func sha1Blocks2(_, _ *[5]uint32, _, _ *byte, _ int)   { panic("no kernel") }
func sha256Blocks2(_, _ *[8]uint32, _, _ *byte, _ int) { panic("no kernel") }
func zeros3(*three, int)                               { panic("no kernel") }
func zeros16(*sixteen, int)                            { panic("no kernel") }
func zeros32(*thirtyTwo, int)                          { panic("no kernel") }
func sha1Blocks16(*sixteen, *[16]*byte, int)           { panic("no kernel") }
