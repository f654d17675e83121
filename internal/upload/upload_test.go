package upload

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"spate/internal/fault"
)

// open returns the store in dir.
func open(t *testing.T, dir string, opt Options) *Store {
	t.Helper()
	opt.Warn = t.Errorf
	s, err := New(dir, opt)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// create begins an upload.
func create(t *testing.T, s *Store, r Request) Info {
	t.Helper()
	i, err := s.Create(r)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// stream returns the bytes of files of the given lengths.
func stream(n int64) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i>>8 ^ i*7)
	}
	return b
}

// tree returns the files below dir with their content.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	got := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		got[filepath.ToSlash(rel)] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestUploadGoesOnAfterRestart sends folders in pieces of every size, each to another store of the same
// directory, and checks the files.
func TestUploadGoesOnAfterRestart(t *testing.T) {
	t.Parallel()
	for _, lengths := range [][]int64{{0}, {5}, {0, 0}, {3, 0, 4}, {0, 5, 0, 0, 2, 0}, {1, 1, 1}} {
		for step := 1; step <= 5; step++ {
			dir := t.TempDir()
			r := Request{Name: "folder"}
			var total int64
			for i, n := range lengths {
				r.Files = append(r.Files, File{fmt.Sprintf("d%d/f%d", i/2, i), n})
				total += n
			}
			data := stream(total)
			i := create(t, open(t, dir, Options{}), r)
			for i.Offset < total {
				s := open(t, dir, Options{})
				now, err := s.Info(i.ID)
				if err != nil || now.Offset != i.Offset {
					t.Fatalf("%v: after a restart: %+v %v, want the offset %d", lengths, now, err, i.Offset)
				}
				end := min(total, i.Offset+int64(step))
				if i, err = s.Append(i.ID, i.Offset, bytes.NewReader(data[i.Offset:end]), nil); err != nil || i.Offset != end {
					t.Fatalf("%v: stored up to %d: %+v %v", lengths, end, i, err)
				}
			}
			taken, err := open(t, dir, Options{}).Take(i.ID)
			if err != nil {
				t.Fatalf("%v in steps of %d: %v", lengths, step, err)
			}
			got := tree(t, taken.Path)
			for k, f := range r.Files {
				want := data[:f.Length]
				data = data[f.Length:]
				if content, ok := got[f.Path]; !ok || content != string(want) {
					t.Errorf("%v in steps of %d: file %d is %q (%v), want %q", lengths, step, k, content, ok, want)
				}
			}
			if len(got) != len(r.Files) {
				t.Errorf("%v: the folder has %d files", lengths, len(got))
			}
		}
	}
}

// TestOffsets checks that bytes are only taken at the offset of the upload, and none behind its end.
func TestOffsets(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), Options{})
	i := create(t, s, Request{Name: "f", Length: 10})
	if _, err := s.Append(i.ID, 0, strings.NewReader("0123"), nil); err != nil {
		t.Fatal(err)
	}
	for _, off := range []int64{-1, 0, 3, 5, 10, 1 << 62} {
		got, err := s.Append(i.ID, off, strings.NewReader("xxxx"), nil)
		var wrong *OffsetError
		if !errors.As(err, &wrong) || wrong.Have != 4 || got.Offset != 4 {
			t.Errorf("offset %d: %+v %v", off, got, err)
		}
	}
	if got, err := s.Append(i.ID, 4, strings.NewReader("456789more"), nil); !errors.Is(err, ErrTooLong) || got.Offset != 10 {
		t.Errorf("too many bytes: %+v %v", got, err)
	}
	if got := tree(t, s.incoming(i.ID))["data/f"]; got != "0123456789" {
		t.Errorf("the file contains %q", got)
	}
	for _, id := range []string{"", "..", "../" + i.ID, strings.ToUpper(i.ID), i.ID + "/data", "\x00", strings.Repeat("a", 1<<16)} {
		if _, err := s.Append(id, 0, strings.NewReader("x"), nil); fault.CodeOf(err) != fault.NotFound {
			t.Errorf("id %.40q: %v", id, err)
		}
	}
}

// blocked is a body whose bytes arrive only after the test wants, and that can be interrupted.
type blocked struct {
	first  []byte
	begun  chan struct{} // closed once the first bytes were read
	broken chan struct{}
}

func (b *blocked) Read(p []byte) (int, error) {
	if len(b.first) > 0 {
		n := copy(p, b.first)
		b.first = b.first[n:]
		return n, nil
	}
	close(b.begun)
	<-b.broken
	return 0, errors.New("interrupted")
}

