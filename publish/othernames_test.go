package publish

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"spate/maker"
	"spate/metainfo"
)

// TestAdoptFindsNamesOfOthers checks that a torrent can be published whose data has the names
// that another program stored, and that visitors read the names that get stores.
func TestAdoptFindsNamesOfOthers(t *testing.T) {
	w := newFixture(t)
	if os.Mkdir(filepath.Join(w.dir, "\xff"), 0o755) != nil {
		t.Skip("this system has only names in UTF-8")
	}
	w.write("t\xe9/d\xe9/f\xe9.txt", "1")
	w.write("t\xe9/plain", "2")
	w.write("t\xe9/tab\t", "3")
	path := filepath.Join(w.dir, "t\xe9")
	made, err := maker.Make(t.Context(), path, maker.Options{Format: metainfo.V1})
	if err != nil {
		t.Fatal(err)
	}
	b, err := made.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	m, err := metainfo.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	r, err := w.publisher().Adopt(t.Context(), m, path, Spec{})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"d\xe9/f\xe9.txt", "plain", "tab\t"} {
		if got := r.Files[i].Path; got != want {
			t.Errorf("file %d has the path %q, want %q", i, got, want)
		}
		if k, ok := r.Lookup(want); !ok || k != i {
			t.Errorf("Lookup(%q) = %d, %v, want %d", want, k, ok, i)
		}
		f, err := r.Open(i)
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	if got, want := r.StoredPaths(), []string{"d_/f_.txt", "plain", "tab_"}; r.StoredName() != "t_" || !slices.Equal(got, want) {
		t.Errorf("the stored paths below %q are %q, want %q below t_", r.StoredName(), got, want)
	}
	if err := r.Intact(); err != nil {
		t.Error(err)
	}
}

func TestSlugIsUTF8(t *testing.T) {
	for name, want := range map[string]string{"a": "a", "\xe9": "_", "é~\xff\xfe": "é__", "..": "_"} {
		if got := SlugOf(name); got != want {
			t.Errorf("SlugOf(%q) = %q, want %q", name, got, want)
		}
	}
}
