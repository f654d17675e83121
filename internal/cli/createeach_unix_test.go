//go:build unix

package cli

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// TestCreateEachSpecial checks that create --each skips and names FIFOs, sockets, devices,
// broken links and links to such files, and makes torrents of the other entries.
func TestCreateEachSpecial(t *testing.T) {
	t.Parallel()
	dir, out := t.TempDir(), t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for name, data := range map[string]string{"file": "1", "sub/file": "2", "onlyfifo/.keep": ""} {
		if err := os.MkdirAll(filepath.Dir(at(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at(name), []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"fifo", "sub/fifo", "onlyfifo/fifo"} {
		if err := syscall.Mkfifo(at(name), 0o644); err != nil {
			t.Skip(err)
		}
	}
	for name, target := range map[string]string{
		"link": "file", "broken": "nothing", "loop": "loop", "device": os.DevNull, "tofifo": "fifo", "sub/broken": "nothing",
	} {
		if err := os.Symlink(target, at(name)); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("unix", at("socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()

	var stdout, stderr bytes.Buffer
	code := Main(Env{
		Name: "spate", Args: []string{"create", dir, "--each", "-o", out, "-v"},
		Environ: []string{"HOME=" + dir}, Stdin: bytes.NewReader(nil), Stdout: &stdout, Stderr: &stderr,
	})
	made, err := filepath.Glob(filepath.Join(out, "*"))
	for i := range made {
		made[i] = filepath.Base(made[i])
	}
	if want := []string{"file.torrent", "link.torrent", "sub.torrent"}; code != 0 || err != nil || !slices.Equal(made, want) {
		t.Errorf("exit code %d, made %q, want %q\n%s", code, made, want, &stderr)
	}
	for _, name := range []string{"fifo", "socket", "device", "tofifo", "broken", "loop"} {
		if !strings.Contains(stderr.String(), "path="+name+" ") {
			t.Errorf("the output does not say that %s was skipped:\n%s", name, &stderr)
		}
	}
}
