package publish

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"spate/metainfo"
)

// TestHybridsGoOn checks that hybrids of a watched folder, which were published when they were
// the default, keep their info-hashes: after a file was touched, a release with the same data
// goes on. Changed data becomes a v1 torrent.
func TestHybridsGoOn(t *testing.T) {
	t.Parallel()
	h := newFolderFixture(t, 0)
	h.spec.Format = metainfo.Hybrid
	h.start(0)
	h.write("a.bin", "data")
	h.write("tree/b", "first")
	h.write("tree/a/c", "second")
	h.write("tree/empty", "")
	h.update()
	old := map[string]*Release{}
	for _, slug := range []string{"a.bin", "tree"} {
		r, err := h.catalog.Get(t.Context(), slug)
		if err != nil || r.Format != "hybrid" {
			t.Fatalf("%s: %+v, %v; want a hybrid", slug, r, err)
		}
		old[slug] = r
	}

	h.spec.Format = ""
	h.start(0)
	if _, err := h.pub.Restore(t.Context()); err != nil {
		t.Fatal(err)
	}
	touched := time.Unix(1_700_000_000, 0)
	for _, name := range []string{"a.bin", "tree/b"} {
		if err := os.Chtimes(filepath.Join(h.in, name), touched, touched); err != nil {
			t.Fatal(err)
		}
	}
	hashed := h.hashed
	h.update()
	if h.hashed != hashed+2 {
		t.Errorf("%d entries were hashed again, want 2", h.hashed-hashed)
	}
	for slug, was := range old {
		r, err := h.catalog.Get(t.Context(), slug)
		if err != nil || r.Hash() != was.Hash() || r.Version != was.Version {
			t.Errorf("%s has another info-hash or version: %+v, %v", slug, r, err)
		}
	}

	h.write("tree/b", "third")
	h.update()
	r, err := h.catalog.Get(t.Context(), "tree")
	if err != nil || r.Format != "v1" || r.Version != "2" {
		t.Errorf("the changed directory is %+v, %v; want version 2, of format v1", r, err)
	}
}

// TestSameDataInAnotherFormat checks that only the default format gives way to a hybrid of the
// same data: who asks for a format gets it.
func TestSameDataInAnotherFormat(t *testing.T) {
	t.Parallel()
	h := newFolderFixture(t, 0)
	h.write("../a.bin", "data")
	path := filepath.Join(h.in, "..", "a.bin")
	publish := func(slug string, format metainfo.Format, private bool) error {
		spec := Spec{Slug: slug, NoTwin: true} // a twin would be the same v1 torrent
		spec.Format, spec.Private = format, private
		_, err := h.pub.Publish(t.Context(), path, spec)
		return err
	}
	if err := publish("hybrid", metainfo.Hybrid, false); err != nil {
		t.Fatal(err)
	}
	var same *SameError
	if err := publish("default", "", false); !errors.As(err, &same) || same.Release.Slug != "hybrid" {
		t.Errorf("the default format: %v, want a SameError that names the hybrid", err)
	}
	if err := publish("private", "", true); err != nil {
		t.Errorf("a private torrent of the same data: %v", err)
	}
	if err := publish("v1", metainfo.V1, false); err != nil {
		t.Errorf("the format v1: %v", err)
	}
}
