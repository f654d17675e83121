package daemon

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"spate"
	"spate/internal/fault"
	"spate/storage"
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
func (e *Env) ClaimData(state, dir, name string, ih spate.InfoHash, writes bool) (c Claim, err error) {
	key, path, err := DataKey(dir, name)
	if err != nil {
		return c, err
	}
	c.ResumeDir = filepath.Join(state, key)
	e.setAsideIn(c.ResumeDir, "*", 0)
	locks := []string{ih.String() + lockExt}
	if writes {
		locks = append(locks, "write"+lockExt)
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

const (
	lockExt   = ".lock"
	keyLength = 20 // length of the names of directories with resume data
)

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
	return hex.EncodeToString(sum[:keyLength/2]), path, nil
}

// Release releases the locks, and deletes their files if there is no resume data beside them.
func (c *Claim) Release() {
	if len(c.locks) == 0 {
		return
	}
	entries, err := os.ReadDir(c.ResumeDir)
	empty := err == nil && !slices.ContainsFunc(entries, func(e os.DirEntry) bool { return filepath.Ext(e.Name()) != lockExt })
	for _, f := range c.locks {
		var open error
		if empty {
			open = os.Remove(f.Name()) // before the close, because another process can lock the file after it
		}
		f.Close()
		if open != nil {
			os.Remove(f.Name()) // Windows removes no open file
		}
	}
	if empty {
		os.Remove(c.ResumeDir) // fails if another process has a lock there
	}
	c.locks = nil
}

// maxGone is how long resume data is kept after its data was removed. Until then the data may
// be on a disk that is not mounted.
const maxGone = 30 * 24 * time.Hour

// PruneClaims deletes the resume data in the directory state of data that was removed a long time
// ago, unless a process uses it. It ignores what it cannot read.
func PruneClaims(state string, now time.Time) {
	entries, _ := os.ReadDir(state)
	for _, e := range entries {
		if dir := filepath.Join(state, e.Name()); e.IsDir() && len(e.Name()) == keyLength {
			pruneClaim(dir, now)
		}
	}
}

// pruneClaim deletes the directory of one path of data, if all data there is gone and no process
// uses it.
func pruneClaim(dir string, now time.Time) {
	hashes, err := storage.ListResume(dir)
	if err != nil {
		return
	}
	for _, ih := range hashes {
		if saved := storage.ResumeSaved(dir, ih); now.Sub(saved) < maxGone {
			return
		}
		rec, err := storage.LoadResume(dir, ih)
		if err != nil || rec.Name == "" {
			continue // it has no use
		}
		if _, err := os.Lstat(filepath.Join(rec.Dir, rec.Name)); !errors.Is(err, fs.ErrNotExist) {
			return
		}
	}
	var c Claim
	defer func() { c.Release() }()
	entries, _ := os.ReadDir(dir)
	c.ResumeDir = dir
	for _, e := range entries {
		if filepath.Ext(e.Name()) != lockExt {
			continue
		}
		f, err := LockFile(filepath.Join(dir, e.Name()), dir)
		if err != nil {
			return
		}
		c.locks = append(c.locks, f)
	}
	_ = storage.PruneResume(dir, func(spate.InfoHash) bool { return false })
}
