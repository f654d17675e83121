//go:build unix

package torrentfile

import (
	"io/fs"
	"sync"
	"syscall"
)

// umask returns the file mode creation mask of the process.
var umask = sync.OnceValue(func() fs.FileMode {
	m := syscall.Umask(0o77)
	syscall.Umask(m)
	return fs.FileMode(m)
})
