package site

import (
	"embed"
	"net/http"
	"strings"

	"spate/internal/lang"
)

// messageFiles are the texts of the pages in each language: see [lang.Load].
//
//go:embed messages
var messageFiles embed.FS

// local is a site in the language of a request.
type local struct {
	*Site
	*lang.Language
}

// in returns the site in the language of r.
func (s *Site) in(r *http.Request) local { return local{s, s.languages.Of(r)} }

// path is [Site.path]. In an export the pages of a language link to each other.
func (s local) path(encoded string) string { return s.prefix + s.visits.link(s.Language, encoded) }

// address returns the absolute URL of the page at an encoded path, which may have a query, on the site at
// base, in the language.
func (s local) address(base, encoded string) string {
	switch {
	case s.visits != nil:
		return base + s.visits.link(s.Language, encoded) // the one page that the export has
	case s.English():
		return base + encoded
	}
	separator := "?"
	if strings.Contains(encoded, "?") {
		separator = "&"
	}
	return base + encoded + separator + "lang=" + s.Code
}

// languageLink is a link to a page in another language.
type languageLink struct {
	Name, Tag, Link string
	Here            bool // whether it is the language of the page
}

// languageLinks returns links to the page that r requests in all languages.
func (s local) languageLinks(r *http.Request) []languageLink {
	var links []languageLink
	for _, l := range s.languages.All {
		q := r.URL.Query()
		q.Del("lang")
		if s.visits == nil {
			q.Set("lang", l.Code)
		}
		link := "/" + strings.TrimLeft(r.URL.EscapedPath(), "/") // never another host
		if len(q) > 0 {
			link += "?" + q.Encode()
		}
		link = local{s.Site, l}.path(link)
		links = append(links, languageLink{l.Name, l.Tag, link, l == s.Language})
	}
	return links
}

// vary tells caches that a page depends on the language of the visitor, and remembers a language that
// the visitor has chosen.
func (s *Site) vary(w http.ResponseWriter, r *http.Request) { s.languages.Vary(w, r, s.prefix+"/") }
