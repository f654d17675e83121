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
	"spate/signature"
)

// perFeed is how many releases a feed has.
const perFeed = 50

// perJSON is how many releases index.json has at most, and what ?limit= may ask.
const perJSON = 1000

// releaseJSON is a release for programs. The fields that `spate show --json` has
// too mean the same.
type releaseJSON struct {
	Ref          string     `json:"ref"` // names exactly this torrent
	Name         string     `json:"name"`
	Version      string     `json:"version"`
	Variant      string     `json:"variant,omitempty"`
	Group        string     `json:"group,omitempty"`
	Notes        string     `json:"notes,omitempty"` // Markdown; not in lists
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
	Twin         *twinJSON  `json:"v1_twin,omitempty"`
	Signed       *signJSON  `json:"signature,omitempty"`
	AnnounceList [][]string `json:"announce_list,omitempty"`
	WebSeeds     []string   `json:"web_seeds,omitempty"`
	Swarm        *numbers   `json:"swarm"`
	Files        []fileJSON `json:"files,omitempty"`
}

// twinJSON is the torrent for clients that cannot use hybrids.
type twinJSON struct {
	HashV1     string `json:"info_hash_v1"`
	TorrentURL string `json:"torrent_url"`
	Magnet     string `json:"magnet"`
}

// signJSON is where the minisign signatures are.
type signJSON struct {
	PublicKey  string `json:"public_key"`
	TorrentURL string `json:"torrent_signature_url"`
	SumsURL    string `json:"checksums_signature_url,omitempty"`
}

type fileJSON struct {
	Path        string `json:"path"`
	Length      int64  `json:"length"` // bytes
	PiecesRoot  string `json:"pieces_root,omitempty"`
	SHA256      string `json:"sha256,omitempty"`
	DownloadURL string `json:"download_url"`
}

// releaseJSON describes rel. Its page and what else a person would link to are
// named by ref, the rest exactly.
func (s *Site) releaseJSON(r *http.Request, rel *publish.Release, ref string) releaseJSON {
	base, exact := s.base(r), rel.Ref()
	at := func(path string) string { return publish.Absolute(base, path) }
	j := releaseJSON{
		Ref: exact, Name: rel.Name, Version: rel.Version, Variant: rel.Variant, Group: rel.Group, Notes: rel.Notes,
		Format: rel.Format, TotalLength: rel.Size, NumFiles: rel.NumFiles,
		PieceLength: rel.PieceLength, Pieces: rel.Pieces, Private: rel.Private, Comment: rel.Comment, Published: rel.Published,
		PageURL: at(publish.PagePath(ref)), TorrentURL: at(publish.TorrentPath(exact)),
		MetalinkURL: at(metalinkPath(exact)), ChecksumsURL: at(sumsPath(exact)),
		Magnet: rel.Magnet, AnnounceList: rel.Announce, WebSeeds: rel.WebSeeds,
	}
	if s.visits == nil {
		n := s.numbers(r.Context(), rel)
		j.Swarm = &n
	}
	if !rel.Twin.Hash.IsZero() {
		j.Twin = &twinJSON{rel.Twin.Hash.String(), at(twinPath(exact)), rel.Twin.Magnet}
	}
	if rel.Signatures.Torrent != "" {
		j.Signed = &signJSON{PublicKey: rel.Signatures.PublicKey, TorrentURL: at(publish.TorrentPath(exact) + signature.Extension)}
		if rel.Signatures.Sums != "" {
			j.Signed.SumsURL = at(sumsPath(exact) + signature.Extension)
		}
	}
	if !rel.HashV1.IsZero() {
		j.HashV1 = rel.HashV1.String()
	}
	if !rel.HashV2.IsZero() {
		j.HashV2 = rel.HashV2.String()
	}
	if rel.Single {
		j.DownloadURL = at(publish.DownloadPath(exact))
	}
	for _, f := range rel.Files {
		file := fileJSON{Path: f.Path, Length: f.Length, DownloadURL: at(filePath(rel, exact, &f))}
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

// filePath is where file f of rel is downloaded, which was asked for as ref.
func filePath(rel *publish.Release, ref string, f *publish.File) string {
	if rel.Single {
		return publish.DownloadPath(ref)
	}
	return publish.DownloadPath(ref, strings.Split(f.Path, "/")...)
}

// indexJSON answers /index.json, with ?q=, ?group=, ?all=1, ?from= and ?limit=.
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
	list, total, err := s.catalog.List(r.Context(), q)
	if err != nil {
		s.broken(w, r, err)
		return
	}
	out := struct {
		Site     string        `json:"site"`
		Total    int           `json:"total"`
		Releases []releaseJSON `json:"releases"`
	}{s.opts.Title, total, make([]releaseJSON, 0, len(list))}
	for _, rel := range list {
		ref := rel.Slug
		if q.All {
			ref = rel.Ref()
		}
		out.Releases = append(out.Releases, s.releaseJSON(r, rel, ref))
	}
	s.sendJSON(w, r, out)
}

// oneJSON answers /r/NAME/release.json: the release with its files.
func (s *Site) oneJSON(w http.ResponseWriter, r *http.Request) {
	crossOrigin(w.Header())
	ref := r.PathValue("name")
	rel := s.find(w, r, ref)
	if rel == nil {
		return
	}
	s.setLinks(w.Header(), rel, ref)
	s.sendJSON(w, r, s.releaseJSON(r, rel, ref))
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
	s.setLinks(w.Header(), rel, r.PathValue("name"))
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
	Version     string   `json:"version,omitempty"`
	URL         string   `json:"url"`
	ContentURL  string   `json:"contentUrl"`
	ContentSize string   `json:"contentSize"`
	UploadDate  string   `json:"uploadDate"`
	Identifier  []string `json:"identifier"`
	SHA256      string   `json:"sha256,omitempty"`
}

func linkedDataOf(base *url.URL, rel *publish.Release, ref string) *linkedData {
	d := &linkedData{
		Context: "https://schema.org", Type: "DataDownload", Name: display(rel.Name), Description: display(rel.Comment), Version: label(rel),
		URL:         publish.Absolute(base, publish.PagePath(ref)),
		ContentURL:  publish.Absolute(base, publish.TorrentPath(ref)),
		ContentSize: plural64(rel.Size, "byte"), UploadDate: rel.Published.UTC().Format(time.RFC3339),
	}
	if rel.Single {
		d.ContentURL = publish.Absolute(base, publish.DownloadPath(ref))
		if rel.Summed {
			d.SHA256 = hex.EncodeToString(rel.Files[0].SHA256[:])
		}
	}
	for _, ih := range rel.Hashes() {
		d.Identifier = append(d.Identifier, "urn:btih:"+ih.String())
	}
	return d
}
