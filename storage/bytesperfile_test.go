package storage

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"spate/metainfo"
)

// TestBytesPerFile bounds the memory that an open torrent of many files holds besides the list of
// its files: a few bytes while the files are not used, and the state of each file afterwards.
func TestBytesPerFile(t *testing.T) { // not parallel, because it measures the heap
	const n = 20_000
	info := &metainfo.Info{Name: "t", PieceLength: 1 << 14}
	dir := t.TempDir()
	for i := range n {
		path := []string{fmt.Sprintf("%02d", i/1000), fmt.Sprint(i)}
		info.Files = append(info.Files, metainfo.File{Path: path, Length: 1, Offset: int64(i)})
	}
	for i := range n / 1000 {
		if err := os.MkdirAll(filepath.Join(dir, "t", fmt.Sprintf("%02d", i)), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	pool := NewPool(0)
	before := heap()
	d, err := OpenDir(dir, info, pool, DirOptions{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if got := (heap() - before) / n; got > 8 {
		t.Errorf("an open torrent holds %d bytes for each file, want at most 8", got)
	}
	if err := d.Accept(); err != nil {
		t.Fatal(err)
	}
	if got := (heap() - before) / n; got > 80 {
		t.Errorf("after Accept the torrent holds %d bytes for each file, want at most 80", got)
	}
	runtime.KeepAlive(info)
}

// heap returns the number of bytes that are in use after a garbage collection.
func heap() int64 {
	runtime.GC()
	runtime.GC() // frees what finalizers have released
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
