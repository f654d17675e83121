package maker

import (
	"io/fs"
	"os"
	"slices"
	"strings"

	"spate/internal/folder"
)

// listing is the content of a directory, sorted by name.
type listing struct {
	self  os.FileInfo
	names []fs.DirEntry
	err   error
}

// readAheadDirs is the number of directories that other goroutines read in advance, because
// a scan spends most of its time in reading the state of each file.
const readAheadDirs = 2

// list returns the content of the directory rel.
func (w *walker) list(rel string) listing {
	if c := w.ahead[rel]; c != nil {
		delete(w.ahead, rel)
		return <-c
	}
	return w.read(rel)
}

func (w *walker) read(rel string) (l listing) {
	f, err := folder.OpenDir(w.root, relOrDot(rel))
	if err != nil {
		return listing{err: err}
	}
	defer f.Close()
	l.self, l.err = f.Stat()
	if l.err != nil {
		return l
	}
	l.names, l.err = f.ReadDir(-1)
	slices.SortFunc(l.names, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return l
}

// startReadAhead starts to read the first subdirectories in rest, which are entries of
// the directory rel.
func (w *walker) startReadAhead(rel string, rest []fs.DirEntry) {
	n := 0
	for _, d := range rest {
		if n == readAheadDirs {
			return
		}
		if !d.IsDir() {
			continue
		}
		sub := joinRel(rel, d.Name())
		if !w.wants(sub, d) || !w.o.hidden && Hidden(d) {
			continue
		}
		n++
		if w.ahead[sub] == nil {
			c := make(chan listing, 1)
			w.ahead[sub] = c
			w.reading.Go(func() { c <- w.read(sub) })
		}
	}
}
