package site

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"spate/publish"
)

// MaxPage bounds a page, in bytes, whatever names and lists are on it; pictures,
// styles and scripts are apart.
const MaxPage = 50_000

// Lists of a page end when either of these is reached, and go on on the next.
const (
	perIndex    = 30
	perFiles    = 200
	filesOnPage = 25
	listBudget  = 24_000 // bytes of rows
)

// errorPage is what error.html shows.
type errorPage struct {
	Status        int
	Title, Detail string
}

// indexPage is what index.html shows.
type indexPage struct {
	Query      string
	Searchable bool
	Total      int
	Rows       []indexRow
	Pager      pager
}

// indexRow is one release on the index.
type indexRow struct {
	Name, Page, Torrent string
	Download            string // "" for a tree
	Size, Files         string
	Published           time.Time
	Swarm               numbers
	Wave                wave
}

// releasePage is what release.html shows.
type releasePage struct {
	Name                    string
	Page, Torrent, Download string // links; Download is "" for a tree
	PageURL                 string // absolute
	TorrentURL              string
	Magnet                  template.URL
	Size, Bytes, FileCount  string
	Release                 *publish.Release
	HashV1, HashV2, SHA256  string
	Metalink, Sums          string
	Hybrid                  bool
	PieceSize               string
	Swarm                   numbers
	Commands                []command
	Files                   fileList
	Wave                    wave
}

// filesPage is what files.html shows.
type filesPage struct {
	Name, Page, Torrent string
	Size, FileCount     string
	Files               fileList
	Pager               pager
}

// command is a line for a terminal.
type command struct{ Who, Line, Note string }

// fileList is a run of a release's files.
type fileList struct {
	Rows []fileRow
	More int // how many come after
	All  string
}

// fileRow is one file; Dir ends in a slash or is empty.
type fileRow struct{ Dir, Base, Link, Size, Bytes string }

// pager has the links to the pages before and after, "" where there is none.
type pager struct{ Prev, Next string }

// shown is what every page has around its own.
type shown struct {
	Site     string // its title
	Title    string // of the page
	Describe string
	Canon    string // the page's absolute address, or ""
	Torrent  string // link, or ""
	Stats    string
	Data     *linkedData // what search engines read, or nil
	Body     any
}

// parse reads the templates: each page with the layout around it.
func (s *Site) parse(files layered) (map[string]*template.Template, error) {
	funcs := template.FuncMap{
		"asset":   s.assetPath,
		"path":    s.path,
		"display": display,
		"count":   count,
		"plural":  plural,
		"size":    size,
		"rate":    func(perSecond float64) string { return size(int64(perSecond)) + "/s" },
		"date":    func(t time.Time) string { return t.UTC().Format("2 January 2006") },
		"clock":   func(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04 UTC") },
		"stamp":   func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	}
	pages := map[string]*template.Template{}
	for _, name := range []string{"index.html", "release.html", "files.html", "error.html"} {
		t, err := template.New("layout.html").Funcs(funcs).ParseFS(files, "templates/layout.html", "templates/parts.html", "templates/"+name)
		if err != nil {
			return nil, err
		}
		pages[name] = t
	}
	return pages, nil
}

// render answers with a page. Nothing is sent before it is whole.
func (s *Site) render(w http.ResponseWriter, r *http.Request, status int, name string, body any) {
	p := shown{Site: s.opts.Title, Body: body, Stats: s.opts.StatsPath}
	switch b := body.(type) {
	case errorPage:
		p.Title = b.Title
	case indexPage:
		p.Title = "Releases"
		p.Describe = fmt.Sprintf("%s, by BitTorrent or straight from here.", plural(b.Total, "release"))
		p.Canon = publish.Absolute(s.base(r), "/")
	case releasePage:
		p.Title, p.Canon, p.Torrent = display(b.Name), b.PageURL, b.Torrent
		p.Describe = fmt.Sprintf("%s, %s. Download by BitTorrent or straight from here.", b.Size, b.FileCount)
		p.Data = linkedDataOf(s.base(r), b.Release)
	case filesPage:
		p.Title, p.Torrent = "Files of "+display(b.Name), b.Torrent
	}
	var page bytes.Buffer
	if err := s.pages[name].Execute(&page, p); err != nil {
		s.opts.Log.Error("site: template failed", "template", name, "err", err)
		http.Error(w, "The site could not make this page. The reason is in its log.", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(page.Len()))
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "no-cache")
	}
	w.WriteHeader(status)
	w.Write(page.Bytes())
}

