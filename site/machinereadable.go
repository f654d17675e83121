package site

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"spate/internal/httpcontent"
	"spate/internal/units"
	"spate/publish"
)

// perFeed is the number of releases in a feed.
const perFeed = 50

// perJSON is the maximum number of releases in index.json.
const perJSON = 1000

// info returns the description of rel for programs. latest is true if rel is the newest
// version of its variant.
func (s *Site) info(base *url.URL, rel *publish.Release, latest bool, n numbers) publish.ReleaseInfo {
	info := rel.Info(base, latest, n.Counts)
	info.SetAddress(s.catalog, base, rel)
	if s.visits != nil {
		s.visits.relink(&info, publish.Absolute(base, ""))
	}
	if n.Known || n.State != "" {
		info.Live = publish.Live{State: n.State, Error: n.Problem, Seeders: n.Seeds, Leechers: n.Leeches, UpRate: n.Rate}
	}
	return info
}

// indexJSON answers /index.json. The parameters are those of index, and limit.
func (s *Site) indexJSON(w http.ResponseWriter, r *http.Request) {
	crossOrigin(w.Header())
	ask := r.URL.Query()
	limit, err := strconv.Atoi(ask.Get("limit"))
	if err != nil || limit <= 0 || limit > perJSON {
		limit = perJSON
	}
	q := publish.Query{
		Text: clip(ask.Get("q"), 200), Group: clip(ask.Get("group"), 200), All: ask.Get("all") == "1",
		Offset: offset(r), Limit: limit,
	}
	s.share(w, r, "application/json", q, func(r *http.Request, numbers numbersOf) ([]byte, error) {
		return s.listJSON(r, q, numbers)
	})
}

// listJSON describes the releases that q selects.
func (s *Site) listJSON(r *http.Request, q publish.Query, numbers numbersOf) ([]byte, error) {
	list, total, err := s.catalog.List(r.Context(), q)
	if err != nil {
		return nil, err
	}
	latest := make([]bool, len(list))
	for i := range latest {
		latest[i] = true // a list without all=1 contains only the newest versions
	}
	if q.All {
		if latest, err = publish.AreLatest(r.Context(), s.catalog, list); err != nil {
			return nil, err
		}
	}
	out := struct {
		Site     string                `json:"site"`
		Total    int                   `json:"total"`
		Releases []publish.ReleaseInfo `json:"releases"`
	}{s.opts.Title, total, make([]publish.ReleaseInfo, 0, len(list))}
	base := s.base(r)
	for i, rel := range list {
		out.Releases = append(out.Releases, s.info(base, rel, latest[i], numbers(rel)))
	}
	data, err := json.Marshal(out)
	return append(data, '\n'), err
}

// oneJSON answers /r/REF/release.json with the release and its files.
func (s *Site) oneJSON(w http.ResponseWriter, r *http.Request) {
	crossOrigin(w.Header())
	ref := r.PathValue("name")
	rel := s.find(w, r, ref)
	if rel == nil {
		return
	}
	latest, err := publish.IsLatest(r.Context(), s.catalog, rel)
	if err != nil {
		s.broken(w, r, err)
		return
	}
	s.setLinks(w.Header(), rel, ref)
	data, err := json.Marshal(s.info(s.base(r), rel, latest, s.numbers(r.Context(), rel)))
	if err != nil {
		s.broken(w, r, err)
		return
	}
	httpcontent.Send(w, r, "application/json", append(data, '\n'))
}

// shareXML answers r, as share does, with the XML document of the media type kind that the
// function document makes of the releases that q selects.
func (s *Site) shareXML(w http.ResponseWriter, r *http.Request, kind string, q publish.Query, document func(base *url.URL, list []*publish.Release, numbers numbersOf) any) {
	s.share(w, r, kind, q, func(r *http.Request, numbers numbersOf) ([]byte, error) {
		list, _, err := s.catalog.List(r.Context(), q)
		if err != nil {
			return nil, err
		}
		return encodeXML(document(s.base(r), list, numbers))
	})
}

// encodeXML returns v as an XML document.
func encodeXML(v any) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(xml.Header)
	e := xml.NewEncoder(&b)
	e.Indent("", " ")
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

