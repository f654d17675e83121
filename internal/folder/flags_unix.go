//go:build unix

package folder

import "syscall"

// openFlags keep an open from waiting for the writer of a pipe, and a terminal
// from becoming that of the process.
const openFlags = syscall.O_NONBLOCK | syscall.O_NOCTTY

// dirFlags are those of a directory: anything else is not opened at all.
const dirFlags = openFlags | syscall.O_DIRECTORY

// itself, behind a path, has the system resolve the path as a directory, which a
// pipe is not.
const itself = "/."
