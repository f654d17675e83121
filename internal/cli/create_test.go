package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestCreateInterrupted checks that a signal during hashing stops create and leaves no files.
func TestCreateInterrupted(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	if err := os.WriteFile(data, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(data, 1<<40); err != nil { // sparse: hashing takes minutes
		t.Skip(err)
	}
	signals := make(chan os.Signal, 1)
	var stderr bytes.Buffer
	env := Env{
		Name: "spate", Args: []string{"create", data, "-o", filepath.Join(dir, "out", "x.torrent")},
		Environ: []string{"HOME=" + dir}, Stdin: bytes.NewReader(nil), Stdout: &bytes.Buffer{}, Stderr: &stderr,
		Signals: signals,
	}
	if err := os.Mkdir(filepath.Join(dir, "out"), 0o755); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(200*time.Millisecond, func() { signals <- syscall.SIGINT })
	defer timer.Stop()
	if code := Main(env); code != CodeFailed {
		t.Errorf("exit code %d\n%s", code, &stderr)
	}
	left, err := os.ReadDir(filepath.Join(dir, "out"))
	if err != nil || len(left) > 0 {
		t.Errorf("remaining files %v, error %v", left, err)
	}
}
