package storage

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSymbolicLinks checks that nothing outside of the directory is read or changed
// through a symbolic link.
func TestSymbolicLinks(t *testing.T) {
	for _, c := range []struct {
		name, at, to string
		readable     bool
	}{
		{"file to outside", "t/a", "../../outside/x", false},
		{"file to outside, absolute", "t/a", "/OUTSIDE/x", false},
		{"file to outside, nothing there", "t/a", "../../outside/new", false},
		{"top to outside", "t", "../outside", false},
		{"directory to outside", "t/d", "../../outside", false},
		{"file to inside", "t/a", "../inside/x", true},
		{"file to inside, nothing there", "t/a", "../inside/new", false},
		{"top to inside", "t", "inside", true},
		{"circle", "t/a", "a", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			base := t.TempDir()
			dir := filepath.Join(base, "dir")
			long := strings.Repeat("x", 2000)
			for _, p := range []string{"outside/x", "outside/a", "outside/b", "outside/c", "dir/inside/x", "dir/inside/a"} {
				mustWrite(t, filepath.Join(base, p), long)
			}
			if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, c.at)), 0o777); err != nil {
				t.Fatal(err)
			}
			to := strings.ReplaceAll(c.to, "/OUTSIDE", filepath.Join(base, "outside"))
			if err := os.Symlink(to, filepath.Join(dir, c.at)); err != nil {
				t.Skip(err)
			}
			before := tree(t, base)
			d := openSample(t, dir, DirOptions{Force: true})
			off := int64(0)
			if c.at == "t/d" {
				off = 200
			}
			_, err := d.WriteAt([]byte("evil"), off)
			wantReason(t, "write", err, ErrObstructed)
			if n, err := d.ReadAt(make([]byte, 4), off); (n == 4) != c.readable {
				t.Errorf("ReadAt read %d bytes, %v, want data only if the link stays inside: %v", n, err, c.readable)
			}
			wantReason(t, "Prepare", d.Prepare(), ErrObstructed)
			_, _ = d.Stats()
			_ = d.Check(0, 2000)
			_ = d.Finish()
			if after := strings.TrimSuffix(tree(t, base), " dir/t/l"); after != before && !strings.Contains(after, "dir/t/empty") {
				t.Errorf("the tree was\n%s and is\n%s", before, after)
			}
			for _, p := range []string{"outside/x", "outside/a", "outside/b", "outside/c", "dir/inside/x", "dir/inside/a"} {
				if b, err := os.ReadFile(filepath.Join(base, p)); err != nil || string(b) != long {
					t.Errorf("%s was changed, %v", p, err)
				}
			}
			_ = d.Remove()
			if b, err := os.ReadFile(filepath.Join(base, "outside/x")); err != nil || string(b) != long {
				t.Errorf("Remove changed or deleted a file outside: %v", err)
			}
		})
	}
}

// TestObstructed checks that an entry that is not a regular file is not opened, and that
// the attempt does not block.
func TestObstructed(t *testing.T) {
	for name, put := range map[string]func(string) error{
		"directory": func(p string) error { return os.Mkdir(p, 0o777) },
		"pipe":      func(p string) error { return mkfifo(p) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.MkdirAll(filepath.Join(dir, "t"), 0o777); err != nil {
				t.Fatal(err)
			}
			if err := put(filepath.Join(dir, "t/a")); err != nil {
				t.Skip(err)
			}
			d := openSample(t, dir, DirOptions{})
			_, err := d.WriteAt([]byte{1}, 0)
			wantReason(t, "write", err, ErrObstructed)
			_, err = d.ReadAt(make([]byte, 1), 0)
			wantReason(t, "read", err, ErrObstructed)
			wantReason(t, "Prepare", d.Prepare(), ErrObstructed)
			st, err := d.Stats()
			if err != nil || st[0].Exists {
				t.Errorf("Stats returned %+v, %v, want a file that does not exist", st[0], err)
			}
		})
	}
	t.Run("file for a directory", func(t *testing.T) {
		dir := t.TempDir()
		mustWrite(t, filepath.Join(dir, "t"), "x")
		d := openSample(t, dir, DirOptions{})
		_, err := d.WriteAt([]byte{1}, 0)
		wantReason(t, "write", err, ErrObstructed)
		_, err = d.ReadAt(make([]byte, 1), 0)
		wantReason(t, "read", err, ErrObstructed)
		wantReason(t, "Prepare", d.Prepare(), ErrObstructed)
	})
}

// TestPipeForDirectory checks that opening a file does not wait for a pipe that replaces a
// directory of the torrent, or the directory that contains the torrent.
func TestPipeForDirectory(t *testing.T) {
	base := t.TempDir()
	dir := filepath.Join(base, "dir")
	mustWrite(t, filepath.Join(dir, "t/a"), strings.Repeat("x", 100))
	if err := mkfifo(filepath.Join(dir, "t/d")); err != nil {
		t.Skip(err)
	}
	d := openSample(t, dir, DirOptions{ReadOnly: true})
	_, err := d.Stats()
	wantReason(t, "Stats", err, ErrObstructed)
	_, err = d.ReadAt(make([]byte, 4), 200)
	wantReason(t, "read", err, ErrObstructed)

	d = openSample(t, dir, DirOptions{ReadOnly: true})
	if err := os.Rename(dir, dir+"-away"); err != nil {
		t.Fatal(err)
	}
	if err := mkfifo(dir); err != nil {
		t.Fatal(err)
	}
	_, err = d.ReadAt(make([]byte, 4), 0)
	wantReason(t, "read in a pipe", err, ErrObstructed)
}

// TestWithin checks that a directory which must lie inside another one is not opened
// through a link that leads out, even if the link appears later.
func TestWithin(t *testing.T) {
	base := t.TempDir()
	at := func(p string) string { return filepath.Join(base, filepath.FromSlash(p)) }
	for _, p := range []string{"in/sub/real", "in/other", "outside"} {
		if err := os.MkdirAll(at(p), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"in/link": "sub/real", "in/out": "../outside", "in/absolute": at("outside"), "in/back": "../in/sub", "in/loop": "loop"} {
		if err := os.Symlink(to, at(link)); err != nil {
			t.Skip(err)
		}
	}
	open := func(dir string) (*Dir, error) {
		l, err := NewLayout(sample)
		if err != nil {
			t.Fatal(err)
		}
		return OpenLayout(at(dir), l, NewPool(0), DirOptions{Within: at("in")})
	}
	for dir, ok := range map[string]bool{
		"in": true, "in/sub": true, "in/sub/real": true, "in/link": true, "in/out": false, "in/absolute": false, "in/back": false, "in/loop": false,
		"outside": false, ".": false, "in/../outside": false,
	} {
		d, err := open(dir)
		if (err == nil) != ok {
			t.Errorf("opening %s returned %v, want success: %v", dir, err, ok)
		}
		if err == nil {
			d.Close()
		} else {
			wantReason(t, dir, err, ErrObstructed)
		}
	}
	d, err := open("in/sub")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := os.Rename(at("in/sub"), at("in/away")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../outside", at("in/sub")); err != nil {
		t.Fatal(err)
	}
	_, err = d.WriteAt([]byte("evil"), 0)
	wantReason(t, "write after a swap", err, ErrMissing)
	if left, err := os.ReadDir(at("outside")); len(left) > 0 {
		t.Errorf("%q were written outside: %v", left, err)
	}
}
