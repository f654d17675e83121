package storage

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// sample is a layout with all kinds of entries: a pad file, a gap, an empty file and a
// link.
var sample = []File{
	{Path: "t/a", Length: 100},
	{Path: "t/.pad/28", Offset: 100, Length: 28, Pad: true},
	{Path: "t/d/b", Offset: 128, Length: 1000, Exec: true},
	{Path: "t/empty", Offset: 1128},
	{Path: "t/d/c", Offset: 1200, Length: 300},
	{Path: "t/l", Offset: 1500, Link: "t/d/b"},
}

func openSample(t testing.TB, dir string, opts DirOptions) *Dir {
	t.Helper()
	return openFiles(t, dir, sample, opts)
}

func openFiles(t testing.TB, dir string, files []File, opts DirOptions) *Dir {
	t.Helper()
	l, err := NewLayout(files)
	if err != nil {
		t.Fatal(err)
	}
	d, err := OpenLayout(dir, l, NewPool(0), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// fill writes the whole byte space and returns the data that is read back.
func fill(t testing.TB, d *Dir) []byte {
	t.Helper()
	data := bytes.Repeat([]byte{0xff}, int(d.layout.Len()))
	if n, err := d.WriteAt(data, 0); n != len(data) || err != nil {
		t.Fatalf("WriteAt wrote %d of %d bytes: %v", n, len(data), err)
	}
	for i, pos := 0, int64(0); pos < d.layout.Len(); pos++ {
		for i < len(d.layout.files) && pos >= d.layout.files[i].Offset+d.layout.files[i].Length {
			i++
		}
		if f := &d.layout.files[i]; f.Pad() || pos < f.Offset {
			data[pos] = 0
		}
	}
	return data
}

// tree lists the files and directories below dir.
func tree(t testing.TB, dir string) string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err == nil && p != dir {
			rel, _ := filepath.Rel(dir, p)
			list = append(list, filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(list, " ")
}

func mustWrite(t testing.TB, path string, data string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(data), 0o666); err != nil {
		t.Fatal(err)
	}
}

// wantReason fails the test unless err is an *Error with the given reason.
func wantReason(t *testing.T, what string, err, reason error) {
	t.Helper()
	var e *Error
	if !errors.Is(err, reason) || !errors.As(err, &e) {
		t.Errorf("%s: got %v, want %v", what, err, reason)
	}
}

func TestDirCreatesOnlyWrittenFiles(t *testing.T) {
	dir := t.TempDir()
	d := openSample(t, dir, DirOptions{})
	if got := tree(t, dir); got != "" {
		t.Errorf("OpenLayout created %s, want nothing", got)
	}
	if _, err := d.ReadAt(make([]byte, 10), 0); !errors.Is(err, ErrMissing) {
		t.Errorf("ReadAt of a missing file returned %v, want ErrMissing", err)
	}
	p := []byte{1, 2, 3, 4, 5, 6}
	if n, err := d.ReadAt(p, 105); n != 6 || err != nil || !bytes.Equal(p, make([]byte, 6)) {
		t.Errorf("ReadAt of padding gave %v, %d, %v, want 6 zeros", p, n, err)
	}
	if n, err := d.WriteAt(bytes.Repeat([]byte{7}, 28), 100); n != 28 || err != nil || tree(t, dir) != "" {
		t.Errorf("WriteAt to padding returned %d, %v and left %q, want 28 and no files", n, err, tree(t, dir))
	}
	if _, err := d.WriteAt([]byte{7}, 1499); err != nil {
		t.Fatal(err)
	}
	if got := tree(t, dir); got != "t t/d t/d/c" {
		t.Errorf("writing one byte created %s, want only its file", got)
	}
	if fi, err := os.Stat(filepath.Join(dir, "t/d/c")); err != nil || fi.Size() != 300 {
		t.Errorf("the file has %v bytes, %v, want 300", fi.Size(), err)
	}
}

func TestDirWritesAllFiles(t *testing.T) {
	dir := t.TempDir()
	d := openSample(t, dir, DirOptions{})
	if err := d.Prepare(); err != nil {
		t.Fatal(err)
	}
	if got := tree(t, dir); got != "t t/empty" {
		t.Errorf("Prepare created %s, want only the empty file", got)
	}
	want := fill(t, d)
	if err := d.Finish(); err != nil {
		t.Fatal(err)
	}
	if err := d.Sync(); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(want))
	if _, err := d.ReadAt(got, 0); err != nil || !bytes.Equal(got, want) {
		t.Errorf("ReadAt returned other data than was written, or %v", err)
	}
	if got := tree(t, dir); got != "t t/a t/d t/d/b t/d/c t/empty t/l" {
		t.Errorf("there are the entries %s, want all files and the link", got)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "t/l")); err != nil || len(b) != 1000 {
		t.Errorf("reading through the link gave %d bytes, %v, want 1000", len(b), err)
	}
	if err := d.Check(0, 1<<40); err != nil {
		t.Errorf("Check returned %v", err)
	}
	if runtime.GOOS != "windows" {
		a, _ := os.Stat(filepath.Join(dir, "t/a"))
		b, _ := os.Stat(filepath.Join(dir, "t/d/b"))
		if a.Mode()&0o111 != 0 || b.Mode()&0o111 == 0 {
			t.Errorf("the modes are %v and %v, want only the second executable", a.Mode(), b.Mode())
		}
	}
	for range 2 { // a second call changes nothing
		if err := errors.Join(d.Prepare(), d.Finish(), d.Sync(), d.Check(0, 2000)); err != nil {
			t.Errorf("the second call: %v", err)
		}
	}
}

