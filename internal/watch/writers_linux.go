package watch

import (
	"golang.org/x/sys/unix"

	"spate/internal/folder"
)

// fileWriters reports whether a process has the file open for writing. It requests a read
// lease, which the kernel refuses in this case (fcntl(2), F_SETLEASE). Leases are not
// available for files of other users and on network file systems.
func fileWriters(in *folder.Folder, name string) writers {
	f, err := in.Open(name)
	if err != nil {
		return unknownWriters
	}
	defer f.Close()
	_, err = unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_RDLCK)
	switch err {
	case nil:
		unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_UNLCK)
		return noWriters
	case unix.EAGAIN:
		return someWriters
	}
	return unknownWriters
}
