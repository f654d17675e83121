package site

import (
	"bytes"
	"compress/gzip"
	"html/template"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"time"
	"unicode/utf8"

	"spate/internal/httpcontent"
	"spate/internal/lang"
	"spate/internal/units"
	"spate/publish"
)

// MaxPage is the maximum size of a page in bytes, without pictures, styles and scripts.
const MaxPage = 50_000

// Limits of the lists on a page. The rest of a list is on the next page.
const (
	perIndex    = 30
	perFiles    = 200
	filesOnPage = 25
	listBudget  = 24_000 // bytes of rows
	filesBudget = 42_000 // bytes of rows on a page with files only
)

// errorPage is the data of error.html.
type errorPage struct {
	Status        int
	Title, Detail string
}

// pager holds the links to the previous and the next page, or "".
type pager struct{ Prev, Next string }

// shown is the data of layout.html, the frame of every page.
type shown struct {
	Lang       string         // of the page, for the lang attribute
	Languages  []languageLink // links to the page in all languages
	Alternates []languageLink // absolute URLs of the page in all languages, if Canon is set
	Site       string         // title of the site
	Title      string         // title of the page
	Describe   string
	Canon      string // absolute URL of the page, or ""
	Torrent    string // link to the torrent, or ""
	V2Hashes   string // link to the v2 hashes of the torrent, or ""
	Direct     string // link to the data, in the form of a web seed, or ""
	Sig, Key   string // link to the signature of the torrent, and its key, or ""
	Stats      string
	Static     bool        // whether the page is part of an export
	Data       *linkedData // data for search engines, or nil
	Body       any
}

// pageKey identifies a template in a language.
type pageKey struct {
	name string
	lang string // code
}

// parse parses the templates of all pages.
func (s *Site) parse(files layered) (map[pageKey]*template.Template, error) {
	pages := map[pageKey]*template.Template{}
	for _, name := range []string{"index.html", "release.html", "files.html", "error.html"} {
		t, err := template.New("layout.html").Funcs(s.funcs(s.languages.English())).ParseFS(files, "templates/layout.html", "templates/parts.html", "templates/download.html", "templates/"+name)
		if err != nil {
			return nil, err
		}
		for _, l := range s.languages.All {
			in, err := t.Clone()
			if err != nil {
				return nil, err
			}
			pages[pageKey{name, l.Code}] = in.Funcs(s.funcs(l))
		}
	}
	return pages, nil
}

// funcs returns the functions of templates in a language.
func (s *Site) funcs(l *lang.Language) template.FuncMap {
	tag := func(open, text, end string) template.HTML {
		return template.HTML(open + template.HTMLEscapeString(text) + end)
	}
	return template.FuncMap{
		"asset":   s.assetPath,
		"path":    local{s, l}.path,
		"display": display,
		"t":       l.T,
		"th":      l.HTML,
		"count":   func(n reflect.Value) string { return l.T("%d", n.Int()) }, // an integer of any type
		"plural":  units.Plural[int],
		"size":    l.Bytes,
		"rate":    l.Rate,
		"copies":  func(n float64) string { return l.Number(strconv.FormatFloat(n, 'f', 1, 64)) },
		"date":    l.Date,
		"took":    func(seconds int64) string { return firstCopy(l, seconds) },
		"clock":   l.Clock,
		"stamp":   func(t time.Time) string { return t.UTC().Format(time.RFC3339) },

		// Parts of messages.
		"bdi":    func(text string) template.HTML { return tag("<bdi>", text, "</bdi>") },
		"code":   func(text string) template.HTML { return tag("<code>", text, "</code>") },
		"strong": func(text string) template.HTML { return tag("<strong>", text, "</strong>") },
		"live":   func(name, text string) template.HTML { return tag(`<b data-is="`+name+`">`, text, "</b>") },
		"says":   func(name, text string) template.HTML { return tag(`<span data-is="`+name+`">`, text, "</span>") },
	}
}

