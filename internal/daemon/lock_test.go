package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestLockNamesHolder checks that the error about a locked file names the process.
func TestLockNamesHolder(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "deep", "lock")
	f, err := LockFile(path, "the state directory")
	if err != nil {
		t.Fatal(err)
	}
	_, err = LockFile(path, "the state directory")
	if want := fmt.Sprintf("in use by process %d", os.Getpid()); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("second lock: %v, want %q", err, want)
	}
	f.Close()
	if f, err = LockFile(path, "the state directory"); err != nil {
		t.Error("after the lock was released:", err)
	}
	f.Close()
}
