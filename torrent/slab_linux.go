package torrent

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// hugePage is the size of a huge page on amd64 and arm64, for pages of 4 KiB.
const hugePage = 2 << 20

// newSlab returns n zero bytes, a multiple of a huge page, that begin on one. What
// lies before and behind them is never touched, and so takes no memory.
func newSlab(n int) []byte {
	b := make([]byte, n+hugePage)
	skip := -uintptr(unsafe.Pointer(unsafe.SliceData(b))) % hugePage
	b = b[skip:][:n:n]
	unix.Madvise(b, unix.MADV_HUGEPAGE) // else they are small pages
	return b
}