func TestDirName(t *testing.T) {
	dir := t.TempDir()
	d := openSample(t, dir, DirOptions{Name: "other"})
	fill(t, d)
	if err := errors.Join(d.Prepare(), d.Finish()); err != nil {
		t.Fatal(err)
	}
	if got := tree(t, dir); got != "other other/a other/d other/d/b other/d/c other/empty other/l" {
		t.Errorf("there are the entries %s, want all files below the new name", got)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "other/l")); err != nil || len(b) != 1000 {
		t.Errorf("reading through the link gave %d bytes, %v, want 1000", len(b), err)
	}
	for _, bad := range []string{"..", ".", "a/b", "/a", "a\x00"} {
		if _, err := OpenLayout(dir, d.layout, d.pool, DirOptions{Name: bad}); !errors.Is(err, ErrLayout) {
			t.Errorf("OpenLayout with the name %q returned %v, want ErrLayout", bad, err)
		}
	}
	twoTops, err := NewLayout([]File{{Path: "a/x"}, {Path: "b/x"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenLayout(dir, twoTops, d.pool, DirOptions{}); !errors.Is(err, ErrLayout) {
		t.Errorf("OpenLayout of paths with two first elements returned %v, want ErrLayout", err)
	}
}

func TestLonger(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "t/a")
	mustWrite(t, path, strings.Repeat("x", 101))
	d := openSample(t, dir, DirOptions{})
	wantReason(t, "Prepare", d.Prepare(), ErrLonger)
	_, err := d.WriteAt([]byte{1}, 50)
	wantReason(t, "write", err, ErrLonger)
	if fi, _ := os.Stat(path); fi.Size() != 101 {
		t.Errorf("the file was cut to %d bytes, although Force is not set", fi.Size())
	}
	d.Close()
	d = openSample(t, dir, DirOptions{Force: true})
	if err := d.Prepare(); err != nil {
		t.Errorf("Prepare: %v", err)
	}
	if fi, _ := os.Stat(path); fi.Size() != 101 {
		t.Errorf("Prepare cut the file to %d", fi.Size())
	}
	if _, err := d.WriteAt([]byte{1}, 50); err != nil {
		t.Errorf("WriteAt: %v", err)
	}
	if fi, _ := os.Stat(path); fi.Size() != 100 {
		t.Errorf("with Force the file has %d bytes after a write, want the length in the torrent", fi.Size())
	}
}

func TestLongerEmptyFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "t/empty")
	mustWrite(t, path, "x")
	d := openSample(t, dir, DirOptions{})
	wantReason(t, "Prepare", d.Prepare(), ErrLonger)
	d.Close()
	d = openSample(t, dir, DirOptions{Force: true})
	if err := d.Prepare(); err != nil {
		t.Errorf("Prepare: %v", err)
	}
	if fi, _ := os.Stat(path); fi.Size() != 0 {
		t.Errorf("with Force the empty file has %d bytes, want 0", fi.Size())
	}
}

