package publish

import (
	"os"

	"golang.org/x/sys/unix"
)

// clone creates the file to, which shares its blocks with src (ioctl_ficlone(2)).
func clone(src *os.File, to string) error {
	dst, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer dst.Close()
	if err := unix.IoctlFileClone(int(dst.Fd()), int(src.Fd())); err != nil {
		os.Remove(to)
		return err
	}
	return nil
}
