package storage

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"spate"
	"spate/bitfield"
	"spate/internal/killpoint"
)

// pattern returns piece i of the torrent that the killed process downloads.
func pattern(i int) []byte {
	b := make([]byte, 4096)
	for k := range b {
		b[k] = byte(i*13 + k + 1)
	}
	return b
}

// download writes pieces, syncs and saves the record like an engine, until the process
// is killed or the torrent is complete.
func download(t *testing.T, dir string, pieces int) {
	d := openFiles(t, dir, []File{
		{Path: "t/a", Length: 3 * 4096}, {Path: "t/b", Offset: 3 * 4096, Length: int64(pieces-3) * 4096},
	}, DirOptions{})
	state := filepath.Join(dir, "state")
	rec := &Record{InfoHash: spate.InfoHash{1}, Have: bitfield.New(pieces)}
	for i := range pieces {
		if _, err := d.WriteAt(pattern(i), int64(i)*4096); err != nil {
			t.Fatal(err)
		}
		if i%2 == 1 {
			continue
		}
		if err := d.Sync(); err != nil {
			t.Fatal(err)
		}
		for k := range i + 1 {
			rec.Have.Set(k)
		}
		var err error
		if rec.Files, err = d.Stats(); err != nil {
			t.Fatal(err)
		}
		if err := SaveResume(state, rec); err != nil {
			t.Fatal(err)
		}
		fmt.Println("saved", i)
	}
}

// TestKilledAtAnyCall kills a process before each of its system calls that change files,
// one after the other. Afterwards the record must be loadable, must not be older than the
// last saved one, and must not list pieces that are missing.
func TestKilledAtAnyCall(t *testing.T) {
	const pieces = 5
	if dir := os.Getenv("SPATE_INNER"); dir != "" {
		download(t, dir, pieces)
		return
	}
	if testing.Short() {
		t.Skip("runs a process for each system call")
	}
	for n := 1; ; n++ {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "state"), 0o777); err != nil {
			t.Fatal(err)
		}
		argv, err := killpoint.Command(n, os.Args[0], "-test.run=^TestKilledAtAnyCall$")
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Env = append(os.Environ(), "SPATE_INNER="+dir)
		out, err := cmd.CombinedOutput()
		killed := cmd.ProcessState.ExitCode() == killpoint.Killed
		if err != nil && !killed {
			t.Fatalf("the run that should be killed at call %d failed: %v: %s", n, err, out)
		}
		checkKilled(t, n, dir, string(out), pieces)
		if !killed {
			if n < 5*pieces {
				t.Errorf("the process made only %d calls", n-1)
			}
			t.Logf("killed at %d calls", n-1)
			return
		}
	}
}

func checkKilled(t *testing.T, when int, dir, out string, pieces int) {
	saved := -1
	for s := bufio.NewScanner(strings.NewReader(out)); s.Scan(); {
		fmt.Sscanf(s.Text(), "saved %d", &saved)
	}
	rec, err := LoadResume(filepath.Join(dir, "state"), spate.InfoHash{1})
	if err != nil {
		if saved >= 0 || !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("call %d, after %d was saved: %v", when, saved, err)
		}
		return
	}
	d := openFiles(t, dir, []File{
		{Path: "t/a", Length: 3 * 4096}, {Path: "t/b", Offset: 3 * 4096, Length: int64(pieces-3) * 4096},
	}, DirOptions{})
	defer d.Close()
	now, err := d.Stats()
	if err != nil {
		t.Fatal(err)
	}
	have, check := rec.Reconcile(d.Layout(), 4096, now)
	if n := have.Count(); n < saved+1 {
		t.Errorf("call %d: %d pieces known, %d were saved", when, n, saved+1)
	}
	p := make([]byte, 4096)
	for i := range pieces {
		_, err := d.ReadAt(p, int64(i)*4096)
		good := err == nil && string(p) == string(pattern(i))
		if have.Get(i) && !good {
			t.Errorf("call %d: the record contains piece %d, which is missing", when, i)
		}
		if good && !have.Get(i) && !check.Get(i) {
			t.Errorf("call %d: piece %d is complete and would be downloaded again", when, i)
		}
	}
}