// page returns a page as HTML.
func (s *Site) page(r *http.Request, name string, body any) ([]byte, error) {
	l := s.in(r)
	p := shown{Site: s.opts.Title, Body: body, Stats: s.opts.StatsPath, Static: s.visits != nil, Lang: l.Tag, Languages: l.languageLinks(r)}
	at := "" // encoded path of a page that search engines list
	switch b := body.(type) {
	case errorPage:
		p.Title = b.Title
	case indexPage:
		p.Title, at = l.T("Releases"), b.At
		p.Describe = l.T("%d releases. Download by BitTorrent or directly.", b.Total)
	case releasePage:
		p.Title, at, p.Torrent = display(b.Title), s.pagePath(b.Ref), b.Torrent
		p.Describe = l.T("%s, %s. Download by BitTorrent or directly.", b.Size, b.FileCount)
		p.Direct = s.enclosure(b.Release, b.Ref)
		p.Data = s.linkedDataOf(s.base(r), b.Release, b.Ref)
		if b.Release.HasV2Hashes {
			p.V2Hashes = s.path(publish.V2HashesPath(b.Ref))
		}
		if b.Signed != nil {
			p.Sig, p.Key = b.Signed.TorrentSig, b.Signed.Key
		}
		if b.Label != "" {
			p.Title += " " + b.Label
		}
	case filesPage:
		p.Title, p.Torrent = l.T("Files of %s", display(b.Name)), b.Torrent
	}
	if at != "" {
		base := publish.Absolute(s.base(r), "")
		p.Canon = l.address(base, at)
		p.Alternates = []languageLink{{Tag: "x-default", Link: local{s, s.languages.English()}.address(base, at)}}
		for _, o := range s.languages.All {
			p.Alternates = append(p.Alternates, languageLink{Tag: o.Tag, Link: local{s, o}.address(base, at)})
		}
	}
	var page bytes.Buffer
	if err := s.pages[pageKey{name, l.Code}].Execute(&page, p); err != nil {
		return nil, &templateError{name, err}
	}
	return page.Bytes(), nil
}

// templateError is returned if a template fails. The page with the error might fail too.
type templateError struct {
	name string
	err  error
}

// Error implements error.
func (e *templateError) Error() string { return "template " + e.name + ": " + e.err.Error() }

// Unwrap returns the cause.
func (e *templateError) Unwrap() error { return e.err }

// render answers with a page. It sends nothing of the page if the template fails.
func (s *Site) render(w http.ResponseWriter, r *http.Request, status int, name string, body any) {
	page, err := s.page(r, name, body)
	s.vary(w, r)
	switch {
	case err != nil:
		s.broken(w, r, err)
	case status == http.StatusOK:
		httpcontent.SendGzip(w, r, htmlType, page, func() []byte { return httpcontent.Gzip(page, gzip.BestSpeed) })
	default:
		answer(w, status, htmlType, page)
	}
}

// htmlType is the media type of pages.
const htmlType = "text/html; charset=utf-8"

// answer answers with a status other than 200.
func answer(w http.ResponseWriter, status int, kind string, data []byte) {
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Length", strconv.Itoa(len(data)))
	w.WriteHeader(status)
	w.Write(data)
}

// pager returns the links to the pages of a list that start with the entries prev and next; -1 stands
// for no page. The links also contain the query parameters keep.
func (s local) pager(encoded string, keep url.Values, prev, next int) pager {
	link := func(from int) string {
		if from < 0 {
			return ""
		}
		return s.path(listPath(encoded, keep, from))
	}
	return pager{link(prev), link(next)}
}

// listPath returns the encoded path of the page of a list that starts with the entry from, with the query
// parameters keep.
func listPath(encoded string, keep url.Values, from int) string {
	q := maps.Clone(keep)
	if from > 0 {
		if q == nil {
			q = url.Values{}
		}
		q.Set("from", strconv.Itoa(from))
	}
	if len(q) == 0 {
		return encoded
	}
	return encoded + "?" + q.Encode()
}

// offset returns the parameter from of a request, or 0 if it is not valid.
func offset(r *http.Request) int {
	n, err := strconv.Atoi(r.URL.Query().Get("from"))
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// clip returns at most n bytes of s, without a partial character.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
