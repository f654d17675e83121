package storagetest

import (
	"sync"

	"spate/storage"
)

// Op is an operation of a storage.
type Op uint8

// The operations that a [Faulty] can make fail.
const (
	OpRead Op = iota
	OpWrite
	OpSync
)

// Faulty is a storage that can be made to fail. It is safe for concurrent use,
// but never calls its fail function concurrently.
type Faulty struct {
	storage.Storage
	mu     sync.Mutex
	fail   func(op Op, off int64, n int) error
	counts [3]int
}

// NewFaulty returns a storage that forwards operations to s unless fail returns an
// error. fail is called before each operation with its range. If it returns an error,
// the operation does nothing and returns that error. A nil fail never fails.
func NewFaulty(s storage.Storage, fail func(op Op, off int64, n int) error) *Faulty {
	return &Faulty{Storage: s, fail: fail}
}

// SetFail replaces the fail function.
func (f *Faulty) SetFail(fail func(op Op, off int64, n int) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = fail
}

// Count returns the number of calls of an operation, including those that failed.
func (f *Faulty) Count(op Op) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.counts[op]
}

func (f *Faulty) ask(op Op, off int64, n int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.counts[op]++
	if f.fail == nil {
		return nil
	}
	return f.fail(op, off, n)
}

// ReadAt implements [storage.Storage].
func (f *Faulty) ReadAt(p []byte, off int64) (int, error) {
	if err := f.ask(OpRead, off, len(p)); err != nil {
		return 0, err
	}
	return f.Storage.ReadAt(p, off)
}

// WriteAt implements [storage.Storage].
func (f *Faulty) WriteAt(p []byte, off int64) (int, error) {
	if err := f.ask(OpWrite, off, len(p)); err != nil {
		return 0, err
	}
	return f.Storage.WriteAt(p, off)
}

// Sync implements [storage.Storage].
func (f *Faulty) Sync() error {
	if err := f.ask(OpSync, 0, 0); err != nil {
		return err
	}
	return f.Storage.Sync()
}
