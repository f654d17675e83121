package folder_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"spate/internal/folder"
	"spate/internal/folder/foldertest"
)

const text = "text of the folder"

// TestReadsNothingOutside checks that no entry makes a read return the content of a file
// outside the folder or block, with each way to read a file.
func TestReadsNothingOutside(t *testing.T) {
	t.Parallel()
	ways := map[string]func(f *folder.Folder, dir, name string, o folder.Options) (string, error){
		"ReadFile": func(f *folder.Folder, _, name string, _ folder.Options) (string, error) {
			b, err := f.ReadFile(name, 1000)
			return string(b), err
		},
		"FS": func(_ *folder.Folder, dir, name string, o folder.Options) (string, error) {
			info, err := fs.Stat(folder.FS(dir, o, 1000), name)
			if err == nil && info.IsDir() {
				return "", &folder.TypeError{Path: name, Type: fs.ModeDir}
			}
			b, err := fs.ReadFile(folder.FS(dir, o, 1000), name)
			return string(b), err
		},
		"Open": func(f *folder.Folder, _, name string, o folder.Options) (string, error) {
			if !o.FollowLinks {
				f = folder.In(f.Root())
			}
			file, err := f.Open(name)
			if err != nil {
				return "", err
			}
			defer file.Close()
			b := make([]byte, 100)
			n, err := file.Read(b)
			return string(b[:n]), err
		},
	}
	for _, follow := range []bool{false, true} {
		for _, entry := range foldertest.Entries(text) {
			for way, read := range ways {
				t.Run(entry.Name+" "+way+map[bool]string{true: " with FollowLinks"}[follow], func(t *testing.T) {
					t.Parallel()
					dir := filepath.Join(t.TempDir(), "in")
					os.Mkdir(dir, 0o755)
					entry.Put(t, filepath.Join(dir, "x"))
					o := folder.Options{FollowLinks: follow}
					f, err := folder.Open(dir, o)
					if err != nil {
						t.Fatal(err)
					}
					defer f.Close()
					got, err := read(f, dir, "x", o)
					want := entry.Strict
					if follow {
						want = entry.Follow
					}
					if is := foldertest.OutcomeOf(got, err, text); is != want {
						t.Errorf("the outcome is %s, want %s: %q, %v", is, want, got, err)
					}
					if err != nil && way == "ReadFile" && !strings.Contains(err.Error(), filepath.Join(dir, "x")) {
						t.Errorf("the error does not name the path: %v", err)
					}
				})
			}
		}
	}
}

// TestReadNamed checks that a file that the user named may be a link, but not a pipe or a
// device.
func TestReadNamed(t *testing.T) {
	t.Parallel()
	for _, entry := range foldertest.Entries(text) {
		t.Run(entry.Name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "in")
			os.Mkdir(dir, 0o755)
			entry.Put(t, filepath.Join(dir, "x"))
			b, err := folder.ReadNamed(filepath.Join(dir, "x"), 1000)
			if is := foldertest.OutcomeOf(string(b), err, text); is != entry.Follow {
				t.Errorf("the outcome is %s, want %s: %q, %v", is, entry.Follow, b, err)
			}
		})
	}
}