// index answers /: the releases, newest first, with ?q= those that match, from
// ?from= on.
func (s *Site) index(w http.ResponseWriter, r *http.Request) {
	text := clip(strings.TrimSpace(r.URL.Query().Get("q")), 200)
	from := offset(r)
	list, total, err := s.catalog.List(r.Context(), publish.Query{Text: text, Offset: from, Limit: perIndex})
	if err != nil {
		s.broken(w, r, err)
		return
	}
	page := indexPage{Query: text, Total: total, Searchable: text != "" || total > 5}
	left := listBudget
	for _, rel := range list {
		row := s.indexRow(rel)
		if left -= 1000 + len(row.Page) + len(row.Torrent) + len(row.Download) + 3*len(row.Name); left < 0 && len(page.Rows) > 0 {
			break
		}
		page.Rows = append(page.Rows, row)
	}
	page.Pager = s.pager("/", text, from, len(page.Rows), perIndex, total)
	s.render(w, r, http.StatusOK, "index.html", page)
}

func (s *Site) indexRow(rel *publish.Release) indexRow {
	row := indexRow{
		Name: rel.Name, Page: s.path(publish.PagePath(rel.Slug)), Torrent: s.path(publish.TorrentPath(rel.Slug)),
		Size: size(rel.Size), Files: plural(rel.NumFiles, "file"), Published: rel.Published,
		Swarm: s.numbers(rel), Wave: waveOf(rel, 48, 48),
	}
	if rel.Single {
		row.Download = s.path(publish.DownloadPath(rel.Slug))
	}
	return row
}

// release answers /r/NAME.
func (s *Site) release(w http.ResponseWriter, r *http.Request) {
	rel := s.find(w, r, r.PathValue("name"))
	if rel == nil {
		return
	}
	base := s.base(r)
	page := releasePage{
		Name: rel.Name, Release: rel,
		Page: s.path(publish.PagePath(rel.Slug)), Torrent: s.path(publish.TorrentPath(rel.Slug)),
		PageURL:    publish.Absolute(base, publish.PagePath(rel.Slug)),
		TorrentURL: publish.Absolute(base, publish.TorrentPath(rel.Slug)),
		Magnet:     template.URL(safeMagnet(rel.Magnet)),
		Size:       size(rel.Size), Bytes: plural64(rel.Size, "byte"), FileCount: plural(rel.NumFiles, "file"),
		Hybrid:    rel.Format == "hybrid",
		PieceSize: pieceSize(rel.PieceLength),
		Swarm:     s.numbers(rel),
		Commands:  commands(base, rel),
		Files:     s.fileList(rel, 0, filesOnPage, listBudget/2),
		Wave:      waveOf(rel, 1200, 120),
		Metalink:  s.path(metalinkPath(rel.Slug)),
		Sums:      s.path(sumsPath(rel.Slug)),
	}
	if !rel.HashV1.IsZero() {
		page.HashV1 = rel.HashV1.String()
	}
	if !rel.HashV2.IsZero() {
		page.HashV2 = rel.HashV2.String()
	}
	if rel.Single {
		page.Download = s.path(publish.DownloadPath(rel.Slug))
		if rel.Summed {
			page.SHA256 = hex.EncodeToString(rel.Files[0].SHA256[:])
		}
	}
	s.setLinks(w.Header(), rel)
	s.render(w, r, http.StatusOK, "release.html", page)
}

