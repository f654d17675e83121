//go:build !linux

package watch

import "spate/internal/folder"

// openForWriting returns false, because this system does not report which files are open.
func openForWriting(*folder.Folder, string) bool { return false }
