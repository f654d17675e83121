package hashing

import (
	"math/rand/v2"
	"testing"
)

// kernels returns the kernels that this processor can run, and which of them hash data.
func kernels() (list map[string]func() kernel, data map[string]bool) {
	list = map[string]func() kernel{}
	if useSHA {
		list["zeros of 3"] = zeroKernel3
	}
	if useAVX2 {
		list["zeros of 16"] = zeroKernel16
	}
	if useAVX512 {
		list["zeros of 32"] = zeroKernel32
		list["data of 16"] = dataKernel16
	}
	return list, map[string]bool{"data of 16": true}
}

// TestKernels checks each kernel with different numbers and lengths of messages.
func TestKernels(t *testing.T) {
	list, data := kernels()
	for name, k := range list {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			for n := 1; n <= 70; n++ {
				checkKernel(t, r, k(), n, 1+r.IntN(200), data[name])
			}
			checkKernel(t, r, k(), 17, 5000, data[name])
			checkKernel(t, r, k(), 3, 3*maxBlocks, data[name])
		})
	}
}

// checkKernel hashes n messages of 1 to most blocks.
func checkKernel(t *testing.T, r *rand.Rand, k kernel, n, most int, data bool) {
	t.Helper()
	got, want := make([][5]uint32, n), make([][5]uint32, n)
	runs := make([]run, n)
	for i := range runs {
		for w := range got[i] {
			got[i][w] = r.Uint32()
		}
		want[i] = got[i]
		blocks := 1 + r.IntN(most)
		p := make([]byte, blocks*blockSize)
		runs[i] = run{&got[i], nil, blocks}
		if data {
			for b := range p {
				p[b] = byte(r.Uint32())
			}
			runs[i].p = p
		}
		sha1Blocks(&want[i], &p[0], blocks)
	}
	if left := k.hash(runs, 1); len(left) > 0 {
		t.Fatalf("%d of %d messages are left, want 0", len(left), n)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("the state of message %d of %d with up to %d blocks is %x, want %x", i, n, most, got[i], want[i])
		}
	}
}

// TestKernelFullLanes checks that no lane is empty for long if all messages have the
// same length.
func TestKernelFullLanes(t *testing.T) {
	for _, n := range []int{16, 17, 24, 31, 33, 128} {
		var h [5]uint32
		runs := make([]run, n)
		for i := range runs {
			runs[i] = run{h: &h, n: 1600}
		}
		lanes := 0
		k := kernel{16, func(runs []run, n int) { lanes += 16 * n }}
		k.hash(runs, 1)
		if most := (n*1600 + 16*100*3) * 105 / 100; lanes > most {
			t.Errorf("%d messages of 1600 blocks take %d blocks in all lanes, want at most %d", n, lanes, most)
		}
	}
}

// TestKernelReturnsRest checks that hash returns the runs that are too few for the
// kernel.
func TestKernelReturnsRest(t *testing.T) {
	var h [5]uint32
	k := kernel{4, func([]run, int) {}}
	runs := []run{{&h, nil, 300}, {&h, nil, 100}, {&h, nil, 400}, {&h, nil, 100}, {&h, nil, 100}}
	left := k.hash(runs, 3)
	sum := 0
	for _, r := range left {
		sum += r.n
	}
	if len(left) != 2 || sum < 300 {
		t.Errorf("%d runs with %d blocks are left, want 2 with at least 300", len(left), sum)
	}
	if left := k.hash(nil, 1); len(left) != 0 {
		t.Errorf("%d runs are left of none", len(left))
	}
}

// BenchmarkKernels measures each kernel with full lanes.
func BenchmarkKernels(b *testing.B) {
	list, data := kernels()
	for name, k := range list {
		b.Run(name, func(b *testing.B) {
			k := k()
			runs := make([]run, k.width)
			h := make([][5]uint32, k.width)
			for i := range runs {
				runs[i] = run{&h[i], nil, 1000}
				if data[name] {
					runs[i].p = make([]byte, 1000*blockSize)
				}
			}
			b.SetBytes(int64(k.width * 1000 * blockSize))
			for b.Loop() {
				k.step(runs, 1000)
			}
		})
	}
}
