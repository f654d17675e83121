//go:build unix

package filetrust

import (
	"errors"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// GiveToOwner gives the file at path, which root has written into the directory of another user, to
// that user. It does nothing for other users, and if the directory belongs to root.
func GiveToOwner(path string) error {
	if myUID() != 0 {
		return nil
	}
	dir, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return err
	}
	to, ok := ownerOf(dir)
	if !ok || to.uid == 0 {
		return nil
	}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	// The owner of the directory can exchange the file for a link to another one.
	if st, ok := info.Sys().(*syscall.Stat_t); !ok || !info.Mode().IsRegular() || st.Nlink != 1 {
		return &fs.PathError{Op: "chown", Path: path, Err: errors.New("it is no regular file, or has several names")}
	}
	return f.Chown(int(to.uid), int(to.gid))
}

// appendFlags make the open of a pipe without a reader return an error.
const appendFlags = syscall.O_NONBLOCK | syscall.O_NOCTTY

// isNoReader reports whether err says that no program reads a pipe.
func isNoReader(err error) bool { return errors.Is(err, syscall.ENXIO) }

// owner is the owner of a file.
type owner struct{ uid, gid uint32 }

// ownerOf returns the owner of a file, and whether it is known.
func ownerOf(info fs.FileInfo) (owner, bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return owner{}, false
	}
	return owner{st.Uid, st.Gid}, true
}

// myUID returns the user of this process.
func myUID() uint32 { return uint32(os.Geteuid()) }

// privateGroup reports whether the group of a file is the private group of its owner, which has the
// owner's name. Group 0 is not private, because some systems put administrators there.
func privateGroup(o owner) bool {
	if o.gid == 0 {
		return false
	}
	u, err := user.LookupId(strconv.FormatUint(uint64(o.uid), 10))
	if err != nil {
		return false
	}
	g, err := user.LookupGroupId(strconv.FormatUint(uint64(o.gid), 10))
	return err == nil && u.Gid == g.Gid && u.Username == g.Name
}

// userName returns the name of a user, or the number.
func userName(uid uint32) string {
	n := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(n); err == nil {
		return u.Username
	}
	return n
}

// planted returns an error if path is a link that another user has put into a directory such as
// /tmp. It returns flags for the open: no link may be followed there that appears meanwhile. Linux
// does the same with fs.protected_symlinks.
func planted(path string) (flags int, err error) {
	dir, err := os.Stat(filepath.Dir(path))
	if err != nil || dir.Mode()&0o002 == 0 || dir.Mode()&fs.ModeSticky == 0 {
		return 0, nil
	}
	info, err := os.Lstat(path)
	if err != nil || info.Mode()&fs.ModeSymlink == 0 {
		return syscall.O_NOFOLLOW, nil
	}
	if o, ok := ownerOf(info); ok && o.uid != myUID() && o.uid != 0 {
		return 0, plantedError(path, o.uid)
	}
	return 0, nil
}
