package lanes

// three are the states of three SHA-1 messages as the SHA instructions want
// them: d, c, b, a and then e after three words of anything.
type three [3][8]uint32

// sixteen are the states of sixteen, word by word: all a, all b, ...
type sixteen [5][16]uint32

// zeroRun is a message that n > 0 blocks of zeros are to be appended to.
type zeroRun struct {
	h *[5]uint32
	n int
}

const (
	// maxRun bounds the blocks of one call of a kernel, which the scheduler
	// cannot interrupt: about 3 ms.
	maxRun = 1 << 14

	// manyRuns is where sixteen lanes are faster than three, even when some of
	// them are empty: a block takes 165 ns in the sixteen and 49 ns in the three
	// (AMD Zen 3, 3.4 GHz).
	manyRuns = 11
)

// zeroLanes is a set of messages that a kernel works on, in lanes that it loads
// and unloads. A lane without a message works on rubbish.
type zeroLanes struct {
	queue  []zeroRun
	lanes  []zeroRun // what the lanes hold; h is nil for nothing
	load   func(lane int, h *[5]uint32)
	unload func(lane int, h *[5]uint32)
	kernel func(n int)
}

// runZeros appends zeros to all of the runs, which it uses as its own.
func runZeros(runs []zeroRun) {
	if wide && len(runs) >= manyRuns {
		var s sixteen
		z := zeroLanes{
			queue: runs, lanes: make([]zeroRun, 16),
			load: func(i int, h *[5]uint32) {
				for w := range s {
					s[w][i] = h[w]
				}
			},
			unload: func(i int, h *[5]uint32) {
				for w := range s {
					h[w] = s[w][i]
				}
			},
			kernel: func(n int) { zeros16(&s, n) },
		}
		runs = z.run(manyRuns)
	}
	var s three
	z := zeroLanes{
		queue: runs, lanes: make([]zeroRun, 3),
		load: func(i int, h *[5]uint32) { s[i] = [8]uint32{h[3], h[2], h[1], h[0], 7: h[4]} },
		unload: func(i int, h *[5]uint32) {
			*h = [5]uint32{s[i][3], s[i][2], s[i][1], s[i][0], s[i][7]}
		},
		kernel: func(n int) { zeros3(&s, n) },
	}
	z.run(1)
}

// run works until fewer than least messages are left, and returns those.
func (z *zeroLanes) run(least int) []zeroRun {
	for {
		n, busy := maxRun, 0
		for i := range z.lanes {
			l := &z.lanes[i]
			if last := len(z.queue) - 1; l.h == nil && last >= 0 {
				*l, z.queue = z.queue[last], z.queue[:last]
				z.load(i, l.h)
			}
			if l.h != nil {
				n, busy = min(n, l.n), busy+1
			}
		}
		if busy < least {
			break
		}
		z.kernel(n)
		for i := range z.lanes {
			l := &z.lanes[i]
			if l.n -= n; l.h != nil && l.n == 0 {
				z.unload(i, l.h)
				l.h = nil
			}
		}
	}
	for i, l := range z.lanes {
		if l.h != nil {
			z.unload(i, l.h)
			z.queue = append(z.queue, l)
		}
	}
	return z.queue
}
