package site

import (
	"encoding/hex"
	"net/http"
	"net/url"
	"path"
	"strings"

	"spate/publish"
)

// filesPage is the data of files.html.
type filesPage struct {
	Name, Page, Torrent string // Name is that of the release: see title
	Size, FileCount     string // of all files
	At                  string // link to the list of all files
	Query               string
	Found               int          // number of files that Query selects
	Folder              bool         // whether the page shows a folder
	Path                []folderLink // the folder and those above it
	Top                 string       // link to the top folder, or "" if there are no folders or no server
	Hashes, HashesLink  string       // a label, and a link to the same page with or without the hashes, or ""
	Searchable          bool
	Sums                string // link to SHA256SUMS, or ""
	Zip                 string // link to the archive, or ""
	Files               fileList
	Pager               pager
}

// folderLink is a link to a folder of a release.
type folderLink struct{ Name, Link string }

// fileList is a part of the files of a release.
type fileList struct {
	Rows   []fileRow
	More   int // number of files or folders after Rows
	All    string
	Nested bool // whether the list shows a folder
}

// fileRow is a file, or a folder if Count is set. View is a link at which the browser shows the file, or "". Dir ends in a slash or is empty.
type fileRow struct{ Dir, Base, Link, View, Size, Bytes, SHA256, Count string }

// files answers /r/REF/files with a page of the list of all files, or of those that q selects, or of
// the folder dir. With hashes=1 it shows the SHA-256 of each file.
func (s *Site) files(w http.ResponseWriter, r *http.Request) { s.in(r).showFiles(w, r) }

// showFiles is [Site.files] in the language of the visitor.
func (s local) showFiles(w http.ResponseWriter, r *http.Request) {
	ref := r.PathValue("name")
	rel := s.find(w, r, ref)
	if rel == nil {
		return
	}
	ref = ownRef(rel, ref)
	ask := r.URL.Query()
	text := clip(strings.TrimSpace(ask.Get("q")), 200)
	q := fileQuery{words: strings.Fields(strings.ToLower(text)), nested: ask.Has("dir"), views: ask.Has("dir"), hashes: ask.Get("hashes") == "1" && rel.Summed}
	if dir := strings.Trim(ask.Get("dir"), "/"); dir != "" {
		q.dir = dir + "/"
	}
	leave, ok := s.search(w, r, !q.whole() && len(rel.Files) >= minKeptFiles)
	if !ok {
		return
	}
	defer leave()
	all := entriesOf(rel, q)
	if q.dir != "" && all.n == 0 && text == "" {
		s.fail(w, r, http.StatusNotFound, "No such folder", "The release has no folder of that name.")
		return
	}
	at := publish.PagePath(ref) + "/files"
	keep := url.Values{}
	if q.nested {
		keep.Set("dir", strings.TrimSuffix(q.dir, "/"))
	}
	if text != "" {
		keep.Set("q", text)
	}
	if q.hashes {
		keep.Set("hashes", "1")
	}
	from, prev, next := pageOf(all.n, offset(r), perFiles, filesBudget, func(i int) int { return s.fileCost(rel, ref, all.at(i), q) })
	end := all.n
	if next >= 0 {
		end = next
	}
	page := filesPage{
		Name: title(rel), Page: s.path(s.pagePath(ref)), Torrent: s.path(publish.TorrentPath(ref)),
		Size: s.Bytes(rel.Size), FileCount: s.T("%d files", rel.NumFiles), At: s.path(at),
		Query: text, Found: all.n, Folder: q.nested, Searchable: s.visits == nil,
		Files: fileList{Rows: s.fileRows(rel, ref, all.slice(from, end), q), Nested: q.nested},
		Pager: s.pager(at, keep, prev, next),
	}
	if rel.Summed {
		page.Sums = s.path(publish.ChecksumsPath(ref))
	}
	if s.visits == nil {
		if !rel.Single {
			page.Zip = s.path(zipPath(ref))
		}
		if s.outlines.of(rel).folders {
			page.Top = s.path(at + "?dir=")
		}
		if q.nested {
			page.Path = s.folderLinks(at, q.dir)
		}
		if rel.Summed {
			page.Hashes = s.T("Show SHA-256")
			keep.Set("hashes", "1")
			if q.hashes {
				page.Hashes = s.T("Hide SHA-256")
				keep.Del("hashes")
			}
			page.HashesLink = s.path(at)
			if len(keep) > 0 {
				page.HashesLink = s.path(at + "?" + keep.Encode())
			}
		}
	}
	s.setLinks(w.Header(), rel, ref)
	s.render(w, r, http.StatusOK, "files.html", page)
}

// folderLinks returns links to the folder dir and to those above it.
func (s local) folderLinks(at, dir string) []folderLink {
	var links []folderLink
	for i, c := range dir {
		if c == '/' {
			links = append(links, folderLink{display(path.Base(dir[:i])), s.path(at + "?" + url.Values{"dir": {dir[:i]}}.Encode())})
		}
	}
	return links
}

