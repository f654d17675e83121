//go:build !unix

package folder

// No open waits here.
const (
	openFlags = 0
	dirFlags  = 0
	itself    = ""
)
