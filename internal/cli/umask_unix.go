//go:build unix

package cli

import (
	"io/fs"
	"sync"
	"syscall"
)

// umask returns the process's file mode creation mask.
var umask = sync.OnceValue(func() fs.FileMode {
	m := syscall.Umask(0o77)
	syscall.Umask(m)
	return fs.FileMode(m)
})
