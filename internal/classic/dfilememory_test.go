package classic

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"spate"
	"spate/internal/fault"
	"spate/internal/folder/foldertest"
	"spate/tracker/swarm"
)

// TestDamagedDFile checks that bttrack starts with any damage of its file or of the directory
// beside it, that it keeps and reports the damaged entry, and that the next start reports nothing. It
// checks that a file which spate has not used before stays unchanged.
func TestDamagedDFile(t *testing.T) {
	t.Parallel()
	good := string(AppendDFile(nil, map[spate.InfoHash]uint32{{1}: 41}))
	pipe := func(p string) error {
		for _, e := range foldertest.Entries("") {
			if e.Name == "pipe" {
				e.Put(t, p)
			}
		}
		return nil
	}
	write := func(text string) func(string) error {
		return func(p string) error { return os.WriteFile(p, []byte(text), 0o600) }
	}
	for _, c := range []struct {
		name    string
		put     func(path string) error
		foreign fault.Code // the code of the error if spate has not used the file before
	}{
		{"empty", write(""), 0},
		{"cut", write(good[:len(good)-3]), fault.BadData},
		{"garbage", write("garbage"), fault.BadData},
		{"zeros", write(strings.Repeat("\x00", 500)), fault.BadData},
		{"a pipe", pipe, fault.BadData},
		{"a directory", func(p string) error { return os.MkdirAll(filepath.Join(p, "x"), 0o700) }, 0},
	} {
		for _, length := range []int{5, 253, 255} {
			dir := t.TempDir()
			path := filepath.Join(dir, strings.Repeat("d", length))
			if err := c.put(path); err != nil {
				t.Fatal(err)
			}
			if c.name != "a directory" {
				err := (&dfileMemory{path: path}).read(t.Errorf)
				if c.foreign == 0 && err != nil || c.foreign != 0 && fault.CodeOf(err) != c.foreign {
					t.Errorf("%s, %d: a file that spate has not used: %v", c.name, length, err)
				}
			} else if !isDFileDir(path) {
				t.Errorf("%d: a directory that spate has not used is no state directory", length)
			}
			if err := os.MkdirAll(filepath.Join(stateOf(path), "tracker"), 0o700); err != nil {
				t.Fatal(err)
			}
			if isDFileDir(path) {
				t.Errorf("%s, %d: it counts as a state directory", c.name, length)
			}
			for run, want := range []int{1, 0} {
				var warnings []string
				d := &dfileMemory{path: path}
				if err := d.read(func(f string, args ...any) { warnings = append(warnings, fmt.Sprintf(f, args...)) }); err != nil {
					t.Fatalf("%s, %d, run %d: %v", c.name, length, run, err)
				}
				if len(warnings) != want {
					t.Errorf("%s, %d, run %d: the warnings are %q, want %d", c.name, length, run, warnings, want)
				}
				table, err := swarm.New(swarm.Options{})
				if err != nil {
					t.Fatal(err)
				}
				if err := d.Load(table); err != nil {
					t.Errorf("%s, %d, run %d: %v", c.name, length, run, err)
				}
				table.Close()
			}
			if kept, _ := filepath.Glob(filepath.Join(dir, "*.damaged")); len(kept) != 1 {
				t.Errorf("%s, %d: %q were kept, want the damaged entry", c.name, length, kept)
			}
		}
	}
	path := filepath.Join(t.TempDir(), "d")
	if err := errors.Join(write(good)(path), write("")(stateOf(path))); err != nil {
		t.Fatal(err)
	}
	var warnings []string
	d := &dfileMemory{path: path}
	if err := d.read(func(f string, args ...any) { warnings = append(warnings, fmt.Sprintf(f, args...)) }); err != nil || len(warnings) != 1 || d.completed[spate.InfoHash{1}] != 41 {
		t.Errorf("a file in the place of the state directory: %v, %q, %v", err, warnings, d.completed)
	}
}
