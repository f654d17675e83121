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
		t.Fatalf("%v, want %v", err, s.fails)
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
		t.Errorf("seeded %d torrents of %+v", len(s.seeded), r)
	}
	var same *SameError
	if _, err := first.PublishStore(t.Context(), storage.NewMemoryOf(data), int64(len(data)), Spec{Options: spec.Options, Slug: "other"}); !errors.As(err, &same) {
		t.Errorf("the same data again: %v", err)
	}

	// The next run has no storage until OpenStore returns it.
	clear(s.seeded)
	none, _ := New(w, s, Options{Catalog: w})
	restored, err := none.Restore(t.Context())
	if err != nil || len(restored.Problems) != 1 || !errors.Is(restored.Problems[0], ErrNoStore) || len(s.seeded) != 0 {
		t.Errorf("restored without the storage: %v, %v", restored.Problems, err)
	}
	if _, err := none.Open(t.Context(), r, 0); !errors.Is(err, ErrGone) {
		t.Errorf("opened without the storage: %v", err)
	}
	if _, err := r.Open(0); !errors.Is(err, ErrGone) {
		t.Errorf("opened as a file: %v", err)
	}
	next, _ := New(w, s, Options{Catalog: w, OpenStore: func(_ context.Context, got *Release) (storage.Storage, error) {
		if got.Ref() != r.Ref() {
			t.Errorf("OpenStore is asked for %s", got.Ref())
		}
		return storage.NewMemoryOf(data), nil
	}})
	if restored, err := next.Restore(t.Context()); err != nil || len(restored.Problems) != 0 || len(s.seeded) != 2 {
		t.Errorf("restored: %v, %v; %d seeded", restored.Problems, err, len(s.seeded))
	}
	next.sumAll(t.Context())
	if r, err = w.Get(t.Context(), r.Ref()); err != nil || r.Files[0].SHA256 != sha256.Sum256(data) {
		t.Errorf("checksum %x, %v", r.Files[0].SHA256, err)
	}
	if err := errors.Join(next.Pause(t.Context(), "a.bin"), next.Resume(t.Context(), "a.bin")); err != nil || len(s.seeded) != 2 {
		t.Errorf("paused and resumed: %v, %d seeded", err, len(s.seeded))
	}
	if err := next.Withdraw(t.Context(), "a.bin"); err != nil || len(next.stores)+len(s.seeded) != 0 {
		t.Errorf("withdrawn: %v, %d storages, %d seeded", err, len(next.stores), len(s.seeded))
	}
}

func TestPublishStoreNeedsAStoreSeeder(t *testing.T) {
	w := newFixture(t)
	_, err := w.publisher().PublishStore(t.Context(), storage.NewMemoryOf([]byte("x")), 1, Spec{Options: maker.Options{Name: "a"}})
	if !errors.Is(err, ErrNoStore) {
		t.Errorf("%v, want ErrNoStore", err)
	}
}
