package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"spate/internal/fault"
)

// errLocked is what tryLock returns for a file that another process has locked.
var errLocked = errors.New("locked by another process")

// lockFile takes the lock at path for as long as this process lives or until
// the file is closed. It creates the directories above. What names the thing
// that is locked, for the error with the holder's process id.
func lockFile(path, what string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := tryLock(f); err != nil {
		f.Close()
		if !errors.Is(err, errLocked) {
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		pid := "unknown"
		if n := lockHolder(path); n > 0 {
			pid = strconv.Itoa(n)
		}
		return nil, fault.New(fault.Failed, "stop that process, or give this one another directory with --state DIR",
			"%s is in use by process %s%w", what, pid, fault.Quiet(err))
	}
	err = f.Truncate(0)
	if err == nil {
		_, err = fmt.Fprintf(f, "%d\n", os.Getpid())
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// lockHolder is the process that the lock at path names, 0 if it names none.
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
