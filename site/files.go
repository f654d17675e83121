package site

import (
	"encoding/hex"
	"net/http"
	"net/url"
	"path"
	"strings"

	"spate/internal/units"
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

// entries returns the entries that q selects, the folders first.
func entries(rel *publish.Release, q fileQuery) []fileEntry {
	var folders, files []fileEntry
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
	return append(folders, files...)
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

// files answers /r/REF/files with a page of the list of all files, or of those that q selects, or of
// the folder dir. With hashes=1 it shows the SHA-256 of each file.
func (s *Site) files(w http.ResponseWriter, r *http.Request) {
	ref := r.PathValue("name")
	rel := s.find(w, r, ref)
	if rel == nil {
		return
	}
	ask := r.URL.Query()
	text := clip(strings.TrimSpace(ask.Get("q")), 200)
	q := fileQuery{words: strings.Fields(strings.ToLower(text)), nested: ask.Has("dir"), views: ask.Has("dir"), hashes: ask.Get("hashes") == "1" && rel.Summed}
	if dir := strings.Trim(ask.Get("dir"), "/"); dir != "" {
		q.dir = dir + "/"
	}
	all := entries(rel, q)
	if q.dir != "" && len(all) == 0 && text == "" {
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
	from, prev, next := pageOf(len(all), offset(r), perFiles, filesBudget, func(i int) int { return s.fileCost(rel, ref, all[i], q) })
	end := len(all)
	if next >= 0 {
		end = next
	}
	page := filesPage{
		Name: title(rel), Page: s.path(publish.PagePath(ref)), Torrent: s.path(publish.TorrentPath(ref)),
		Size: units.Bytes(rel.Size), FileCount: units.Plural(rel.NumFiles, "file"), At: s.path(at),
		Query: text, Found: len(all), Folder: q.nested, Searchable: s.visits == nil,
		Files: fileList{Rows: s.fileRows(rel, ref, all[from:end], q), Nested: q.nested},
		Pager: s.pager(at, keep, prev, next),
	}
	if rel.Summed {
		page.Sums = s.path(publish.ChecksumsPath(ref))
	}
	if s.visits == nil {
		if !rel.Single {
			page.Zip = s.path(zipPath(ref))
		}
		if hasFolders(rel) {
			page.Top = s.path(at + "?dir=")
		}
		if q.nested {
			page.Path = s.folderLinks(at, q.dir)
		}
		if rel.Summed {
			page.Hashes = "Show SHA-256"
			keep.Set("hashes", "1")
			if q.hashes {
				page.Hashes = "Hide SHA-256"
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
func (s *Site) folderLinks(at, dir string) []folderLink {
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
func (s *Site) firstFiles(rel *publish.Release, ref string) fileList {
	q := fileQuery{views: true, nested: s.visits == nil && len(rel.Files) > filesOnPage && hasFolders(rel)}
	all := entries(rel, q)
	_, _, next := pageOf(len(all), 0, filesOnPage, listBudget/3, func(i int) int { return s.fileCost(rel, ref, all[i], q) })
	l := fileList{All: s.path(publish.PagePath(ref) + "/files"), Nested: q.nested}
	if next < 0 {
		next = len(all)
	}
	l.Rows, l.More = s.fileRows(rel, ref, all[:next], q), len(all)-next
	return l
}

// fileRows returns the rows for list.
func (s *Site) fileRows(rel *publish.Release, ref string, list []fileEntry, q fileQuery) []fileRow {
	var rows []fileRow
	for _, e := range list {
		if e.folder != "" {
			rows = append(rows, fileRow{
				Base: display(path.Base(e.folder)) + "/", Link: s.path(folderPath(ref, e.folder, q.hashes)),
				Size: units.Bytes(e.size), Bytes: units.Plural(e.size, "byte"), Count: units.Plural(e.files, "file"),
			})
			continue
		}
		f := &rel.Files[e.i]
		dir, base := shownPath(rel, f, q)
		row := fileRow{Dir: display(dir), Base: display(base), Link: s.path(rel.FilePath(ref, f)), Size: units.Bytes(f.Length), Bytes: units.Plural(f.Length, "byte")}
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

// pageOf divides a list of n entries into pages of up to per entries and budget bytes, and returns the
// start of the page that contains the entry at, and the starts of the pages before and after it, or -1.
// The pages do not depend on at.
func pageOf(n, at, per, budget int, cost func(i int) int) (start, prev, next int) {
	prev, next = -1, -1
	left := budget
	for i := range n {
		c := cost(i)
		if left -= c; i > start && (i-start == per || left < 0) {
			if i > at {
				return start, prev, i
			}
			start, prev, left = i, start, budget-c
		}
	}
	return start, prev, next
}
