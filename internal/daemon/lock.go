package daemon

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"spate/internal/fault"
)

// ErrLocked is the error if another process holds a lock.
var ErrLocked = errors.New("locked by another process")

// LockFile locks the file at path until the file is closed or this process ends. It creates the
// file and its directories. If another process holds the lock, LockFile returns an error that
// wraps [ErrLocked]. Its text names the process and what, the thing that is locked.
func LockFile(path, what string) (*os.File, error) {
	f, err := openLock(path)
	if err != nil {
		return nil, fault.WithSetting(err, "state")
	}
	err = tryLock(f)
	for try := 0; err == nil && try < 10 && !isAt(f, path); try++ { // another process has just removed the file
		f.Close()
		if f, err = openLock(path); err != nil {
			return nil, fault.WithSetting(err, "state")
		}
		err = tryLock(f)
	}
	if err != nil {
		f.Close()
		if !errors.Is(err, ErrLocked) {
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		pid := "unknown"
		if n := lockHolder(path); n > 0 {
			pid = strconv.Itoa(n)
		}
		return nil, fault.WithSetting(fault.New(fault.Failed, "stop that process", "%s is in use by process %s%w", what, pid, fault.Quiet(err)), "state")
	}
	if err = f.Truncate(0); err == nil {
		_, err = fmt.Fprintf(f, "%d\n", os.Getpid())
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// openLock opens the file at path, and creates it and its directories if they are missing.
func openLock(path string) (f *os.File, err error) {
	for range 3 { // another process may remove the directory after it was created
		if err = os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return nil, err
		}
		if f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600); !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return f, err
}

// isAt reports whether f is the file at path.
func isAt(f *os.File, path string) bool {
	a, err := f.Stat()
	if err != nil {
		return false
	}
	b, err := os.Stat(path)
	return err == nil && os.SameFile(a, b)
}

// lockHolder returns the process id in the lock file at path, or 0.
func lockHolder(path string) int {
	f, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer f.Close()
	b, _ := io.ReadAll(io.LimitReader(f, 20))
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || n < 0 {
		return 0
	}
	return n
}
