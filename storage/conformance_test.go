package storage_test

import (
	"fmt"
	"testing"

	"spate/storage"
	"spate/storage/storagetest"
)

func TestMemoryConformance(t *testing.T) {
	storagetest.Run(t, func(_ *testing.T, n int64) storage.Storage { return storage.NewMemory(n) })
}

func TestMemoryLikeConformance(t *testing.T) {
	storagetest.Run(t, func(_ *testing.T, n int64) storage.Storage { return storage.NewMemoryLike(make([]byte, n)) })
}

func TestDirConformance(t *testing.T) {
	for _, size := range []int64{1 << 40, 30_000, 4001} {
		t.Run(fmt.Sprintf("files of %d", size), func(t *testing.T) {
			storagetest.Run(t, func(t *testing.T, n int64) storage.Storage {
				pool := storage.NewPool(8)
				t.Cleanup(func() {
					if open := pool.Stats().Open; open > 8 {
						t.Errorf("%d descriptors are open, want at most 8", open)
					}
					pool.Close()
				})
				d, err := storage.OpenLayout(t.TempDir(), split(t, n, size), pool, storage.DirOptions{})
				if err != nil {
					t.Fatal(err)
				}
				return d
			})
		})
	}
}

// split returns the layout of n bytes in files of at most size bytes.
func split(t testing.TB, n, size int64) *storage.Layout {
	var files []storage.File
	for off := int64(0); off < n; off += size {
		files = append(files, storage.File{
			Path: fmt.Sprintf("top/dir%d/file%d", len(files)%3, len(files)), Offset: off, Length: min(size, n-off),
		})
	}
	l, err := storage.NewLayout(files)
	if err != nil {
		t.Fatal(err)
	}
	return l
}
