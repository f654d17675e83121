package hashing

// three are the states of three SHA-1 messages as the SHA instructions want
// them: d, c, b, a and then e after three words of anything.
type three [3][8]uint32

// sixteen are the states of sixteen, word by word: all a, all b, ...
type sixteen [5][16]uint32

// thirtyTwo are those of thirty-two.
type thirtyTwo [5][32]uint32

// manyZeros is where the wide kernels are faster than the one of three lanes,
// even when some of theirs are empty: a block takes about 150 ns in the sixteen
// and in the thirty-two, and 46 ns in the three (AMD Zen 4, 3.7 GHz).
const manyZeros = 11

// wideZeros returns the best kernel for zeros in many messages; its width is 0
// if there is none.
func wideZeros() kernel {
	switch {
	case widest:
		return zerosOf32()
	case wide:
		return zerosOf16()
	}
	return kernel{}
}

// hashZeros hashes runs of zeros; while there are many of them, by the kernel
// that is given.
func hashZeros(runs []run, many kernel) {
	if many.width > 0 {
		runs = many.hash(runs, manyZeros)
	}
	zerosOf3().hash(runs, 1)
}

func zerosOf32() kernel {
	var s thirtyTwo
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

func zerosOf16() kernel {
	var s sixteen
	return kernel{16, func(runs []run, n int) {
		s.load(runs)
		zeros16(&s, n)
		s.unload(runs)
	}}
}

func zerosOf3() kernel {
	var s three
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

// load puts the states of the runs into as many lanes; the others keep rubbish.
func (s *sixteen) load(runs []run) {
	for i, r := range runs {
		for w := range s {
			s[w][i] = r.h[w]
		}
	}
}

func (s *sixteen) unload(runs []run) {
	for i, r := range runs {
		for w := range s {
			r.h[w] = s[w][i]
		}
	}
}
