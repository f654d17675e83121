//go:build unix

package filetrust

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// ways are the ways to use a file.
var ways = map[string]func(path string, kind Kind, warn Warn) error{
	"Read": func(p string, k Kind, w Warn) error { _, err := Read(p, 100, k, w); return err },
	"Open": func(p string, k Kind, w Warn) error {
		f, err := Open(p, k, w)
		if err == nil {
			f.Close()
		}
		return err
	},
	"Check": Check,
}

// TestModes checks files of this user on the disk with each way to use a file.
func TestModes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		mode    os.FileMode
		kind    Kind
		refused bool
		warning string // a part of the only warning, or ""
	}{
		{0o600, Power, false, ""}, {0o644, Power, false, ""}, {0o640, Power, false, ""}, {0o755, Power, false, ""},
		{0o666, Power, true, "chmod go-w"}, {0o602, Power, true, "chmod go-w"}, {0o777, Power, true, "chmod go-w"},
		{0o600, Secret, false, ""}, {0o400, Secret, false, ""}, {0o644, Secret, false, "can be read by every user: chmod 600"},
		{0o604, Secret, false, "can be read by every user: chmod 600"}, {0o666, Secret, true, "chmod 600"}, {0o602, Secret, true, "chmod 600"},
	} {
		path := filepath.Join(t.TempDir(), "file")
		if err := errors.Join(os.WriteFile(path, []byte("text"), 0o600), os.Chmod(path, c.mode)); err != nil {
			t.Fatal(err)
		}
		link := filepath.Join(filepath.Dir(path), "link")
		if err := os.Symlink("file", link); err != nil {
			t.Fatal(err)
		}
		for way, use := range ways {
			for _, p := range []string{path, link} {
				var warnings []string
				err := use(p, c.kind, func(f string, args ...any) { warnings = append(warnings, fmt.Sprintf(f, args...)) })
				var refused *RefusedError
				if errors.As(err, &refused) != c.refused || errors.Is(err, ErrUnsafe) != c.refused || err != nil && !strings.Contains(err.Error(), c.warning+" "+p) {
					t.Errorf("%s, %v, kind %d: %v, want refused %v", way, c.mode, c.kind, err, c.refused)
				}
				if !c.refused && strings.Join(warnings, "\n") != "" != (c.warning != "") || !c.refused && !strings.Contains(strings.Join(warnings, "\n"), c.warning) {
					t.Errorf("%s, %v, kind %d: the warnings are %q, want %q", way, c.mode, c.kind, warnings, c.warning)
				}
			}
		}
	}
}

// TestOthersFiles checks files and links of another user, in directories with several modes.
func TestOthersFiles(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can give files to another user")
	}
	const other = 4242
	sticky := os.ModeSticky | 0o777
	for _, c := range []struct {
		name    string
		dir     os.FileMode
		link    bool // the other user owns a link to a file of this user
		refused bool
		warning string
	}{
		{"own directory", 0o755, false, false, "belongs to another user"},
		{"sticky directory", sticky, false, true, ""},
		{"directory of everybody", 0o777, false, false, "can be replaced by every user"},
		{"link in an own directory", 0o755, true, false, ""},
		{"link in a sticky directory", sticky, true, true, ""},
	} {
		base := t.TempDir()
		dir := filepath.Join(base, "dir")
		if err := errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, c.dir)); err != nil {
			t.Fatal(err)
		}
		path, target := filepath.Join(dir, "file"), filepath.Join(base, "target")
		var err error
		if c.link {
			err = errors.Join(os.WriteFile(target, []byte("victim"), 0o600), os.Symlink(target, path))
		} else {
			err = os.WriteFile(path, []byte("text"), 0o644)
		}
		if err := errors.Join(err, os.Lchown(path, other, other)); err != nil {
			t.Fatal(err)
		}
		for way, use := range ways {
			var warnings []string
			err := use(path, Power, func(f string, args ...any) { warnings = append(warnings, fmt.Sprintf(f, args...)) })
			if errors.Is(err, ErrUnsafe) != c.refused || !c.refused && !strings.Contains(strings.Join(warnings, "\n"), c.warning) {
				t.Errorf("%s, %s: %v, %q, want refused %v", c.name, way, err, warnings, c.refused)
			}
		}
		f, err := OpenAppend(path, 0o600)
		if err == nil {
			f.Close()
		}
		if errors.Is(err, ErrUnsafe) != c.refused {
			t.Errorf("%s: OpenAppend returned %v, want refused %v", c.name, err, c.refused)
		}
	}
}

// TestPipesAndDevices checks that pipes and devices, which users name on purpose, can be read, and
// that a log which is a pipe without a reader is an error instead of a wait.
func TestPipesAndDevices(t *testing.T) {
	t.Parallel()
	if b, err := Read("/dev/null", 10, Secret, nil); err != nil || len(b) > 0 {
		t.Errorf("/dev/null: %q, %v", b, err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	w.WriteString("text")
	w.Close()
	if b, err := Read(fmt.Sprintf("/dev/fd/%d", r.Fd()), 10, Secret, nil); err != nil || string(b) != "text" {
		t.Errorf("a pipe: %q, %v", b, err)
	}
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenAppend(path, 0o600); err == nil || !strings.Contains(err.Error(), "no program reads") {
		t.Errorf("OpenAppend of a pipe without a reader returned %v", err)
	}
	if _, err := OpenAppend(t.TempDir(), 0o600); err == nil {
		t.Error("OpenAppend opened a directory")
	}
}
