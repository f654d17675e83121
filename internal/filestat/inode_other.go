//go:build !unix

package filestat

import "io/fs"

// Inode returns 0, because a FileInfo has no inode number on this system.
func Inode(fs.FileInfo) uint64 { return 0 }

// Device returns 0, because a FileInfo has no number of the file system on this system.
func Device(fs.FileInfo) uint64 { return 0 }
