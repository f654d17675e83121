package torrent

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// hugePage is the size of a huge page on amd64 and arm64 if small pages have 4 KiB.
const hugePage = 2 << 20

// newSlab returns n zero bytes aligned to a huge page; n must be a multiple of
// hugePage. The bytes before and after them are never touched and so need no memory.
func newSlab(n int) []byte {
	b := make([]byte, n+hugePage)
	skip := -uintptr(unsafe.Pointer(unsafe.SliceData(b))) % hugePage
	b = b[skip:][:n:n]
	unix.Madvise(b, unix.MADV_HUGEPAGE) // without it the kernel uses small pages
	return b
}