// TestSub checks that Sub opens only directories below the folder.
func TestSub(t *testing.T) {
	t.Parallel()
	for _, entry := range foldertest.Entries(text) {
		if entry.Name == "directory" || entry.Name == "link to a directory out" || entry.Name == "unreadable" {
			continue
		}
		t.Run(entry.Name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "in")
			os.Mkdir(dir, 0o755)
			entry.Put(t, filepath.Join(dir, "x"))
			f, err := folder.Open(dir, folder.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if sub, err := f.Sub("x"); err == nil {
				sub.Close()
				t.Error("Sub opened an entry that is not a directory of the folder")
			}
			if d, err := folder.OpenDir(f.Root(), "x"); err == nil {
				d.Close()
				t.Error("OpenDir opened an entry that is not a directory of the folder")
			}
			if g, err := folder.Open(filepath.Join(dir, "x"), folder.Options{}); err == nil {
				g.Close()
				t.Error("Open opened an entry that is not a directory")
			}
			if g, err := folder.Open(filepath.Join(dir, "x"), folder.Options{FollowLinks: true}); err == nil {
				g.Close()
				t.Error("Open with FollowLinks opened an entry that is not a directory")
			}
		})
	}
	dir := filepath.Join(t.TempDir(), "in")
	os.MkdirAll(filepath.Join(dir, "real", "deep"), 0o755)
	os.WriteFile(filepath.Join(dir, "real", "deep", "x"), []byte(text), 0o644)
	os.WriteFile(filepath.Join(dir, "beside"), []byte(text), 0o644)
	os.Symlink("real/deep", filepath.Join(dir, "link"))
	os.Symlink("../../beside", filepath.Join(dir, "real", "deep", "up"))
	os.Symlink("..", filepath.Join(dir, "out"))
	for _, follow := range []bool{false, true} {
		f, err := folder.Open(dir, folder.Options{FollowLinks: follow})
		if err != nil {
			t.Fatal(err)
		}
		sub, err := f.Sub("link")
		if err != nil {
			t.Fatal(err)
		}
		if b, err := sub.ReadFile("x", 100); err != nil || string(b) != text {
			t.Errorf("ReadFile in a directory behind a link returned %q, %v", b, err)
		}
		if _, err := sub.ReadFile("up", 100); follow != (err == nil) {
			t.Errorf("with FollowLinks %v, reading a link out of the subdirectory returned %v", follow, err)
		}
		if _, err := f.Sub("out"); follow != (err == nil) {
			t.Errorf("with FollowLinks %v, Sub of a link to a directory outside returned %v", follow, err)
		}
		for _, name := range []string{"..", "../in/beside", "/etc/passwd", "real/../../in/beside", ""} {
			if _, err := f.Open(name); err == nil {
				t.Errorf("with FollowLinks %v, Open opened %q", follow, name)
			}
			if _, err := f.Sub(name); err == nil {
				t.Errorf("with FollowLinks %v, Sub opened %q", follow, name)
			}
		}
		sub.Close()
		f.Close()
	}
}

// TestLimit checks that a file of limit bytes is read, and a larger one is not.
func TestLimit(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "x")
	for size, ok := range map[int]bool{0: true, 1: true, 99: true, 100: true, 101: false, 5000: false} {
		if err := os.WriteFile(path, make([]byte, size), 0o644); err != nil {
			t.Fatal(err)
		}
		f, err := folder.Open(dir, folder.Options{})
		if err != nil {
			t.Fatal(err)
		}
		var large *folder.SizeError
		if b, err := f.ReadFile("x", 100); (err == nil) != ok || ok && len(b) != size || !ok && !errors.As(err, &large) {
			t.Errorf("ReadFile of a file of %d bytes returned %d bytes, %v; the limit is 100", size, len(b), err)
		}
		if b, err := folder.ReadNamed(path, 100); (err == nil) != ok || ok && len(b) != size || !ok && !errors.As(err, &large) {
			t.Errorf("ReadNamed of a file of %d bytes returned %d bytes, %v; the limit is 100", size, len(b), err)
		}
		if b, err := fs.ReadFile(folder.FS(dir, folder.Options{}, 100), "x"); (err == nil) != ok || ok && len(b) != size || !ok && !errors.As(err, &large) {
			t.Errorf("fs.ReadFile of a file of %d bytes returned %d bytes, %v; the limit is 100", size, len(b), err)
		}
		f.Close()
	}
}

// TestReadStopsAtLimitOfGrowingFile checks that read stops at the limit if the file is
// longer than the size that its FileInfo has. The test uses a pipe, which has size 0,
// instead of a growing file.
func TestReadStopsAtLimitOfGrowingFile(t *testing.T) {
	t.Parallel()
	for size, ok := range map[int]bool{0: true, 99: true, 100: true, 101: false, 1 << 20: false} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		written := make(chan int)
		go func() {
			n, _ := w.Write(make([]byte, size))
			w.Close()
			written <- n
		}()
		b, err := folder.ReadOpen(r, "x", 100)
		r.Close()
		var large *folder.SizeError
		if (err == nil) != ok || ok && len(b) != size || !ok && !errors.As(err, &large) {
			t.Errorf("read of a pipe with %d bytes returned %d bytes, %v", size, len(b), err)
		}
		if n := <-written; n > 200<<10 {
			t.Errorf("read took %d bytes from the pipe", n)
		}
	}
}

