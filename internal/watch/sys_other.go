//go:build !unix

package watch

import "io/fs"

// inode returns 0, because this system has no inode numbers.
func inode(fs.FileInfo) uint64 { return 0 }

// device returns 0, because this system has no numbers of file systems.
func device(fs.FileInfo) uint64 { return 0 }
