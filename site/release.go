package site

import (
	"context"
	"encoding/hex"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"time"

	"spate/internal/httpcontent"
	"spate/publish"
	"spate/signature"
)

// releasePage is the data of release.html.
type releasePage struct {
	Ref                     string // as in the request
	Static                  bool   // whether the page is part of an export
	Title                   string // of the release: see title
	Name                    string // of the torrent
	Label                   string // see label
	Version, Variant        string // texts; Version is "" for the default version
	Page, Torrent, Download string // links; Download is "" for a tree
	Beside                  string // path of the pictures and documents of the page, which have no language
	Code                    string // of the language
	PageURL                 string // absolute
	Magnet                  template.URL
	Twin                    string // link to the torrent for older clients, or ""
	TwinMagnet              template.URL
	Size, Bytes, FileCount  string
	Release                 *publish.Release
	Group                   string // link to the group, or ""
	HashV1, HashV2, SHA256  string
	Metalink, Sums          string
	Zip, ZipSize            string // link to the archive of a tree and its size, or "" in an export
	Hybrid                  bool
	PieceSize               string
	Preview                 *preview // nil for none
	Swarm                   numbers
	Commands                []command
	Check                   []command // compute the SHA-256 of downloaded files; nil if the page shows none
	Signed                  *signedBy
	Notes                   template.HTML
	MoreNotes               string // link to the complete notes, or ""
	Family                  family
	Choice                  []choice // the variants among which the visitor chooses, or nil if the page shows one
	Charts                  []chart
	Files                   fileList
	InPage                  *pageDownload // nil if the page cannot download by itself
	Wave                    wave
}

// signedBy describes the signatures of a release.
type signedBy struct {
	Key        string
	KeyFile    string // links
	TorrentSig string
	SumsSig    string // "" until the checksums are computed
	Commands   []command
}

// command is a command line for a terminal. Who is the program.
type command struct{ Who, Line, Note string }

// beside returns the path of the torrent or the Metalink if ref is the reference of a
// release followed by .torrent or .meta4. Otherwise it returns "".
func (s *Site) beside(ctx context.Context, ref string) string {
	for ext, at := range map[string]func(string) string{".torrent": publish.TorrentPath, ".meta4": publish.MetalinkPath} {
		of, ok := strings.CutSuffix(ref, ext)
		if !ok {
			continue
		}
		_, err := s.catalog.Get(ctx, of)
		_, own := s.catalog.Get(ctx, ref) // a release may have this complete name
		if err == nil && errors.Is(own, publish.ErrNotFound) {
			return at(of)
		}
	}
	return ""
}

// release answers /r/REF.
func (s *Site) release(w http.ResponseWriter, r *http.Request) { s.in(r).showRelease(w, r) }

// showRelease is [Site.release] in the language of the visitor.
func (s local) showRelease(w http.ResponseWriter, r *http.Request) {
	ref := r.PathValue("name")
	if to := s.beside(r.Context(), ref); to != "" {
		redirect(w, http.StatusFound, s.path(to))
		return
	}
	rel := s.find(w, r, ref)
	if rel == nil {
		return
	}
	ref = ownRef(rel, ref)
	base := s.base(r)
	page := releasePage{
		Ref: ref, Static: s.visits != nil, Title: title(rel), Name: rel.Name, Label: label(rel), Release: rel,
		Version: versionText(s.Language, rel), Variant: display(rel.Variant),
		Page: s.path(s.pagePath(ref)), Beside: s.Site.path(publish.PagePath(ref)), Torrent: s.path(publish.TorrentPath(ref)),
		PageURL: s.absolute(base, s.pagePath(ref)),
		Magnet:  template.URL(safeMagnet(rel.Magnet)),
		Code:    s.Code,
		Size:    s.Bytes(rel.Size), Bytes: s.T("%d bytes", rel.Size), FileCount: s.T("%d files", rel.NumFiles),
		Hybrid:    rel.Format == "hybrid",
		PieceSize: s.PieceLength(rel.PieceLength),
		Swarm:     s.numbers(r.Context(), rel),
		Commands:  s.commands(base, rel, ref),
		Signed:    s.signedBy(base, rel, ref),
		Files:     s.firstFiles(rel, ref),
		Wave:      waveOf(rel, 1200, 120),
		Metalink:  s.path(publish.MetalinkPath(ref)),
		Sums:      s.path(publish.ChecksumsPath(ref)),
		Family:    s.family(r.Context(), rel, ref),
	}
	if page.Choice = s.choice(page.Family.here, ref); page.Choice != nil {
		page.Commands = s.choiceCommands(base, page.Family.here, ref)
		page.Label = versionLabel(rel)
	}
	if page.Choice == nil {
		page.Preview = s.previewOf(rel, ref)
	}
	if rel.Group != "" {
		page.Group = s.path("/?" + url.Values{"group": {rel.Group}}.Encode())
	}
	if !rel.Twin.Hash.IsZero() {
		page.Twin, page.TwinMagnet = s.path(publish.TwinPath(ref)), template.URL(safeMagnet(rel.Twin.Magnet))
	}
	if rel.Notes != "" {
		var whole bool
		page.Notes, whole = s.renderNotes(rel.Notes)
		if !whole {
			page.MoreNotes = s.path(publish.PagePath(ref) + "/notes.txt")
		}
	}
	if h, err := s.catalog.History(r.Context(), rel.Hash(), time.Now().AddDate(0, 0, -chartDays)); err == nil {
		page.Charts = charts(s.Language, h, rel.Size, rel.NumFiles, time.Now())
	}
	if !rel.HashV1.IsZero() {
		page.HashV1 = rel.HashV1.String()
	}
	if !rel.HashV2.IsZero() {
		page.HashV2 = rel.HashV2.String()
	}
	if s.visits == nil && !rel.Single {
		if layout := s.zips.of(rel); layout != nil {
			page.Zip, page.ZipSize = s.path(zipPath(ref)), s.Bytes(layout.size)
		}
	}
	if rel.Single {
		page.Download = s.path(publish.DownloadPath(ref))
		if rel.Summed {
			page.SHA256 = hex.EncodeToString(rel.Files[0].SHA256[:])
		}
	}
	if rel.Summed && page.Choice == nil {
		page.Check = s.checkCommands(base, rel, ref)
	}
	if page.InPage = s.pageDownloadOf(rel, &page); page.InPage != nil {
		w.Header().Set("Content-Security-Policy", downloadPolicy)
	}
	s.setLinks(w.Header(), rel, ref)
	s.render(w, r, http.StatusOK, "release.html", page)
}