func TestReadOnly(t *testing.T) {
	dir := t.TempDir()
	mustWrite(t, filepath.Join(dir, "t/a"), strings.Repeat("x", 100))
	d := openSample(t, dir, DirOptions{ReadOnly: true})
	if _, err := d.ReadAt(make([]byte, 100), 0); err != nil {
		t.Errorf("ReadAt: %v", err)
	}
	_, err := d.WriteAt([]byte{1}, 0)
	wantReason(t, "write", err, ErrReadOnly)
	_, err = d.WriteAt([]byte{1}, 1300)
	wantReason(t, "write to a file that is not there", err, ErrReadOnly)
	wantReason(t, "Prepare", d.Prepare(), ErrReadOnly)
	wantReason(t, "Remove", d.Remove(), ErrReadOnly)
	if got := tree(t, dir); got != "t t/a" {
		t.Errorf("there are the entries %s, want only the existing file", got)
	}
	if err := d.Sync(); err != nil {
		t.Errorf("Sync: %v", err)
	}
}

func TestShorterFile(t *testing.T) {
	dir := t.TempDir()
	mustWrite(t, filepath.Join(dir, "t/a"), strings.Repeat("x", 50))
	d := openSample(t, dir, DirOptions{})
	p := make([]byte, 100)
	n, err := d.ReadAt(p, 0)
	wantReason(t, "read", err, ErrMissing)
	if n != 50 {
		t.Errorf("ReadAt read %d bytes, want 50", n)
	}
	if !d.HasData(0, 60) || d.HasData(50, 78) {
		t.Errorf("HasData is %v before the end of the file and %v after it, want true and false", d.HasData(0, 60), d.HasData(50, 78))
	}
	if _, err := d.WriteAt([]byte("y"), 99); err != nil {
		t.Fatal(err)
	}
	if n, err := d.ReadAt(p, 0); n != 100 || err != nil || string(p[40:60]) != strings.Repeat("x", 10)+strings.Repeat("\x00", 10) {
		t.Errorf("ReadAt returned %d, %v and around the old end %q, want zeros after the old data", n, err, p[40:60])
	}
}

func TestHasData(t *testing.T) {
	dir := t.TempDir()
	const size = 64 << 20
	d := openFiles(t, dir, []File{{Path: "t/f", Length: size}, {Offset: size, Length: 100, Pad: true}, {Path: "t/g", Offset: size + 100, Length: 1}}, DirOptions{})
	if d.HasData(0, size) {
		t.Error("HasData reports data in a file that does not exist")
	}
	if d.HasData(size, 100) || d.HasData(-5, 3) || d.HasData(size+200, 10) || d.HasData(0, 0) {
		t.Error("HasData reports data in padding, or outside of the byte space")
	}
	if _, err := d.WriteAt(make([]byte, 100), 32<<20); err != nil {
		t.Fatal(err)
	}
	if !d.HasData(32<<20, 1<<20) || !d.HasData(0, size) {
		t.Error("HasData reports no data where data was written")
	}
	if runtime.GOOS == "linux" && (d.HasData(0, 16<<20) || d.HasData(40<<20, 10<<20)) {
		t.Error("HasData reports data in a hole")
	}
	if d.HasData(size, 101) {
		t.Error("HasData reports data in a file that does not exist")
	}
}