// firstFiles returns the files for the page of a release: the top folder if there are many files and
// this is no export, and otherwise the first files.
func (s local) firstFiles(rel *publish.Release, ref string) fileList {
	q := fileQuery{views: true}
	all := entries{n: len(rel.Files)}
	if s.visits == nil && len(rel.Files) > filesOnPage {
		if o := s.outlines.of(rel); o.folders {
			q.nested, all = true, entries{o.entries, o.top}
		}
	}
	first := min(all.n, filesOnPage)
	_, _, next := pageOf(first, 0, filesOnPage, listBudget/3, func(i int) int { return s.fileCost(rel, ref, all.at(i), q) })
	l := fileList{All: s.path(publish.PagePath(ref) + "/files"), Nested: q.nested}
	if next < 0 {
		next = first
	}
	l.Rows, l.More = s.fileRows(rel, ref, all.slice(0, next), q), all.n-next
	return l
}

// fileRows returns the rows for list.
func (s local) fileRows(rel *publish.Release, ref string, list []fileEntry, q fileQuery) []fileRow {
	var rows []fileRow
	for _, e := range list {
		if e.folder != "" {
			rows = append(rows, fileRow{
				Base: display(path.Base(e.folder)) + "/", Link: s.path(folderPath(ref, e.folder, q.hashes)),
				Size: s.Bytes(e.size), Bytes: s.T("%d bytes", e.size), Count: s.T("%d files", e.files),
			})
			continue
		}
		f := &rel.Files[e.i]
		dir, base := shownPath(rel, f, q)
		row := fileRow{Dir: display(dir), Base: display(base), Link: s.path(rel.FilePath(ref, f)), Size: s.Bytes(f.Length), Bytes: s.T("%d bytes", f.Length)}
		if q.views {
			row.View = s.viewLink(rel, ref, f)
		}
		if q.hashes {
			row.SHA256 = hex.EncodeToString(f.SHA256[:])
		}
		rows = append(rows, row)
	}
	return rows
}

// folderPath returns the encoded path of the page of a folder, which ends in a slash.
func folderPath(ref, folder string, hashes bool) string {
	v := url.Values{"dir": {strings.TrimSuffix(folder, "/")}}
	if hashes {
		v.Set("hashes", "1")
	}
	return publish.PagePath(ref) + "/files?" + v.Encode()
}

// shownPath returns the folder and the name of f as the list of q shows them.
func shownPath(rel *publish.Release, f *publish.File, q fileQuery) (dir, base string) {
	if rel.Single {
		return "", rel.Name
	}
	if q.nested {
		return path.Split(strings.TrimPrefix(f.Path, q.dir))
	}
	return path.Split(f.Path)
}

// fileCost returns about how many bytes of HTML an entry takes.
func (s *Site) fileCost(rel *publish.Release, ref string, e fileEntry, q fileQuery) int {
	const tags, hash = 110, 80
	if e.folder != "" {
		return tags + 40 + escapedLen(s.prefix+folderPath(ref, e.folder, q.hashes)) + escapedLen(display(path.Base(e.folder)))
	}
	f := &rel.Files[e.i]
	dir, base := shownPath(rel, f, q)
	n := tags + escapedLen(s.prefix+rel.FilePath(ref, f)) + escapedLen(display(dir)) + escapedLen(display(base))
	if q.views && viewType(f.Path) != "" {
		n += 60 + escapedLen(s.prefix+rel.FilePath(ref, f)) + escapedLen(display(base))
	}
	if q.hashes {
		n += hash
	}
	return n
}

// escapedLen returns the length of s in HTML.
func escapedLen(s string) int {
	n := len(s)
	for i := range len(s) {
		switch s[i] {
		case '&', '<', '>', '"', '\'', '+':
			n += 4
		}
	}
	return n
}

// pageOf divides a list of n entries into pages, and returns the start of the page that contains the
// entry at, and the starts of the pages before and after it, or -1. The pages do not depend on at: every
// per entries begin a page, and pages of more than budget bytes are divided further. It therefore asks for
// the cost of at most 2*per entries.
func pageOf(n, at, per, budget int, cost func(i int) int) (start, prev, next int) {
	at = max(0, min(at, n-1))
	block := at - at%per
	start, next = cut(block, at, min(n, block+per), budget, cost)
	prev = -1
	switch {
	case start > block:
		prev, _ = cut(block, start-1, start, budget, cost)
	case block > 0:
		prev, _ = cut(block-per, block-1, block, budget, cost)
	}
	if next >= n {
		next = -1
	}
	return start, prev, next
}

// cut divides the entries from start up to end into pages of at least one entry and up to budget bytes,
// and returns the start and the end of the page that contains the entry at.
func cut(start, at, end, budget int, cost func(i int) int) (from, to int) {
	left := budget
	for i := start; i < end; i++ {
		c := cost(i)
		if left -= c; i > start && left < 0 {
			if i > at {
				return start, i
			}
			start, left = i, budget-c
		}
	}
	return start, end
}

// search waits for a slot for a request that looks at all files or releases, and returns the function
// that frees it. It answers the request and returns false if there is none. It needs no slot unless need
// is set.
func (s *Site) search(w http.ResponseWriter, r *http.Request, need bool) (leave func(), ok bool) {
	if !need || s.visits != nil {
		return func() {}, true
	}
	slot := s.searches.enter(r.Context(), s.opts.Wait, s.networkOf(r), func() {})
	if slot == nil {
		w.Header().Set("Retry-After", "60")
		s.fail(w, r, http.StatusServiceUnavailable, "Busy", "Too many visitors are searching. Try again in a minute.")
		return nil, false
	}
	return slot.leave, true
}
