package watch

import (
	"golang.org/x/sys/unix"

	"spate/internal/folder"
)

// openForWriting asks for a read lease, which the kernel grants only on a file
// that nobody has open for writing (fcntl(2), F_SETLEASE), and gives it back.
// Where leases are not to be had, on the files of others or on network file
// systems, nothing is known, and only time tells.
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
