//go:build unix && !aix && !solaris

package swarm

import "golang.org/x/sys/unix"

// mapMemory returns n zero bytes mapped from the system, or from the heap if that
// fails.
func mapMemory(n int) []byte {
	b, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return make([]byte, n)
	}
	return b
}

// unmapMemory frees the memory of mapMemory. Munmap returns an error for memory from
// the heap, which the garbage collector frees.
func unmapMemory(b []byte) { _ = unix.Munmap(b) }

// discard returns the pages of a segment to the system, which makes its content
// undefined. It reports whether that was possible.
func discard(seg []byte) bool { return unix.Madvise(seg, unix.MADV_DONTNEED) == nil }
