package maker

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// TestSelection checks that Make uses a selection without listing the files again, and that a
// selection knows its files, what it left out, and which changes make it outdated.
func TestSelection(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	log := filepath.Join(dir, "logs", "log")
	for path, data := range map[string]string{"a": "1", "sub/b": "22", "sub/c.tmp": "333", ".hidden": "4", "logs/log": "5"} {
		path = filepath.Join(dir, filepath.FromSlash(path))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, []byte(data), 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	skipped := 0
	o := Options{NoDate: true, Exclude: []string{"logs", "*.tmp"}, Skipped: func(Skipped) { skipped++ }}
	s, err := Select(t.Context(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	if paths := slices.Collect(s.Paths()); !slices.Equal(paths, []string{"a", "sub/b"}) || s.Single() || s.Skipped() != 1 || skipped != 1 {
		t.Errorf("the selection has %q, %d left out, %d reported", paths, s.Skipped(), skipped)
	}
	want, err := Make(t.Context(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	skipped, o.Selected = 0, s
	got, err := Make(t.Context(), dir, o)
	if err != nil || got.Hash() != want.Hash() || skipped != 0 {
		t.Errorf("with the selection the torrent is %v instead of %v, error %v; %d entries were listed again", got, want, err, skipped)
	}
	if n, files, err := Measure(t.Context(), dir, o); n != 3 || files != 2 || err != nil {
		t.Errorf("Measure returned %d bytes, %d files, %v", n, files, err)
	}

	stat := func(path string) []os.FileInfo {
		info, err := os.Stat(filepath.Join(dir, filepath.FromSlash(path)))
		if err != nil {
			t.Fatal(err)
		}
		return []os.FileInfo{info}
	}
	for path, is := range map[string]bool{"a": true, "sub/b": true, "sub": true, ".": true, "logs": false, "logs/log": false, "sub/c.tmp": false} {
		var written *WrittenError
		if err := s.CheckWritten(stat(path)); errors.As(err, &written) != is {
			t.Errorf("if %s is written, the error is %v", path, err)
		}
		o.Written = stat(path)
		if _, err := Make(t.Context(), dir, o); errors.As(err, &written) != is {
			t.Errorf("if %s is written, the error of Make is %v", path, err)
		}
	}
	if stamp, newest := s.Stamp(); stamp == "" || time.Since(newest) > time.Hour {
		t.Errorf("the stamp is %q of %v", stamp, newest)
	}
	if err := os.WriteFile(log, []byte("more"), 0o666); err != nil || s.Outdated() {
		t.Errorf("a change of a file that is left out makes the selection outdated; %v", err)
	}
	early := time.Now().Add(-time.Hour)
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "sub", "new"), nil, 0o666), os.Chtimes(filepath.Join(dir, "sub"), early, early)); err != nil || !s.Outdated() {
		t.Errorf("a new file does not make the selection outdated; %v", err)
	}
	if err := os.Link(filepath.Join(dir, "a"), log+".link"); err == nil {
		if err := s.CheckWritten(stat("logs/log.link")); err == nil {
			t.Error("a hard link of a selected file may be written")
		}
	}
}
