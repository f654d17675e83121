//go:build !purego

package hashing

import "golang.org/x/sys/cpu"

// accelerated: the SHA instructions are there, and what the kernels need
// besides. wide: so are vectors of eight words. widest: so are those of sixteen.
var (
	accelerated = hasSHA() && cpu.X86.HasSSSE3 && cpu.X86.HasSSE41
	wide        = accelerated && cpu.X86.HasAVX2
	widest      = wide && cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW
)

// hasSHA asks the processor, for cpu.X86 has no word for it.
func hasSHA() bool {
	if most, _, _, _ := cpuid(0, 0); most < 7 {
		return false
	}
	_, b, _, _ := cpuid(7, 0)
	return b&(1<<29) != 0
}

func cpuid(leaf, sub uint32) (a, b, c, d uint32)

// sha1Blocks hashes n > 0 blocks at p into h.
//
//go:noescape
func sha1Blocks(h *[5]uint32, p *byte, n int)

// sha1Blocks2 does so for two messages.
//
//go:noescape
func sha1Blocks2(h0, h1 *[5]uint32, p0, p1 *byte, n int)

// sha256Blocks2 is sha1Blocks2 for SHA-256.
//
//go:noescape
func sha256Blocks2(h0, h1 *[8]uint32, p0, p1 *byte, n int)

// zeros3 hashes n > 0 blocks of zeros into each of three messages.
//
//go:noescape
func zeros3(s *three, n int)

// zeros16 does so for sixteen.
//
//go:noescape
func zeros16(s *sixteen, n int)

// zeros32 does so for thirty-two.
//
//go:noescape
func zeros32(s *thirtyTwo, n int)

// sha1Blocks16 is sha1Blocks for sixteen messages, of which p are the blocks.
//
//go:noescape
func sha1Blocks16(s *sixteen, p *[16]*byte, n int)