func TestInUse(t *testing.T) {
	dir := t.TempDir()
	l, err := NewLayout(sample)
	if err != nil {
		t.Fatal(err)
	}
	pool := NewPool(0)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		link = dir
	}
	open := func(dir string, opts DirOptions) (*Dir, error) { return OpenLayout(dir, l, pool, opts) }
	w, err := open(dir, DirOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, opts := range []DirOptions{{}, {ReadOnly: true}} {
		if _, err := open(link, opts); !errors.Is(err, ErrInUse) {
			t.Errorf("opening with %+v while a writer has the path returned %v, want ErrInUse", opts, err)
		}
	}
	other, err := open(dir, DirOptions{Name: "other"})
	if err != nil {
		t.Fatal(err)
	}
	other.Close()
	w.Close()
	w.Close()
	r1, err1 := open(dir, DirOptions{ReadOnly: true})
	r2, err2 := open(link, DirOptions{ReadOnly: true})
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	r1.Close()
	if _, err := open(dir, DirOptions{}); !errors.Is(err, ErrInUse) {
		t.Errorf("opening for writing while a reader has the path returned %v, want ErrInUse", err)
	}
	r2.Close()
	w, err = open(dir, DirOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
	if len(pool.dirs)+len(pool.paths) != 0 {
		t.Errorf("after closing everything the pool still has the directories %v and the paths %v", pool.dirs, pool.paths)
	}
}

func TestOpenDirErrors(t *testing.T) {
	dir := t.TempDir()
	l, err := NewLayout(sample)
	if err != nil {
		t.Fatal(err)
	}
	mustWrite(t, filepath.Join(dir, "file"), "")
	_, err = OpenLayout(filepath.Join(dir, "none"), l, NewPool(0), DirOptions{})
	wantReason(t, "no directory", err, ErrMissing)
	_, err = OpenLayout(filepath.Join(dir, "file"), l, NewPool(0), DirOptions{})
	wantReason(t, "a file", err, ErrObstructed)
}

func TestClassify(t *testing.T) {
	for errno, want := range map[syscall.Errno][2]error{
		syscall.EIO:    {ErrIO, ErrIO},
		syscall.ENOENT: {ErrMissing, ErrMissing},
		syscall.EACCES: {ErrDenied, ErrReadOnly},

		syscall.EROFS:        {ErrReadOnly, ErrReadOnly},
		syscall.ENOSPC:       {ErrFull, ErrFull},
		syscall.EDQUOT:       {ErrFull, ErrFull},
		syscall.ENAMETOOLONG: {ErrMissing, ErrName},
		syscall.EILSEQ:       {ErrMissing, ErrName},
		syscall.EFBIG:        {ErrTooLarge, ErrTooLarge},
		syscall.EINVAL:       {ErrIO, ErrIO}, // ErrName only if a file is created
		syscall.EMFILE:       {ErrDescriptors, ErrDescriptors},
	} {
		if runtime.GOOS == "windows" {
			t.Skip("other numbers")
		}
		err := &fs.PathError{Op: "open", Path: "x", Err: errno}
		if r, w := classify(err, false), classify(err, true); r != want[0] || w != want[1] {
			t.Errorf("%v is %v for a read and %v for a write, want %v", errno, r, w, want)
		}
	}
	e := &Error{Op: "write", Path: "a\x1b[31m", Reason: ErrFull, Err: &fs.PathError{Op: "write", Path: "a", Err: syscall.EFBIG}}
	if got := e.Error(); strings.ContainsRune(got, '\x1b') || !strings.Contains(got, "disk full (file too large)") {
		t.Errorf("the error is %q, want \"disk full (file too large)\" in it and no control characters", got)
	}
}

// touchLater moves the modification time of a file one hour ahead.
func touchLater(t *testing.T, path string) {
	t.Helper()
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(path, later, later); err != nil {
		t.Fatal(err)
	}
}

// TestLongWrite checks a write that takes several system calls.
func TestLongWrite(t *testing.T) {
	t.Parallel()
	const size = 3*maxWrite + 5
	d := openFiles(t, t.TempDir(), []File{{Path: "f", Length: size}}, DirOptions{})
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(i / 1000)
	}
	for _, part := range [][2]int{{0, 7}, {7, size}} {
		if n, err := d.WriteAt(data[part[0]:part[1]], int64(part[0])); n != part[1]-part[0] || err != nil {
			t.Fatalf("WriteAt wrote %d bytes at %d: %v", n, part[0], err)
		}
	}
	got := make([]byte, size)
	if n, err := d.ReadAt(got, 0); n != size || err != nil || !bytes.Equal(got, data) {
		t.Errorf("ReadAt returned %d bytes, %v, want the written data", n, err)
	}
}

