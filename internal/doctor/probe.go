package doctor

import (
	"errors"
	"os"
	"time"

	"spate/internal/atomicfile"
	"spate/internal/diskspace"
)

// syncSize is the number of bytes of the file whose writing is measured.
const syncSize = 64 << 10

// ProbeDir returns the facts about a directory. It writes a small file there, measures how long the
// disk takes, and removes the file.
func ProbeDir(name, path string) Dir {
	d := Dir{Name: name, Path: path}
	d.Total, d.Free = diskspace.Of(path)
	d.Sync, d.Err = timeSync(path)
	return d
}

// timeSync writes and removes a file in dir, and returns the time that this took.
func timeSync(dir string) (took time.Duration, err error) {
	f, err := atomicfile.CreateTemp(dir)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	began := time.Now()
	if _, err = f.Write(make([]byte, syncSize)); err != nil {
		return 0, err
	}
	if err = f.Sync(); err != nil {
		return 0, err
	}
	return max(time.Since(began), 1), nil
}
