package site

import (
	"bytes"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/dustin/go-humanize"

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

// pager has the links to the pages before and after, "" where there is none.
type pager struct{ Prev, Next string }

// shown is what every page has around its own.
type shown struct {
	Site     string // its title
	Title    string // of the page
	Describe string
	Canon    string // the page's absolute address, or ""
	Torrent  string // link, or ""
	Sig, Key string // of the torrent's signature: link and key, or ""
	Stats    string
	Static   bool        // nothing runs behind the page
	Data     *linkedData // what search engines read, or nil
	Body     any
}

// parse reads the templates: each page with the layout around it.
func (s *Site) parse(files layered) (map[string]*template.Template, error) {
	funcs := template.FuncMap{
		"asset":   s.assetPath,
		"path":    s.path,
		"display": display,
		"count":   func(n reflect.Value) string { return humanize.Comma(n.Int()) }, // of any integer
		"plural":  plural,
		"size":    size,
		"rate":    func(perSecond float64) string { return size(int64(perSecond)) + "/s" },
		"date":    func(t time.Time) string { return t.UTC().Format("2 January 2006") },
		"took":    took,
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
	p := shown{Site: s.opts.Title, Body: body, Stats: s.opts.StatsPath, Static: s.visits != nil}
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
		p.Data = linkedDataOf(s.base(r), b.Release, b.Ref)
		if b.Signed != nil {
			p.Sig, p.Key = b.Signed.TorrentSig, b.Signed.Key
		}
		if b.Label != "" {
			p.Title += " " + b.Label
		}
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

// pager makes the links to the lists before and after the one that has got
// entries from one position on; keep is in them too.
func (s *Site) pager(encoded string, keep url.Values, from, got, per, total int) pager {
	link := func(from int) string {
		q := maps.Clone(keep)
		if from > 0 {
			if q == nil {
				q = url.Values{}
			}
			q.Set("from", strconv.Itoa(from))
		}
		if len(q) == 0 {
			return s.path(encoded)
		}
		return s.path(encoded + "?" + q.Encode())
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
