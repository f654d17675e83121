//go:build !linux

package killpoint

// Main is there for tests that run on any system; what kills needs Linux.
func Main() (code int, asked bool) { return 0, false }
