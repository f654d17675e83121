//go:build unix

package folder

import "syscall"

// openFlags make an open return at once for a pipe without a writer, and keep a terminal
// from becoming the controlling terminal of the process.
const openFlags = syscall.O_NONBLOCK | syscall.O_NOCTTY

// dirFlags make an open fail for all entries except directories.
const dirFlags = openFlags | syscall.O_DIRECTORY

// dirSuffix after a path makes an open fail for all entries except directories.
const dirSuffix = "/."
