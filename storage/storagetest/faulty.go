package storagetest

import (
	"sync"

	"spate/storage"
)

// Op is an operation of a storage.
type Op uint8

// The operations that a [Faulty] asks about.
const (
	OpRead Op = iota
	OpWrite
	OpSync
)

// Faulty is a storage that fails when Fail says so. It is safe for use by any
// number of goroutines; Fail is called by one at a time.
type Faulty struct {
	storage.Storage
	mu     sync.Mutex
	fail   func(op Op, off int64, n int) error
	counts [3]int
}

// NewFaulty returns s with failures. fail is asked before each operation with
// its range; an error that it returns is the operation's, which then does
// nothing. nil fails nothing.
func NewFaulty(s storage.Storage, fail func(op Op, off int64, n int) error) *Faulty {
	return &Faulty{Storage: s, fail: fail}
}

// SetFail replaces what decides about failures.
func (f *Faulty) SetFail(fail func(op Op, off int64, n int) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = fail
}

// Count returns how often an operation was asked for.
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