// TestOtherPaths checks that a file is read and written at another path at which it exists,
// and never created there.
func TestOtherPaths(t *testing.T) {
	files := []File{
		{Path: "t/_AUX", Length: 100}, {Path: "t/_CON", Offset: 100, Length: 50}, {Path: "t/_NUL", Offset: 150, Length: 50},
		{Path: "t/d_/e_", Offset: 200, Length: 10}, {Path: "t/dir", Offset: 210, Length: 10},
	}
	other := map[int][]string{0: {"none", "AUX"}, 1: {"CON"}, 2: {"NUL"}, 3: {"d\xff/e\xfe"}, 4: {"is a directory"}}
	for _, readOnly := range []bool{true, false} {
		dir := t.TempDir()
		mustWrite(t, filepath.Join(dir, "t/AUX"), strings.Repeat("x", 100))
		mustWrite(t, filepath.Join(dir, "t/_CON"), strings.Repeat("y", 50))
		mustWrite(t, filepath.Join(dir, "t/CON"), strings.Repeat("n", 50))
		mustWrite(t, filepath.Join(dir, "t/is a directory/x"), "")
		bytewise := os.MkdirAll(filepath.Join(dir, "t/d\xff"), 0o777) == nil // not on all systems
		if bytewise {
			mustWrite(t, filepath.Join(dir, "t/d\xff/e\xfe"), strings.Repeat("z", 10))
		}
		d := openFiles(t, dir, files, DirOptions{ReadOnly: readOnly, OtherPaths: other})
		got := make([]byte, 150)
		if _, err := d.ReadAt(got, 0); err != nil || string(got) != strings.Repeat("x", 100)+strings.Repeat("y", 50) {
			t.Errorf("ReadAt returned %q, %v, want the data of both files", got, err)
		}
		got = got[:10]
		if _, err := d.ReadAt(got, 200); bytewise && (err != nil || string(got) != "zzzzzzzzzz") {
			t.Errorf("ReadAt of a name that is not UTF-8 returned %q, %v", got, err)
		}
		for _, off := range []int64{150, 210} {
			_, err := d.ReadAt(make([]byte, 1), off)
			wantReason(t, "what has no name", err, ErrMissing)
		}
		if readOnly {
			continue
		}
		if _, err := d.WriteAt([]byte("ab"), 99); err != nil {
			t.Fatal(err)
		}
		if _, err := d.WriteAt([]byte("c"), 150); err != nil {
			t.Fatal(err)
		}
		d.Close()
		for name, want := range map[string]string{"AUX": strings.Repeat("x", 99) + "a", "CON": strings.Repeat("n", 50), "_NUL": "c" + strings.Repeat("\x00", 49)} {
			if b, err := os.ReadFile(filepath.Join(dir, "t", name)); err != nil || string(b) != want {
				t.Errorf("%s holds %q, %v, want %q", name, b, err, want)
			}
		}
		for _, name := range []string{"_AUX", "NUL"} {
			if _, err := os.Lstat(filepath.Join(dir, "t", name)); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s was created", name)
			}
		}
	}
}

// TestOtherPathIsNotWrittenThroughLink checks that a link at another path is only read.
func TestOtherPathIsNotWrittenThroughLink(t *testing.T) {
	dir := t.TempDir()
	mustWrite(t, filepath.Join(dir, "t/real"), "data")
	if err := os.Symlink("real", filepath.Join(dir, "t/link")); err != nil {
		t.Skip(err)
	}
	files := []File{{Path: "t/stored", Length: 4}}
	d := openFiles(t, dir, files, DirOptions{OtherPaths: map[int][]string{0: {"link"}}})
	if _, err := d.WriteAt([]byte("XXXX"), 0); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "t/real")); string(b) != "data" {
		t.Errorf("the target of the link holds %q, %v, want its own data", b, err)
	}
}
