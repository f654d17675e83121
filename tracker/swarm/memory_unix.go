//go:build unix && !aix && !solaris

package swarm

import "golang.org/x/sys/unix"

// mapMemory returns n zero bytes straight from the system, or from the heap
// where it refuses.
func mapMemory(n int) []byte {
	b, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return make([]byte, n)
	}
	return b
}

// unmapMemory returns what mapMemory gave. It fails for memory of the heap, for
// x/sys knows its own mappings; the collector takes that back.
func unmapMemory(b []byte) { _ = unix.Munmap(b) }

// discard lets the system have the pages of a segment; its content is then
// undefined. It reports whether that was possible.
func discard(seg []byte) bool { return unix.Madvise(seg, unix.MADV_DONTNEED) == nil }
