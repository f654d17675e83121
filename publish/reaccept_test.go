package publish

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestReaccept checks that the state of restored files is recorded only if the seeder's check
// succeeds and the files do not change meanwhile.
func TestReaccept(t *testing.T) {
	bad := errors.New("bad data")
	for _, c := range []struct {
		name  string
		touch bool                    // the file has another time than when it was hashed
		check func(path string) error // the check of the seeder
		want  bool                    // the release is intact afterwards
	}{
		{"nothing changed", false, func(string) error { return bad }, true},
		{"restored", true, func(string) error { return nil }, true},
		{"the seeder found bad data", true, func(string) error { return bad }, false},
		{"changed meanwhile", true, func(path string) error { return os.Chtimes(path, time.Time{}, time.Unix(3, 0)) }, false},
		{"resized meanwhile", true, func(path string) error { return os.WriteFile(path, []byte("longer"), 0o644) }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "a")
			if err := os.WriteFile(path, []byte("data"), 0o644); err != nil {
				t.Fatal(err)
			}
			r := &Release{Slug: "a", Name: "a", Version: "1", Single: true, NumFiles: 1, Path: path, Files: []File{{Length: 4}}}
			r.HashV1[0] = 1
			if err := r.record(noStates); err != nil {
				t.Fatal(err)
			}
			catalog := NewMemory()
			if err := catalog.Put(t.Context(), r, Torrents{Main: []byte("de")}); err != nil {
				t.Fatal(err)
			}
			if c.touch {
				os.Chtimes(path, time.Time{}, time.Unix(2, 0))
			}
			p := &Publisher{opts: Options{Catalog: catalog}}
			p.Reaccept(t.Context(), r, func() error { return c.check(path) })
			full, err := catalog.Get(t.Context(), r.Ref())
			if err != nil {
				t.Fatal(err)
			}
			if err := full.Intact(); (err == nil) != c.want {
				t.Errorf("afterwards the release is intact: %v, want %t", err, c.want)
			}
		})
	}
}