// TestReplacedFile replaces a file by another entry after Open has checked it and before Open opens
// it, and checks that no file outside the folder is read.
func TestReplacedFile(t *testing.T) {
	t.Parallel()
	for _, entry := range foldertest.Entries(text) {
		t.Run(entry.Name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "in")
			path := filepath.Join(dir, "x")
			os.Mkdir(dir, 0o755)
			os.WriteFile(path, []byte("the first file"), 0o644)
			f, err := folder.Open(dir, folder.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			file, err := f.OpenAfter("x", func() {
				os.Remove(path)
				entry.Put(t, path)
			})
			got := ""
			if err == nil {
				b := make([]byte, 100)
				n, _ := file.Read(b)
				got = string(b[:n])
				file.Close()
			}
			if is := foldertest.OutcomeOf(got, err, text); is != entry.Strict && !(is == foldertest.Other && entry.Strict == foldertest.Special) {
				t.Errorf("the outcome is %s, want %s: %q, %v", is, entry.Strict, got, err)
			}
		})
	}
}

// TestReadDir checks the order of the entries, and that links are described as links.
func TestReadDir(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	os.Mkdir(filepath.Join(dir, "b"), 0o755)
	os.WriteFile(filepath.Join(dir, "a"), nil, 0o644)
	os.Symlink("/etc/passwd", filepath.Join(dir, "c"))
	for _, follow := range []bool{false, true} {
		f, err := folder.Open(dir, folder.Options{FollowLinks: follow})
		if err != nil {
			t.Fatal(err)
		}
		list, err := f.ReadDir()
		got := ""
		for _, e := range list {
			got += fs.FormatDirEntry(e) + " "
		}
		if err != nil || got != "- a d b/ L c " {
			t.Errorf("ReadDir returned %q, %v, want all entries in the order of their names", got, err)
		}
		f.Close()
	}
	all, err := fs.Glob(folder.FS(dir, folder.Options{}, 1), "*")
	if err != nil || strings.Join(all, " ") != "a b c" {
		t.Errorf("the walk visited %q, %v, want a, b and c", all, err)
	}
}

// TestReadSomeIsBounded checks that ReadSome reads no more entries than it is told to, and that an
// empty directory is no error.
func TestReadSomeIsBounded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for i, want := range []int{0, 1, 2, 2} {
		f, err := folder.Open(dir, folder.Options{})
		if err != nil {
			t.Fatal(err)
		}
		list, err := f.ReadSome(2)
		if err != nil || len(list) != want {
			t.Errorf("ReadSome(2) of a directory with %d entries returned %d, %v", i, len(list), err)
		}
		f.Close()
		os.WriteFile(filepath.Join(dir, string(rune('a'+i))), nil, 0o644)
	}
}

// TestLink checks that Link links the open file, and fails if another file replaced it.
func TestLink(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	os.WriteFile(at("real"), []byte("1"), 0o644)
	os.WriteFile(at("other"), []byte("2"), 0o644)
	if err := os.Symlink("real", at("link")); err != nil {
		t.Skip(err)
	}
	file, err := folder.OpenNamed(at("link"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, from := range []string{"real", "link"} {
		to := at("to-" + from)
		if err := folder.Link(file, at(from), to); err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(to); string(b) != "1" {
			t.Errorf("the link to %s contains %q, %v, want \"1\"", from, b, err)
		}
	}
	os.Remove(at("link"))
	os.Symlink("other", at("link"))
	if err := folder.Link(file, at("link"), at("swapped")); err == nil {
		t.Error("Link succeeded although another file has replaced the open one")
	}
	if _, err := os.Lstat(at("swapped")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the failed Link left a file: %v", err)
	}
}

// TestReadCheckedReadsOnlyTheHead checks that only the beginning of a file that is rejected is
// read, and all of another file.
func TestReadCheckedReadsOnlyTheHead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, size := range map[string]int64{"empty": 0, "short": 10, "long": 1 << 40} {
		f, err := os.Create(filepath.Join(dir, name))
		if err == nil {
			err = errors.Join(f.Truncate(size), f.Close())
		}
		if err != nil {
			t.Skip(err)
		}
	}
	in, err := folder.Open(dir, folder.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	for name, want := range map[string]int{"empty": 0, "short": 10, "long": 100} {
		var got int
		reject := errors.New("reject")
		_, err := in.ReadChecked(name, 1<<41, folder.Head{Size: 100, Check: func(b []byte) error { got = len(b); return reject }})
		if err != reject || got != want {
			t.Errorf("%s: %d bytes were checked and the error is %v; want %d and %v", name, got, err, want, reject)
		}
	}
	b, err := in.ReadChecked("short", 10, folder.Head{Size: 4, Check: func([]byte) error { return nil }})
	if err != nil || len(b) != 10 {
		t.Errorf("an accepted file: %d bytes, %v; want all 10", len(b), err)
	}
}
