//go:build !linux

package killpoint

// Main returns 0 and false on this system, because only Linux is supported.
func Main() (code int, asked bool) { return 0, false }