// files answers /r/NAME/files: all files of a release, page by page.
func (s *Site) files(w http.ResponseWriter, r *http.Request) {
	rel := s.find(w, r, r.PathValue("name"))
	if rel == nil {
		return
	}
	from := min(offset(r), len(rel.Files))
	list := s.fileList(rel, from, perFiles, listBudget)
	page := filesPage{
		Name: rel.Name, Page: s.path(publish.PagePath(rel.Slug)), Torrent: s.path(publish.TorrentPath(rel.Slug)),
		Size: size(rel.Size), FileCount: plural(rel.NumFiles, "file"), Files: list,
		Pager: s.pager(publish.PagePath(rel.Slug)+"/files", "", from, len(list.Rows), perFiles, len(rel.Files)),
	}
	s.setLinks(w.Header(), rel)
	s.render(w, r, http.StatusOK, "files.html", page)
}

// fileList is up to most files of rel from one position on, in about as many
// bytes of HTML as budget allows.
func (s *Site) fileList(rel *publish.Release, from, most, budget int) fileList {
	l := fileList{All: s.path(publish.PagePath(rel.Slug) + "/files")}
	for _, f := range rel.Files[from:] {
		full := f.Path
		if rel.Single {
			full = rel.Name
		}
		dir, base := path.Split(full)
		row := fileRow{Dir: display(dir), Base: display(base), Size: size(f.Length), Bytes: plural64(f.Length, "byte")}
		row.Link = s.path(filePath(rel, &f))
		if budget -= 200 + len(row.Link) + 2*len(row.Dir) + 2*len(row.Base); len(l.Rows) == most || budget < 0 && len(l.Rows) > 0 {
			break
		}
		l.Rows = append(l.Rows, row)
	}
	l.More = len(rel.Files) - from - len(l.Rows)
	return l
}

// commands are the lines by which each program fetches rel.
func commands(base *url.URL, rel *publish.Release) []command {
	page := quote(publish.Absolute(base, publish.PagePath(rel.Slug)))
	torrent := quote(publish.Absolute(base, publish.TorrentPath(rel.Slug)))
	c := []command{
		{"spate", "spate get " + page, "verified, resumable"},
		{"aria2", "aria2c " + torrent, ""},
	}
	if !rel.HashV1.IsZero() {
		note := ""
		if rel.Format == "hybrid" {
			note = "4.0 or newer" // 3.00 trips over the empty keys of a file tree
		}
		c = append(c, command{"Transmission", "transmission-cli -w . " + torrent, note})
	}
	if rel.Single {
		link := publish.DownloadPath(rel.Slug)
		line := "curl -C - -O "
		if link != "/d/"+rel.Name {
			line = "curl -C - -o " + quote(rel.Name) + " "
		}
		c = append(c, command{"curl", line + quote(publish.Absolute(base, link)), "plain HTTP"})
	}
	return c
}

// pager makes the links to the lists before and after the one that has got
// entries from one position on.
func (s *Site) pager(encoded, text string, from, got, per, total int) pager {
	link := func(from int) string {
		q := url.Values{}
		if text != "" {
			q.Set("q", text)
		}
		if from > 0 {
			q.Set("from", strconv.Itoa(from))
		}
		if len(q) == 0 {
			return s.path(encoded)
		}
		return s.path(encoded) + "?" + q.Encode()
	}
	var p pager
	if from > 0 {
		p.Prev = link(max(from-per, 0))
	}
	if from+got < total && got > 0 {
		p.Next = link(from + got)
	}
	return p
}

// offset is the request's ?from=, or 0 if that makes no sense.
func offset(r *http.Request) int {
	n, err := strconv.Atoi(r.URL.Query().Get("from"))
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// clip cuts s to at most n bytes, between characters.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
