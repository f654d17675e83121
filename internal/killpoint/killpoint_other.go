//go:build !linux

package killpoint

// Main does nothing on this system; killing needs Linux.
func Main() (code int, asked bool) { return 0, false }