// notes answers /r/REF/notes.txt with the notes as the publisher wrote them.
func (s *Site) notes(w http.ResponseWriter, r *http.Request) {
	if rel := s.find(w, r, r.PathValue("name")); rel != nil {
		httpcontent.Send(w, r, "text/plain; charset=utf-8", []byte(rel.Notes))
	}
}

// commands returns command lines that download rel, each with another program.
func (s local) commands(base *url.URL, rel *publish.Release, ref string) []command {
	page := quote(s.absolute(base, s.pagePath(ref)))
	torrent := quote(s.absolute(base, publish.TorrentPath(ref)))
	c := []command{
		{"spate", "spate get " + page, s.T("verified, resumable")},
		{"aria2", "aria2c " + torrent, ""},
	}
	if !rel.HashV1.IsZero() {
		note := ""
		if rel.Format == "hybrid" && rel.Twin.Hash.IsZero() {
			note = s.T("4.0 or newer") // Transmission 3.00 does not accept the empty keys of a file tree
		}
		c = append(c, command{"Transmission", "transmission-cli -w . " + torrent, note})
	}
	if rel.Single {
		link := publish.DownloadPath(ref)
		line := "curl -C - -O "
		if link != "/d/"+rel.StoredName() {
			line = "curl -C - -o " + quote(rel.StoredName()) + " "
		}
		c = append(c, command{"curl", line + quote(s.absolute(base, link)), s.T("over HTTP")})
	}
	return c
}

// checkCommands returns command lines that compute the SHA-256 of the downloaded file, or compare those
// of the files of a tree with the published ones, each with what a system has.
func (s local) checkCommands(base *url.URL, rel *publish.Release, ref string) []command {
	if !rel.Single {
		sums := "curl -fsSO " + quote(s.absolute(base, publish.ChecksumsPath(ref))) + " && "
		return []command{{"Linux", sums + "sha256sum -c SHA256SUMS", ""}, {"macOS", sums + "shasum -a 256 -c SHA256SUMS", ""}}
	}
	name := quote(rel.StoredName())
	windows := name
	if strings.HasPrefix(name, "'") {
		windows = "-LiteralPath '" + strings.ReplaceAll(clean(rel.StoredName()), "'", "''") + "'"
	}
	return []command{{"Windows", "Get-FileHash " + windows, "PowerShell"}, {"macOS", "shasum -a 256 " + name, ""}, {"Linux", "sha256sum " + name, ""}}
}

// signedBy describes the signatures of rel. It returns nil if rel is not signed.
func (s local) signedBy(base *url.URL, rel *publish.Release, ref string) *signedBy {
	key, err := signature.ParsePublicKey(rel.Signatures.PublicKey)
	if err != nil || rel.Signatures.Torrent == "" {
		return nil
	}
	b := &signedBy{
		Key: key.String(), KeyFile: s.path(publish.PagePath(ref) + "/minisign.pub"),
		TorrentSig: s.path(publish.TorrentPath(ref) + signature.Extension),
		Commands:   []command{{"spate", "spate get --verify-key " + key.String() + " " + quote(s.absolute(base, s.pagePath(ref))), s.T("checks the signature before it downloads")}},
	}
	if rel.Signatures.Sums != "" {
		sums := s.absolute(base, publish.ChecksumsPath(ref))
		b.SumsSig = s.path(publish.ChecksumsPath(ref) + signature.Extension)
		b.Commands = append(b.Commands, command{"minisign", "curl -fsSO " + quote(sums) + " -O " + quote(sums+signature.Extension) +
			" && minisign -Vm SHA256SUMS -P " + key.String() + " && sha256sum -c SHA256SUMS", s.T("checks the downloaded files")})
	}
	return b
}