// sums answers /r/REF/SHA256SUMS, for `sha256sum -c` in the directory of the download.
func (s *Site) sums(w http.ResponseWriter, r *http.Request) {
	crossOrigin(w.Header())
	rel := s.find(w, r, r.PathValue("name"))
	if rel == nil {
		return
	}
	s.setLinks(w.Header(), rel, r.PathValue("name"))
	if !rel.Summed {
		w.Header().Set("Retry-After", "60")
		s.fail(w, r, http.StatusServiceUnavailable, "Not yet", "The site is still computing the checksums. Try again in a minute.")
		return
	}
	w.Header().Set("Content-Disposition", "inline; filename=SHA256SUMS")
	httpcontent.Send(w, r, "text/plain; charset=utf-8", rel.Checksums())
}

// reprDigest returns the value of the Repr-Digest header for a file (RFC 9530).
func reprDigest(sum [32]byte) string {
	return "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
}

// robots answers /robots.txt. It asks crawlers not to download data.
func (s *Site) robots(w http.ResponseWriter, r *http.Request) {
	httpcontent.Send(w, r, "text/plain; charset=utf-8", fmt.Appendf(nil, "User-agent: *\nDisallow: %s\nDisallow: %s\nDisallow: %s\nDisallow: %s\nDisallow: %s\nSitemap: %s\n",
		s.path("/d/"), s.path("/z/"), s.path("/v/"), s.path("/announce"), s.path("/scrape"), s.absolute(s.base(r), "/sitemap.xml")))
}

// perSitemap is the maximum number of releases in the sitemap; sitemaps.org allows 50,000 URLs.
const perSitemap = 10_000

// sitemap answers /sitemap.xml.
func (s *Site) sitemap(w http.ResponseWriter, r *http.Request) {
	s.shareXML(w, r, "application/xml", publish.Query{Limit: perSitemap}, s.sitemapOf)
}

// sitemapOf returns the sitemap of list.
func (s *Site) sitemapOf(base *url.URL, list []*publish.Release, _ numbersOf) any {
	type page struct {
		Loc     string `xml:"loc"`
		LastMod string `xml:"lastmod,omitempty"`
	}
	doc := struct {
		XMLName xml.Name `xml:"http://www.sitemaps.org/schemas/sitemap/0.9 urlset"`
		Pages   []page   `xml:"url"`
	}{}
	doc.Pages = append(doc.Pages, page{Loc: s.absolute(base, "/")})
	for _, rel := range list {
		doc.Pages = append(doc.Pages, page{s.absolute(base, s.pagePath(rel.Slug)), rel.Published.Format(time.RFC3339)})
	}
	return doc
}

// linkedData describes a release with the vocabulary of schema.org (JSON-LD).
type linkedData struct {
	Context     string   `json:"@context"`
	Type        string   `json:"@type"`
	Name        string   `json:"name"`
	Description string   `json:"description,omitempty"`
	Version     string   `json:"version,omitempty"`
	URL         string   `json:"url"`
	ContentURL  string   `json:"contentUrl"`
	ContentSize string   `json:"contentSize"`
	UploadDate  string   `json:"uploadDate"`
	Identifier  []string `json:"identifier"`
	SHA256      string   `json:"sha256,omitempty"`
}

func (s *Site) linkedDataOf(base *url.URL, rel *publish.Release, ref string) *linkedData {
	d := &linkedData{
		Context: "https://schema.org", Type: "DataDownload", Name: display(rel.Name), Description: display(rel.Comment), Version: label(rel),
		URL:         s.absolute(base, s.pagePath(ref)),
		ContentURL:  s.absolute(base, publish.TorrentPath(ref)),
		ContentSize: units.Plural(rel.Size, "byte"), UploadDate: rel.Published.UTC().Format(time.RFC3339),
	}
	if rel.Single {
		d.ContentURL = s.absolute(base, publish.DownloadPath(ref))
		if rel.Summed {
			d.SHA256 = hex.EncodeToString(rel.Files[0].SHA256[:])
		}
	}
	for _, ih := range rel.Hashes() {
		d.Identifier = append(d.Identifier, "urn:btih:"+ih.String())
	}
	return d
}
