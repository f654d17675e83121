package watch

import (
	"golang.org/x/sys/unix"

	"spate/internal/folder"
)

// openForWriting reports whether a process has the file open for writing. It requests a
// read lease, which the kernel refuses in this case (fcntl(2), F_SETLEASE). It returns
// false if leases are not available: for files of other users and on network file systems.
func openForWriting(in *folder.Folder, name string) bool {
	f, err := in.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	_, err = unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_RDLCK)
	if err == nil {
		unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_UNLCK)
	}
	return err == unix.EAGAIN
}
