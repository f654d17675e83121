package hashing

// state3 holds the states of three SHA-1 messages in the order that the SHA
// instructions need: d, c, b, a, three unused words, and e.
type state3 [3][8]uint32

// state16 holds the states of 16 messages word by word: all a, all b, and so on.
type state16 [5][16]uint32

// state32 is like state16 for 32 messages.
type state32 [5][32]uint32

// minRunsZeros is the minimum number of messages for which the vector kernels are faster
// than the kernel with three lanes, even if some lanes are empty. A block takes about 150
// ns in 16 or 32 lanes and 46 ns in three (AMD Zen 4, 3.7 GHz).
const minRunsZeros = 11

// vectorZeros returns the fastest kernel for zeros in many messages. Its width is 0 if the
// processor has no vector instructions.
func vectorZeros() kernel {
	switch {
	case useAVX512:
		return zeroKernel32()
	case useAVX2:
		return zeroKernel16()
	}
	return kernel{}
}

// hashZeros hashes runs of zeros. It uses the kernel many while there are enough runs for
// it.
func hashZeros(runs []run, many kernel) {
	if many.width > 0 {
		runs = many.hash(runs, minRunsZeros)
	}
	zeroKernel3().hash(runs, 1)
}

// zeroKernel32 returns the kernel that hashes zeros in 32 lanes.
func zeroKernel32() kernel {
	var s state32
	return kernel{32, func(runs []run, n int) {
		for i, r := range runs {
			for w := range s {
				s[w][i] = r.h[w]
			}
		}
		zeros32(&s, n)
		for i, r := range runs {
			for w := range s {
				r.h[w] = s[w][i]
			}
		}
	}}
}

// zeroKernel16 returns the kernel that hashes zeros in 16 lanes.
func zeroKernel16() kernel {
	var s state16
	return kernel{16, func(runs []run, n int) {
		s.load(runs)
		zeros16(&s, n)
		s.unload(runs)
	}}
}

// zeroKernel3 returns the kernel that hashes zeros in three lanes.
func zeroKernel3() kernel {
	var s state3
	return kernel{3, func(runs []run, n int) {
		for i, r := range runs {
			s[i] = [8]uint32{r.h[3], r.h[2], r.h[1], r.h[0], 7: r.h[4]}
		}
		zeros3(&s, n)
		for i, r := range runs {
			*r.h = [5]uint32{s[i][3], s[i][2], s[i][1], s[i][0], s[i][7]}
		}
	}}
}

// load copies the states of the runs into s. The other lanes keep their old content.
func (s *state16) load(runs []run) {
	for i, r := range runs {
		for w := range s {
			s[w][i] = r.h[w]
		}
	}
}

// unload copies the states in s back to the runs.
func (s *state16) unload(runs []run) {
	for i, r := range runs {
		for w := range s {
			r.h[w] = s[w][i]
		}
	}
}
