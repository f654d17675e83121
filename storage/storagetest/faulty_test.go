package storagetest

import (
	"errors"
	"testing"

	"spate/storage"
)

func TestFaultyPassesThrough(t *testing.T) {
	Run(t, func(_ *testing.T, n int64) storage.Storage { return NewFaulty(storage.NewMemory(n), nil) })
}

func TestFaultyFails(t *testing.T) {
	boom := &storage.Error{Op: "write", File: 0, Reason: storage.ErrFull}
	f := NewFaulty(storage.NewMemory(100), func(op Op, off int64, n int) error {
		if op == OpWrite && off+int64(n) > 50 {
			return boom
		}
		return nil
	})
	if _, err := f.WriteAt(make([]byte, 50), 0); err != nil {
		t.Errorf("the first WriteAt: %v", err)
	}
	if n, err := f.WriteAt(make([]byte, 50), 1); n != 0 || !errors.Is(err, storage.ErrFull) {
		t.Errorf("the second WriteAt returned %d, %v, want 0 and ErrFull", n, err)
	}
	f.SetFail(func(Op, int64, int) error { return boom })
	if _, err := f.ReadAt(make([]byte, 1), 0); err == nil {
		t.Error("ReadAt succeeded, want an error")
	}
	if err := f.Sync(); err == nil {
		t.Error("Sync succeeded, want an error")
	}
	f.SetFail(nil)
	if err := f.Sync(); err != nil {
		t.Errorf("Sync without a fail function: %v", err)
	}
	if r, w, s := f.Count(OpRead), f.Count(OpWrite), f.Count(OpSync); r != 1 || w != 2 || s != 2 {
		t.Errorf("counted %d reads, %d writes and %d syncs, want 1, 2 and 2", r, w, s)
	}
}
