package publish

import (
	"fmt"
	"runtime"
	"testing"
)

// TestBytesPerFile bounds the memory that a published release holds for each of many files: one
// entry of the list of files, and the torrent.
func TestBytesPerFile(t *testing.T) { // not parallel, because it measures the heap
	const n = 4_000
	w := newFixture(t)
	for i := range n {
		w.write(fmt.Sprintf("many/%d/%04d", i/1000, i), "x")
	}
	p := w.publisher()
	before := heap()
	r, err := p.Publish(t.Context(), w.dir+"/many", Spec{})
	if err != nil {
		t.Fatal(err)
	}
	if got := (heap() - before) / n; got > 230 {
		t.Errorf("a release holds %d bytes for each file, want at most 230", got)
	}
	if listed := r.Listed(); listed.Files != nil || listed.NumFiles != n {
		t.Errorf("Listed returned %d files and the number %d, want 0 and %d", len(listed.Files), listed.NumFiles, n)
	}
	if i, ok := r.Lookup("3/3999"); !ok || r.Files[i].Path != "3/3999" {
		t.Errorf("Lookup returned %d, %v", i, ok)
	}
	runtime.KeepAlive(p)
}

// heap returns the number of bytes that are in use after a garbage collection.
func heap() int64 {
	runtime.GC()
	runtime.GC() // frees what finalizers have released
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
