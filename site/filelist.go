package site

import (
	"strings"
	"sync"

	"spate"
	"spate/publish"
)

// fileEntry is an entry of a list: file i, or a folder.
type fileEntry struct {
	i      int
	folder string // path of the folder with a slash at the end, or ""
	files  int    // number of files below the folder
	size   int64
}

// fileQuery selects files of a release.
type fileQuery struct {
	words  []string // in lower case; parts of the path
	nested bool     // show the folder dir instead of all files
	dir    string   // path with a slash at the end, or "" for the top
	hashes bool     // show the hashes
	views  bool     // link to what a browser can show; a list of 200 files has no room for these links
}

// whole reports whether q selects all files, so that entry i is file i.
func (q fileQuery) whole() bool { return len(q.words) == 0 && !q.nested }

// entries holds what a query selects, the folders first.
type entries struct {
	n    int
	list []fileEntry // nil if entry i is file i
}

// at returns entry i.
func (e entries) at(i int) fileEntry {
	if e.list == nil {
		return fileEntry{i: i}
	}
	return e.list[i]
}

// slice returns the entries from start up to end.
func (e entries) slice(start, end int) []fileEntry {
	if e.list != nil {
		return e.list[start:end]
	}
	var list []fileEntry
	for i := start; i < end; i++ {
		list = append(list, fileEntry{i: i})
	}
	return list
}

// entriesOf returns the entries that q selects. It looks at every file unless q selects all files.
func entriesOf(rel *publish.Release, q fileQuery) entries {
	if q.whole() {
		return entries{n: len(rel.Files)}
	}
	var folders []fileEntry
	files := []fileEntry{}
	seen := map[string]int{}
	for i := range rel.Files {
		f := &rel.Files[i]
		if !matches(f.Path, q.words) {
			continue
		}
		rest, below := strings.CutPrefix(f.Path, q.dir)
		switch slash := strings.IndexByte(rest, '/'); {
		case !below:
		case !q.nested || slash < 0:
			files = append(files, fileEntry{i: i})
		default:
			name := rest[:slash+1]
			at, ok := seen[name]
			if !ok {
				at = len(folders)
				seen[name] = at
				folders = append(folders, fileEntry{folder: q.dir + name})
			}
			folders[at].files++
			folders[at].size += f.Length
		}
	}
	list := append(folders, files...)
	return entries{len(list), list}
}

// matches reports whether path contains all words, in upper or lower case.
func matches(path string, words []string) bool {
	if len(words) == 0 {
		return true
	}
	path = strings.ToLower(path)
	for _, w := range words {
		if !strings.Contains(path, w) {
			return false
		}
	}
	return true
}

// hasFolders reports whether rel has a file in a folder.
func hasFolders(rel *publish.Release) bool {
	for i := range rel.Files {
		if strings.Contains(rel.Files[i].Path, "/") {
			return true
		}
	}
	return false
}

// outline is what the page of a release needs to know about all of its files.
type outline struct {
	folders bool        // whether a file is in a folder
	top     []fileEntry // the first entries of the top folder, up to filesOnPage
	entries int         // number of entries of the top folder
}

// outlineOf returns the outline of rel.
func outlineOf(rel *publish.Release) outline {
	o := outline{folders: hasFolders(rel)}
	if o.folders {
		all := entriesOf(rel, fileQuery{nested: true})
		o.top, o.entries = append([]fileEntry(nil), all.slice(0, min(all.n, filesOnPage))...), all.n
	}
	return o
}

// maxOutlines is the maximum number of outlines that a site keeps. An outline takes about 2 kB and the
// paths of up to filesOnPage folders.
const maxOutlines = 1000

// outlines keeps the outlines of releases with many files. The zero value is empty. It is safe for
// concurrent use.
type outlines struct {
	mu   sync.Mutex
	kept map[spate.InfoHash]outline
}

// of returns the outline of rel.
func (k *outlines) of(rel *publish.Release) outline {
	if len(rel.Files) < minKeptFiles {
		return outlineOf(rel)
	}
	ih := rel.Hash()
	k.mu.Lock()
	o, ok := k.kept[ih]
	k.mu.Unlock()
	if ok {
		return o
	}
	o = outlineOf(rel)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.kept == nil || len(k.kept) >= maxOutlines {
		k.kept = map[spate.InfoHash]outline{}
	}
	k.kept[ih] = o
	return o
}
