//go:build unix

package maker

import "io/fs"

// hiddenByAttribute returns false: on Unix only the name makes a file hidden.
func hiddenByAttribute(fs.DirEntry) bool { return false }
