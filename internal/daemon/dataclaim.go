package daemon

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"

	"spate/internal/fault"

	"spate"
)

// Claim holds the locks on the data of a torrent, so that no other process uses it.
//
// Many processes can share a state directory, and one torrent can have its data at several
// paths. Locks and resume data therefore belong to the path of the data.
type Claim struct {
	ResumeDir string // directory of the resume data for this path
	locks     []*os.File
}

// ClaimData claims the data of a torrent at dir/name. It returns an error that wraps
// [ErrLocked] if another process with the state directory works on the same torrent there
// or, if writes is set, on any torrent there.
func ClaimData(state, dir, name string, ih spate.InfoHash, writes bool) (c Claim, err error) {
	key, path, err := DataKey(dir, name)
	if err != nil {
		return c, err
	}
	c.ResumeDir = filepath.Join(state, key)
	locks := []string{ih.String() + ".lock"}
	if writes {
		locks = append(locks, "write.lock")
	}
	for _, l := range locks {
		f, err := LockFile(filepath.Join(c.ResumeDir, l), path)
		if errors.Is(err, ErrLocked) {
			err = fault.WithHint(err, "stop that process first, or choose another directory")
		}
		if err != nil {
			c.Release()
			return Claim{}, err
		}
		c.locks = append(c.locks, f)
	}
	return c, nil
}

// DataKey returns the name of the directory with the resume data for dir/name, and the path
// of the data with the links in dir resolved.
func DataKey(dir, name string) (key, path string, err error) {
	if dir, err = filepath.Abs(dir); err != nil {
		return "", "", err
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	path = filepath.Join(dir, name)
	sum := sha256.Sum256([]byte(path))
	return hex.EncodeToString(sum[:10]), path, nil
}

// Release releases the locks.
func (c *Claim) Release() {
	for _, f := range c.locks {
		f.Close()
	}
	c.locks = nil
}
