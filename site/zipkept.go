package site

import (
	"sync"
	"time"

	"spate"
	"spate/publish"
)

// Limits of the layouts that a site keeps. A layout takes about 100 bytes for each file.
const (
	minKeptFiles = 1000 // a layout of fewer files takes no time to make
	maxKeptFiles = 500_000
)

// layouts keeps the layouts of archives with many files, because each page of their releases needs
// their sizes. The zero value is empty. It is safe for concurrent use.
type layouts struct {
	mu    sync.Mutex
	kept  map[spate.InfoHash]keptLayout
	files int
}

// keptLayout is the layout of a release that was published at a time, which is in the archive.
type keptLayout struct {
	published time.Time
	layout    *zipLayout
}

// of returns the layout of the archive of rel, or nil as [newZipLayout] does.
func (k *layouts) of(rel *publish.Release) *zipLayout {
	n, ih := len(rel.Files), rel.Hash()
	if n < minKeptFiles {
		return newZipLayout(rel)
	}
	k.mu.Lock()
	old, ok := k.kept[ih]
	k.mu.Unlock()
	if ok && old.published.Equal(rel.Published) {
		return old.layout
	}
	l := newZipLayout(rel)
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, ok := k.kept[ih]; ok {
		k.files -= n
	}
	if k.kept == nil || k.files+n > maxKeptFiles {
		k.kept, k.files = map[spate.InfoHash]keptLayout{}, 0
	}
	k.kept[ih] = keptLayout{rel.Published, l}
	k.files += n
	return l
}
