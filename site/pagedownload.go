package site

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"spate/internal/httpcontent"
	"spate/publish"
	"spate/signature"
)

// pageDownload holds what the script of a release page needs to download the release in the page,
// as a peer of the swarm. Its fields are attributes of the element in download.html.
type pageDownload struct {
	Module  string // link to the module that starts the download
	Torrent string // link to the .torrent
	V2      string // link to the v2 hashes that the .torrent may leave out, or ""
	Signed  string // JSON of pageSignature, or ""
	Data    string // link to the file, or, with a slash at the end, to the folder of a tree; "" if Files is set
	Files   string // link to the JSON of the release, which names the URLs of all files; or ""
	Plain   string // link that downloads without the swarm, or ""
	// WebSockets is a JSON list of the WebSocket trackers: URLs, or paths on this host.
	WebSockets string
	// STUN is a JSON list of STUN servers: URLs, or ":PORT" for a port of this host.
	STUN   string
	Single bool
	Size   string
}

// pageSignature holds what the script needs to check the signatures of a release.
type pageSignature struct {
	Key     string `json:"key"`          // public key in the format of minisign
	Ref     string `json:"ref"`          // full reference of the release, which the signatures name
	Torrent string `json:"torrent"`      // link to the signature of the .torrent
	V2      string `json:"v2,omitempty"` // link to that of the v2 hashes
}

// viaPage is the query of the requests that the script of a page sends for data.
const viaPage = "via=page"

// pageDownloadOf returns the download in the page of rel, or nil if the page cannot have one.
func (s *Site) pageDownloadOf(rel *publish.Release, page *releasePage) *pageDownload {
	if page.Choice != nil || rel.Size == 0 {
		return nil
	}
	d := &pageDownload{
		Module: s.modulePath("main.js"), Torrent: page.Torrent, Plain: page.Download, Single: rel.Single, Size: page.Size,
		WebSockets: jsonList(s.webSockets(rel)), STUN: "[]",
	}
	if rel.HasV2Hashes {
		d.V2 = s.path(publish.V2HashesPath(page.Ref))
	}
	if key, err := signature.ParsePublicKey(rel.Signatures.PublicKey); err == nil && rel.Signatures.Torrent != "" {
		sig := pageSignature{Key: key.String(), Ref: rel.Ref(), Torrent: s.path(publish.TorrentPath(page.Ref) + signature.Extension)}
		if rel.Signatures.V2Hashes != "" {
			sig.V2 = s.path(publish.V2HashesPath(page.Ref) + signature.Extension)
		}
		d.Signed = jsonText(sig)
	}
	if d.Plain == "" {
		d.Plain = page.Zip
	}
	switch {
	case rel.Single:
		d.Data = page.Download
	case s.visits == nil:
		d.Data = s.path(publish.DownloadPath(page.Ref)) + "/"
	default: // an export may rename files
		d.Files = page.Beside + "/release.json"
	}
	if s.opts.STUNPort != 0 && s.visits == nil {
		d.STUN = jsonList([]string{":" + strconv.Itoa(int(s.opts.STUNPort))})
	}
	return d
}

// inPage answers /r/REF/inpage with the part of the release page that downloads, for
// <spate-download> in pages of other sites.
func (s *Site) inPage(w http.ResponseWriter, r *http.Request) {
	ref := r.PathValue("name")
	rel := s.find(w, r, ref)
	if rel == nil {
		return
	}
	l := s.in(r)
	page := l.releasePageOf(rel, ref)
	d := s.pageDownloadOf(rel, &page)
	if d == nil {
		s.fail(w, r, http.StatusNotFound, "No download in the page", "Visitors choose a variant of this release first, or it has no data.")
		return
	}
	var part bytes.Buffer
	if err := s.pages[pageKey{"release.html", l.Code}].ExecuteTemplate(&part, "download-embed", d); err != nil {
		s.broken(w, r, &templateError{"download.html", err})
		return
	}
	crossOrigin(w.Header())
	w.Header().Add("Vary", "Accept-Language, Cookie")
	httpcontent.Send(w, r, htmlType, part.Bytes())
}

// releasePageOf returns the fields of the page of rel that its download needs.
func (s local) releasePageOf(rel *publish.Release, ref string) releasePage {
	page := releasePage{Ref: ref, Beside: s.Site.path(publish.PagePath(ref)), Page: s.path(publish.PagePath(ref)), Torrent: s.path(publish.TorrentPath(ref)), Size: s.Bytes(rel.Size)}
	if rel.Single {
		page.Download = s.path(publish.DownloadPath(ref))
	} else if s.visits == nil && s.zips.of(rel) != nil {
		page.Zip = s.path(zipPath(ref))
	}
	return page
}

// announcesToPages reports whether the pages of rel find each other at the WebSocket tracker of this
// host. A private torrent is announced only where it says (BEP 27).
func (s *Site) announcesToPages(rel *publish.Release) bool {
	return s.opts.WebSocketPath != "" && s.visits == nil && !rel.Private
}

// webSockets returns the WebSocket trackers for rel.
func (s *Site) webSockets(rel *publish.Release) (out []string) {
	if s.announcesToPages(rel) {
		out = append(out, s.prefix+s.opts.WebSocketPath)
	}
	for _, tier := range rel.Announce {
		for _, u := range tier {
			if strings.HasPrefix(u, "ws://") || strings.HasPrefix(u, "wss://") {
				out = append(out, u)
			}
		}
	}
	return out
}

func jsonList(list []string) string {
	if len(list) == 0 {
		return "[]"
	}
	return jsonText(list)
}

// jsonText returns the JSON of v, which has only strings.
func jsonText(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return "" // strings always have a JSON form
	}
	return string(b)
}

// fromPage reports whether the script of a page asks for a range.
func fromPage(r *http.Request) bool {
	return r.URL.RawQuery == viaPage && r.Header.Get("Range") != ""
}
