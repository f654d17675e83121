package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestWriteBesideLongestName checks that a file whose name has the maximum length can be replaced.
func TestWriteBesideLongestName(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), strings.Repeat("n", 255))
	for _, text := range []string{"old", "new"} {
		if err := Replace(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if b, _ := os.ReadFile(path); string(b) != "new" {
		t.Errorf("the file has %q, want new", b)
	}
}

func TestNameFitsFileSystems(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, name := range []string{"", "a", strings.Repeat("n", 247), strings.Repeat("n", 248), strings.Repeat("n", 255), strings.Repeat("é", 127), strings.Repeat("n", 254) + "m"} {
		got := Name(name, ".torrent")
		switch {
		case len(got) > 255 || !utf8.ValidString(got) || !strings.HasSuffix(got, ".torrent"):
			t.Errorf("Name(%q) is %q with %d bytes", name, got, len(got))
		case len(name) <= 247 && got != name+".torrent":
			t.Errorf("Name(%q) is %q, but the name fits", name, got)
		case seen[got]:
			t.Errorf("Name(%q) is %q, the name of another", name, got)
		}
		seen[got] = true
	}
}

// TestDerivedNamesOfLongNames checks that no name is too long for its companions, and that the
// companions of one name differ.
func TestDerivedNamesOfLongNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"n", strings.Repeat("n", 247), strings.Repeat("n", 250), strings.Repeat("n", 255), strings.Repeat("\u00e9", 127)} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{path: true}
		for _, ext := range []string{".1", ".2", ".10", ".d", ".pub", ".minisig", ".damaged", ".damaged.2"} {
			derived := Derived(path, ext)
			if got, want := IsCut(filepath.Base(derived), ext), len(name)+len(ext) > 255; got != want {
				t.Errorf("%d bytes: IsCut of the name with %s is %v", len(name), ext, got)
			}
			if filepath.Dir(derived) != filepath.Dir(path) || !strings.HasSuffix(derived, ext) || seen[derived] {
				t.Errorf("%d bytes: the path with %s is %s", len(name), ext, derived)
			}
			seen[derived] = true
			if err := os.WriteFile(derived, nil, 0o600); err != nil {
				t.Error(err)
			}
		}
		if err := RemoveAside(path); err != nil {
			t.Error(err)
		}
		if aside, err := SetAside(path); err != nil || !IsAside(aside) {
			t.Errorf("%d bytes: SetAside returned %q, %v", len(name), aside, err)
		}
	}
	if got := Derived("n", ".d"); got != "n.d" {
		t.Errorf("the path without a directory is %q", got)
	}
}

func TestHiddenNameFitsFileSystems(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, name := range []string{"a", strings.Repeat("n", 130), strings.Repeat("n", 136), strings.Repeat("n", 137), strings.Repeat("n", 143), strings.Repeat("n", 255), strings.Repeat("é", 127), strings.Repeat("n", 254) + "m"} {
		got := HiddenName(name, ".parts")
		switch {
		case len(got) > 143 || !utf8.ValidString(got) || !strings.HasPrefix(got, "."+name[:1]) || !strings.HasSuffix(got, ".parts"):
			t.Errorf("HiddenName(%q) is %q with %d bytes", name, got, len(got))
		case len(name) <= 136 && got != "."+name+".parts":
			t.Errorf("HiddenName(%q) is %q, but the name fits", name, got)
		case seen[got]:
			t.Errorf("HiddenName(%q) is %q, the name of another", name, got)
		}
		seen[got] = true
	}
}

func TestProbeLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := Probe(dir); err != nil {
		t.Error(err)
	}
	if list, _ := os.ReadDir(dir); len(list) > 0 {
		t.Errorf("%s is left", list[0].Name())
	}
	if err := Probe(filepath.Join(dir, "absent")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the error is %v, want one that wraps fs.ErrNotExist", err)
	}
}
