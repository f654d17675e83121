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
	"strings"
	"time"

	"spate/publish"
)

// perFeed is how many releases a feed has.
const perFeed = 50

// perJSON is how many releases index.json has at most, and what ?limit= may ask.
const perJSON = 1000

// releaseJSON is a release for programs. The fields that `spate show --json` has
// too mean the same.
type releaseJSON struct {
	Name         string     `json:"name"`
	Format       string     `json:"format"`
	HashV1       string     `json:"info_hash_v1,omitempty"`
	HashV2       string     `json:"info_hash_v2,omitempty"`
	TotalLength  int64      `json:"total_length"` // bytes
	NumFiles     int        `json:"num_files"`
	PieceLength  int64      `json:"piece_length"`
	Pieces       int        `json:"pieces"`
	Private      bool       `json:"private"`
	Comment      string     `json:"comment,omitempty"`
	Published    time.Time  `json:"published"`
	PageURL      string     `json:"page_url"`
	TorrentURL   string     `json:"torrent_url"`
	DownloadURL  string     `json:"download_url,omitempty"` // of a single file
	MetalinkURL  string     `json:"metalink_url"`
	ChecksumsURL string     `json:"checksums_url"`
	Magnet       string     `json:"magnet"`
	AnnounceList [][]string `json:"announce_list,omitempty"`
	WebSeeds     []string   `json:"web_seeds,omitempty"`
	Swarm        *numbers   `json:"swarm"`
	Files        []fileJSON `json:"files,omitempty"`
}

type fileJSON struct {
	Path        string `json:"path"`
	Length      int64  `json:"length"` // bytes
	PiecesRoot  string `json:"pieces_root,omitempty"`
	SHA256      string `json:"sha256,omitempty"`
	DownloadURL string `json:"download_url"`
}

func (s *Site) releaseJSON(base *url.URL, rel *publish.Release) releaseJSON {
	n := s.numbers(rel)
	j := releaseJSON{
		Name: rel.Name, Format: rel.Format, TotalLength: rel.Size, NumFiles: rel.NumFiles,
		PieceLength: rel.PieceLength, Pieces: rel.Pieces, Private: rel.Private, Comment: rel.Comment, Published: rel.Published,
		PageURL:      publish.Absolute(base, publish.PagePath(rel.Slug)),
		TorrentURL:   publish.Absolute(base, publish.TorrentPath(rel.Slug)),
		MetalinkURL:  publish.Absolute(base, metalinkPath(rel.Slug)),
		ChecksumsURL: publish.Absolute(base, sumsPath(rel.Slug)),
		Magnet:       rel.Magnet, AnnounceList: rel.Announce, WebSeeds: rel.WebSeeds, Swarm: &n,
	}
	if !rel.HashV1.IsZero() {
		j.HashV1 = rel.HashV1.String()
	}
	if !rel.HashV2.IsZero() {
		j.HashV2 = rel.HashV2.String()
	}
	if rel.Single {
		j.DownloadURL = publish.Absolute(base, publish.DownloadPath(rel.Slug))
	}
	for _, f := range rel.Files {
		file := fileJSON{Path: f.Path, Length: f.Length, DownloadURL: publish.Absolute(base, filePath(rel, &f))}
		if rel.Single {
			file.Path = rel.Name
		}
		if f.PiecesRoot != ([32]byte{}) {
			file.PiecesRoot = hex.EncodeToString(f.PiecesRoot[:])
		}
		if rel.Summed {
			file.SHA256 = hex.EncodeToString(f.SHA256[:])
		}
		j.Files = append(j.Files, file)
	}
	return j
}

// filePath is where file f of rel is downloaded.
func filePath(rel *publish.Release, f *publish.File) string {
	if rel.Single {
		return publish.DownloadPath(rel.Slug)
	}
	return publish.DownloadPath(rel.Slug, strings.Split(f.Path, "/")...)
}

// indexJSON answers /index.json, with ?q=, ?from= and ?limit=.
func (s *Site) indexJSON(w http.ResponseWriter, r *http.Request) {
	crossOrigin(w.Header())
	limit, err := strconv.Atoi(r.URL.Query().Get("limit"))
	if err != nil || limit <= 0 || limit > perJSON {
		limit = perJSON
	}
	q := publish.Query{Text: clip(r.URL.Query().Get("q"), 200), Offset: offset(r), Limit: limit}
	list, total, err := s.catalog.List(r.Context(), q)
	if err != nil {
		s.broken(w, r, err)
		return
	}
	base := s.base(r)
	out := struct {
		Site     string        `json:"site"`
		Total    int           `json:"total"`
		Releases []releaseJSON `json:"releases"`
	}{s.opts.Title, total, make([]releaseJSON, 0, len(list))}
	for _, rel := range list {
		out.Releases = append(out.Releases, s.releaseJSON(base, rel))
	}
	s.sendJSON(w, r, out)
}

// oneJSON answers /r/NAME/release.json: the release with its files.
func (s *Site) oneJSON(w http.ResponseWriter, r *http.Request) {
	crossOrigin(w.Header())
	rel := s.find(w, r, r.PathValue("name"))
	if rel == nil {
		return
	}
	s.setLinks(w.Header(), rel)
	s.sendJSON(w, r, s.releaseJSON(s.base(r), rel))
}

