package publish

import (
	"context"
	"crypto/sha256"
	"errors"
	"testing"

	"spate"
	"spate/maker"
	"spate/metainfo"
	"spate/storage"
)

// storeSeeder records which torrents are seeded from storages.
type storeSeeder struct {
	*fixture
	seeded map[spate.InfoHash]storage.Storage
	fails  error
}

func (s *storeSeeder) SeedStore(_ context.Context, m *metainfo.MetaInfo, st storage.Storage, _ bool) error {
	if s.fails == nil {
		s.seeded[m.Hash()] = st
	}
	return s.fails
}

func (s *storeSeeder) Unseed(_ context.Context, ih spate.InfoHash) error {
	delete(s.seeded, ih)
	return nil
}

func TestPublishStore(t *testing.T) {
	w := newFixture(t)
	s := &storeSeeder{fixture: w, seeded: map[spate.InfoHash]storage.Storage{}}
	data := []byte("data in no directory")
	spec := Spec{Options: maker.Options{Name: "a.bin", Format: metainfo.Hybrid}}
	first, err := New(w, s, Options{Catalog: w})
	if err != nil {
		t.Fatal(err)
	}
	s.fails = errors.New("no peers today")
	if _, err := first.PublishStore(t.Context(), storage.NewMemoryOf(data), int64(len(data)), spec); !errors.Is(err, s.fails) {
		t.Fatalf("PublishStore returned %v, want %v", err, s.fails)
	}
	if len(first.stores) != 0 {
		t.Error("the storage of a failed release is kept")
	}
	s.fails = nil
	r, err := first.PublishStore(t.Context(), storage.NewMemoryOf(data), int64(len(data)), spec)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.seeded) != 2 || r.Path != "" || !r.Single {
		t.Errorf("%d torrents are seeded of the release %+v, want 2 of a single file without a path", len(s.seeded), r)
	}
	var same *SameError
	if _, err := first.PublishStore(t.Context(), storage.NewMemoryOf(data), int64(len(data)), Spec{Options: spec.Options, Slug: "other"}); !errors.As(err, &same) {
		t.Errorf("PublishStore of the same data returned %v, want a SameError", err)
	}

	// The next run has no storage until OpenStore returns it.
	clear(s.seeded)
	none, _ := New(w, s, Options{Catalog: w})
	restored, err := none.Restore(t.Context())
	if err != nil || len(restored.Problems) != 1 || !errors.Is(restored.Problems[0], ErrNoStore) || len(s.seeded) != 0 {
		t.Errorf("Restore without the storage reported %v, %v, want ErrNoStore", restored.Problems, err)
	}
	if _, err := none.Open(t.Context(), r, 0); !errors.Is(err, ErrGone) {
		t.Errorf("Open without the storage returned %v, want ErrNoStore", err)
	}
	if _, err := r.Open(0); !errors.Is(err, ErrGone) {
		t.Errorf("Release.Open of a release without a path returned %v, want ErrGone", err)
	}
	next, _ := New(w, s, Options{Catalog: w, OpenStore: func(_ context.Context, got *Release) (storage.Storage, error) {
		if got.Ref() != r.Ref() {
			t.Errorf("OpenStore was called for %s", got.Ref())
		}
		return storage.NewMemoryOf(data), nil
	}})
	if restored, err := next.Restore(t.Context()); err != nil || len(restored.Problems) != 0 || len(s.seeded) != 2 {
		t.Errorf("Restore reported %v, %v and %d torrents are seeded, want no problems and 2", restored.Problems, err, len(s.seeded))
	}
	next.sumAll(t.Context())
	if r, err = w.Get(t.Context(), r.Ref()); err != nil || r.Files[0].SHA256 != sha256.Sum256(data) {
		t.Errorf("the checksum is %x, %v, want that of the data", r.Files[0].SHA256, err)
	}
	if err := errors.Join(next.Pause(t.Context(), "a.bin"), next.Resume(t.Context(), "a.bin")); err != nil || len(s.seeded) != 2 {
		t.Errorf("Pause and Resume returned %v and %d torrents are seeded, want 2", err, len(s.seeded))
	}
	if err := next.Withdraw(t.Context(), "a.bin"); err != nil || len(next.stores)+len(s.seeded) != 0 {
		t.Errorf("Withdraw returned %v and left %d storages and %d seeded torrents, want none", err, len(next.stores), len(s.seeded))
	}
}

func TestPublishStoreNeedsAStoreSeeder(t *testing.T) {
	w := newFixture(t)
	_, err := w.publisher().PublishStore(t.Context(), storage.NewMemoryOf([]byte("x")), 1, Spec{Options: maker.Options{Name: "a"}})
	if !errors.Is(err, ErrNoStore) {
		t.Errorf("PublishStore returned %v, want ErrNoStore", err)
	}
}