// TestSecondRequestTakesOver checks that a second request ends one whose connection is dead, and that
// its bytes are kept.
func TestSecondRequestTakesOver(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), Options{})
	i := create(t, s, Request{Name: "f", Length: 8})
	body := &blocked{[]byte("abc"), make(chan struct{}), make(chan struct{})}
	first := make(chan error, 1)
	go func() {
		got, err := s.Append(i.ID, 0, body, func() { close(body.broken) })
		if got.Offset != 3 {
			err = fmt.Errorf("the interrupted request stored %d bytes: %w", got.Offset, err)
		}
		first <- err
	}()
	<-body.begun
	now, err := s.Settle(i.ID)
	if err != nil || now.Offset != 3 {
		t.Fatalf("after an interruption: %+v %v", now, err)
	}
	if err := <-first; err == nil || err.Error() != "interrupted" {
		t.Errorf("the first request: %v", err)
	}
	if got, err := s.Append(i.ID, 3, strings.NewReader("defgh"), nil); err != nil || got.Offset != 8 {
		t.Errorf("the second request: %+v %v", got, err)
	}
}

// TestNames checks that an upload has only names that are safe everywhere, and that no two are the same
// file.
func TestNames(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), Options{})
	for _, name := range []string{"", ".", "..", "a/b", `a\b`, "a\x00b", "CON", "nul.txt", "a\xffb", "a\u202eb", strings.Repeat("n", 256), "C:x"} {
		for _, r := range []Request{{Name: name, Length: 1}, {Name: "d", Files: []File{{"x/" + name + "/y", 1}}}} {
			if name == "a/b" && r.Files != nil {
				continue
			}
			if i, err := s.Create(r); fault.CodeOf(err) != fault.Usage {
				t.Errorf("%+v: %+v %v", r, i, err)
			}
		}
	}
	for what, files := range map[string][]File{
		"the same file":       {{"a", 1}, {"a", 1}},
		"a file in a file":    {{"a", 1}, {"a/b", 1}},
		"a file for a dir":    {{"a/b", 1}, {"a", 1}},
		"an absolute path":    {{"/a", 1}},
		"a path to nothing":   {{"a/", 1}},
		"a way out":           {{"a/../../b", 1}},
		"a negative length":   {{"a", -1}},
		"an overflow":         {{"a", 1 << 62}, {"b", 1 << 62}},
		"too long a path":     {{strings.Repeat("a/", 600) + "b", 1}},
		"a length of its own": {},
	} {
		r := Request{Name: "d", Files: files}
		if len(files) == 0 {
			r.Files, r.Length = []File{{"a", 1}}, 5
		}
		if i, err := s.Create(r); fault.CodeOf(err) != fault.Usage {
			t.Errorf("%s: %+v %v", what, i, err)
		}
	}
	if len(s.List()) != 0 || len(tree(t, s.Dir())) != 0 {
		t.Errorf("refused uploads have left something: %v", tree(t, s.Dir()))
	}
}

// TestLimits checks the limits of a store, and that the space of unfinished uploads counts.
func TestLimits(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), Options{Free: func(string) uint64 { return 100 }})
	i := create(t, s, Request{Name: "f", Length: 60})
	if _, err := s.Create(Request{Name: "g", Length: 41}); fault.CodeOf(err) != fault.DiskFull {
		t.Errorf("more than is free: %v", err)
	}
	if _, err := s.Append(i.ID, 0, bytes.NewReader(stream(20)), nil); err != nil {
		t.Fatal(err)
	}
	create(t, s, Request{Name: "g", Length: 41})
	for range MaxUploads - 2 {
		create(t, s, Request{Name: "e"})
	}
	if _, err := s.Create(Request{Name: "e"}); fault.CodeOf(err) != fault.Exists {
		t.Errorf("more than %d uploads: %v", MaxUploads, err)
	}
	if err := s.Delete(i.ID); err != nil {
		t.Fatal(err)
	}
	create(t, s, Request{Name: "e"})
	var many Request
	for k := range MaxFiles + 1 {
		many.Files = append(many.Files, File{fmt.Sprint(k), 0})
	}
	many.Name = "many"
	if _, err := s.Create(many); fault.CodeOf(err) != fault.Usage {
		t.Errorf("more than %d files: %v", MaxFiles, err)
	}
}

// TestTake checks that the data of a complete upload moves as a whole, that it can be taken again after
// a failure, and that nobody changes it meanwhile.
func TestTake(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, Options{})
	i := create(t, s, Request{Name: "f", Length: 3})
	if _, err := s.Take(i.ID); fault.CodeOf(err) != fault.Exists {
		t.Errorf("an incomplete upload was taken: %v", err)
	}
	if _, err := s.Append(i.ID, 0, strings.NewReader("abc"), nil); err != nil {
		t.Fatal(err)
	}
	taken, err := s.Take(i.ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Take(i.ID); err == nil {
		t.Error("an upload was taken twice")
	}
	if err := s.Delete(i.ID); err == nil {
		t.Error("an upload was deleted that is being published")
	}
	taken.Undone()
	s = open(t, dir, Options{}) // as after a crash
	if taken, err = s.Take(i.ID); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(taken.Path); err != nil || string(b) != "abc" || !s.Owns(taken.Path) {
		t.Errorf("%s contains %q: %v", taken.Path, b, err)
	}
	if err := taken.Done(); err != nil {
		t.Fatal(err)
	}
	if list := open(t, dir, Options{}).List(); len(list) != 0 {
		t.Errorf("a published upload is left: %+v", list)
	}
	for _, path := range []string{s.Published(), filepath.Dir(dir), filepath.Join(s.Published(), "..", "incoming")} {
		if s.Owns(path) || s.RemoveData(path) == nil {
			t.Errorf("%s counts as uploaded data", path)
		}
	}
	if err := s.RemoveData(taken.Path); err != nil || len(tree(t, dir)) != 0 {
		t.Errorf("after the removal: %v %v", tree(t, dir), err)
	}
}

