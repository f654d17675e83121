package storagetest_test

import (
	"errors"
	"fmt"
	"testing"

	"spate/storage"
	"spate/storage/storagetest"
)

// Test a storage of your own: call Run from a test of its package.
func ExampleRun() {
	test := func(t *testing.T) {
		storagetest.Run(t, func(t *testing.T, n int64) storage.Storage { return storage.NewMemory(n) })
	}
	_ = test // func TestMemory(t *testing.T) in your package
	// Output:
}

// Make a storage fail, to test the code that uses it.
func ExampleFaulty() {
	full := errors.New("disk full")
	s := storagetest.NewFaulty(storage.NewMemory(100), func(op storagetest.Op, off int64, n int) error {
		if op == storagetest.OpWrite && off >= 50 {
			return full
		}
		return nil
	})
	_, err := s.WriteAt(make([]byte, 10), 0)
	fmt.Println(err)
	_, err = s.WriteAt(make([]byte, 10), 50)
	fmt.Println(err)
	fmt.Println(s.Count(storagetest.OpWrite), "writes")
	// Output:
	// <nil>
	// disk full
	// 2 writes
}
