package storage_test

import (
	"testing"

	"spate/storage"
)

func TestKeepOpen(t *testing.T) {
	m := storage.NewMemoryOf([]byte("data"))
	shared := storage.KeepOpen(m)
	if err := shared.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if _, err := m.ReadAt(make([]byte, 4), 0); err != nil {
		t.Errorf("ReadAt after another user's Close returned %v", err)
	}
}

func TestAsFindsTheInterfaceOfAWrappedStorage(t *testing.T) {
	m := storage.NewMemoryOf([]byte("data"))
	if f, ok := storage.As[storage.DataFinder](storage.KeepOpen(storage.KeepOpen(m))); !ok || !f.HasData(0, 4) {
		t.Error("DataFinder was not found")
	}
	if _, ok := storage.As[storage.Mover](storage.KeepOpen(m)); ok {
		t.Error("found a Mover, and a Memory is none")
	}
	if _, ok := storage.As[storage.Mover](nil); ok {
		t.Error("found a Mover without a storage")
	}
}
