//go:build !purego

package hashing

import "golang.org/x/sys/cpu"

// useSHA reports whether the processor has the SHA instructions and the other instructions
// that all kernels need. useAVX2 and useAVX512 report whether it also has vectors of 8 or
// 16 words.
var (
	useSHA    = detectSHA() && cpu.X86.HasSSSE3 && cpu.X86.HasSSE41
	useAVX2   = useSHA && cpu.X86.HasAVX2
	useAVX512 = useAVX2 && cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW
)

// detectSHA executes CPUID, because package cpu does not report the SHA instructions.
func detectSHA() bool {
	if most, _, _, _ := cpuid(0, 0); most < 7 {
		return false
	}
	_, b, _, _ := cpuid(7, 0)
	return b&(1<<29) != 0
}

// cpuid executes the CPUID instruction.
func cpuid(leaf, sub uint32) (a, b, c, d uint32)

// sha1Blocks hashes n blocks at p into h. n must be positive.
//
//go:noescape
func sha1Blocks(h *[5]uint32, p *byte, n int)

// sha1Blocks2 is like sha1Blocks for two messages.
//
//go:noescape
func sha1Blocks2(h0, h1 *[5]uint32, p0, p1 *byte, n int)

// sha256Blocks2 is like sha1Blocks2 for SHA-256.
//
//go:noescape
func sha256Blocks2(h0, h1 *[8]uint32, p0, p1 *byte, n int)

// zeros3 hashes n blocks of zeros into each of three messages. n must be positive.
//
//go:noescape
func zeros3(s *state3, n int)

// zeros16 is like zeros3 for 16 messages.
//
//go:noescape
func zeros16(s *state16, n int)

// zeros32 is like zeros3 for 32 messages.
//
//go:noescape
func zeros32(s *state32, n int)

// sha1Blocks16 is like sha1Blocks for 16 messages. p holds the address of each one's
// blocks.
//
//go:noescape
func sha1Blocks16(s *state16, p *[16]*byte, n int)
