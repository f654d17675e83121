//go:build !unix

package folder

// Opening a file never blocks on these systems.
const (
	openFlags = 0
	dirFlags  = 0
	dirSuffix = ""
)
