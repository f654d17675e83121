//go:build !linux

package maker

// spins reports whether the device is a disk that has to seek; unknown here.
func spins(uint64) bool { return false }