func (s *Site) sendJSON(w http.ResponseWriter, r *http.Request, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		s.broken(w, r, err)
		return
	}
	s.send(w, "application/json", append(data, '\n'))
}

// send answers with what was made for the request.
func (s *Site) send(w http.ResponseWriter, kind string, data []byte) {
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Length", strconv.Itoa(len(data)))
	h.Set("Cache-Control", "no-cache")
	w.Write(data)
}

// sendXML answers with v as a document.
func (s *Site) sendXML(w http.ResponseWriter, r *http.Request, kind string, v any) {
	var b bytes.Buffer
	b.WriteString(xml.Header)
	e := xml.NewEncoder(&b)
	e.Indent("", " ")
	if err := e.Encode(v); err != nil {
		s.broken(w, r, err)
		return
	}
	b.WriteByte('\n')
	s.send(w, kind, b.Bytes())
}

// sumsPath is where the checksums of a release are.
func sumsPath(name string) string { return publish.PagePath(name) + "/SHA256SUMS" }

// sums answers /r/NAME/SHA256SUMS, to be checked by `sha256sum -c` in the folder
// that the download went to.
func (s *Site) sums(w http.ResponseWriter, r *http.Request) {
	crossOrigin(w.Header())
	rel := s.find(w, r, r.PathValue("name"))
	if rel == nil {
		return
	}
	s.setLinks(w.Header(), rel)
	if !rel.Summed {
		w.Header().Set("Retry-After", "60")
		s.fail(w, r, http.StatusServiceUnavailable, "Not yet", "The checksums are still being computed. Come again in a while.")
		return
	}
	w.Header().Set("Content-Disposition", "inline; filename=SHA256SUMS")
	s.send(w, "text/plain; charset=utf-8", rel.Checksums())
}

// reprDigest is the value of the header that says what the whole of a file
// hashes to (RFC 9530).
func reprDigest(sum [32]byte) string {
	return "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
}

// robots answers /robots.txt: pages may be read, data need not be.
func (s *Site) robots(w http.ResponseWriter, r *http.Request) {
	s.send(w, "text/plain; charset=utf-8", fmt.Appendf(nil, "User-agent: *\nDisallow: %s\nDisallow: %s\nDisallow: %s\nSitemap: %s\n",
		s.path("/d/"), s.path("/announce"), s.path("/scrape"), publish.Absolute(s.base(r), "/sitemap.xml")))
}

// perSitemap is how many pages the sitemap names; sitemaps.org allows no more
// than 50,000.
const perSitemap = 10_000

// sitemap answers /sitemap.xml.
func (s *Site) sitemap(w http.ResponseWriter, r *http.Request) {
	list, _, err := s.catalog.List(r.Context(), publish.Query{Limit: perSitemap})
	if err != nil {
		s.broken(w, r, err)
		return
	}
	type page struct {
		Loc     string `xml:"loc"`
		LastMod string `xml:"lastmod,omitempty"`
	}
	doc := struct {
		XMLName xml.Name `xml:"http://www.sitemaps.org/schemas/sitemap/0.9 urlset"`
		Pages   []page   `xml:"url"`
	}{}
	base := s.base(r)
	doc.Pages = append(doc.Pages, page{Loc: publish.Absolute(base, "/")})
	for _, rel := range list {
		doc.Pages = append(doc.Pages, page{publish.Absolute(base, publish.PagePath(rel.Slug)), rel.Published.Format(time.RFC3339)})
	}
	s.sendXML(w, r, "application/xml", doc)
}

// linkedData is a release in the words of schema.org (JSON-LD).
type linkedData struct {
	Context     string   `json:"@context"`
	Type        string   `json:"@type"`
	Name        string   `json:"name"`
	Description string   `json:"description,omitempty"`
	URL         string   `json:"url"`
	ContentURL  string   `json:"contentUrl"`
	ContentSize string   `json:"contentSize"`
	UploadDate  string   `json:"uploadDate"`
	Identifier  []string `json:"identifier"`
	SHA256      string   `json:"sha256,omitempty"`
}

func linkedDataOf(base *url.URL, rel *publish.Release) *linkedData {
	d := &linkedData{
		Context: "https://schema.org", Type: "DataDownload", Name: display(rel.Name), Description: display(rel.Comment),
		URL:         publish.Absolute(base, publish.PagePath(rel.Slug)),
		ContentURL:  publish.Absolute(base, publish.TorrentPath(rel.Slug)),
		ContentSize: plural64(rel.Size, "byte"), UploadDate: rel.Published.UTC().Format(time.RFC3339),
	}
	if rel.Single {
		d.ContentURL = publish.Absolute(base, publish.DownloadPath(rel.Slug))
		if rel.Summed {
			d.SHA256 = hex.EncodeToString(rel.Files[0].SHA256[:])
		}
	}
	for _, ih := range rel.Hashes() {
		d.Identifier = append(d.Identifier, "urn:btih:"+ih.String())
	}
	return d
}