// TestOldUploadsAreDeleted checks that an upload is deleted a day after its last byte, and that data of a
// release stays.
func TestOldUploadsAreDeleted(t *testing.T) {
	t.Parallel()
	dir, now := t.TempDir(), time.Now()
	used := ""
	opt := Options{Now: func() time.Time { return now }, Used: func(dir string) (bool, error) { return dir == used, nil }}
	s := open(t, dir, opt)
	old := create(t, s, Request{Name: "old", Length: 9})
	fresh := create(t, s, Request{Name: "fresh", Length: 9})
	failed := create(t, s, Request{Name: "failed"})
	published := create(t, s, Request{Name: "published"})
	for _, id := range []string{failed.ID, published.ID} {
		taken, err := s.Take(id)
		if err != nil {
			t.Fatal(err)
		}
		taken.Undone()
	}
	used = filepath.Join(s.Published(), published.ID)
	now = now.Add(Keep - time.Second)
	if _, err := s.Append(fresh.ID, 0, strings.NewReader("a"), nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Sweep(); err != nil || len(s.List()) != 4 {
		t.Errorf("too early: %+v %v", s.List(), err)
	}
	now = now.Add(time.Second)
	if err := s.Sweep(); err != nil || len(s.List()) != 1 || s.List()[0].ID != fresh.ID {
		t.Errorf("after a day: %+v %v", s.List(), err)
	}
	var left []string
	for path := range tree(t, dir) {
		left = append(left, path)
	}
	slices.Sort(left)
	want := []string{"incoming/" + fresh.ID + "/data/fresh", "incoming/" + fresh.ID + "/offset", "incoming/" + fresh.ID + "/upload.json", "published/" + published.ID + "/published"}
	if !slices.Equal(left, want) {
		t.Errorf("left are %q, want %q", left, want)
	}
	if _, err := s.Append(old.ID, 0, strings.NewReader("a"), nil); fault.CodeOf(err) != fault.NotFound {
		t.Errorf("a deleted upload: %v", err)
	}
}

// TestUnrecordedBytesAreCut checks that bytes that nobody was told of, as a crash leaves them, do not
// stay behind the offset.
func TestUnrecordedBytesAreCut(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, Options{})
	i := create(t, s, Request{Name: "d", Files: []File{{"a", 4}, {"b", 4}}})
	if _, err := s.Append(i.ID, 0, strings.NewReader("abc"), nil); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(s.incoming(i.ID), "data", "d")
	for name, content := range map[string]string{"a": "abcZZZZZ", "b": "ZZ"} {
		if err := os.WriteFile(filepath.Join(data, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	os.Mkdir(filepath.Join(s.Dir(), "incoming", "half"), 0o700) // a crash during Create
	s = open(t, dir, Options{})
	if got := tree(t, data); len(got) != 1 || got["a"] != "abc" {
		t.Errorf("after a restart: %q", got)
	}
	if _, err := s.Append(i.ID, 3, io.MultiReader(strings.NewReader("d"), strings.NewReader("efgh")), nil); err != nil {
		t.Fatal(err)
	}
	if got := tree(t, data); got["a"] != "abcd" || got["b"] != "efgh" {
		t.Errorf("at the end: %q", got)
	}
	if _, err := os.Stat(filepath.Join(s.Dir(), "incoming", "half")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a directory without a record is left")
	}
}

// FuzzNames checks that an accepted request is stored below its directory.
func FuzzNames(f *testing.F) {
	f.Add("d", "a/b", int64(1), "a/c", int64(2))
	f.Add("..", "../x", int64(-1), "/", int64(1<<62))
	f.Fuzz(func(t *testing.T, name, a string, na int64, b string, nb int64) {
		rec := record{Request: Request{Name: name, Files: []File{{a, na}, {b, nb}}}}
		if rec.check() != nil {
			return
		}
		u := newUpload("x", rec)
		for i := range u.starts {
			if path, n := u.file(i); !filepath.IsLocal(path) || n < 0 || strings.Count(filepath.ToSlash(path), "/") < 1 {
				t.Errorf("file %d is %q of %d bytes", i, path, n)
			}
		}
		if u.length < 0 || u.length != na+nb {
			t.Errorf("the length is %d", u.length)
		}
	})
}
