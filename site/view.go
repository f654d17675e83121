package site

import (
	"net/http"
	"path"
	"strings"

	"spate/publish"
)

// viewTypes are the media types of files that a browser may show in a page, by extension. None of them
// can contain scripts: HTML, SVG and PDF are left out on purpose.
var viewTypes = map[string]string{
	".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif", ".webp": "image/webp", ".avif": "image/avif",
	".mp4": "video/mp4", ".m4v": "video/mp4", ".webm": "video/webm", ".ogv": "video/ogg",
	".mp3": "audio/mpeg", ".m4a": "audio/mp4", ".ogg": "audio/ogg", ".oga": "audio/ogg", ".opus": "audio/ogg", ".flac": "audio/flac", ".wav": "audio/wav",
	".txt": textType, ".md": textType, ".nfo": textType, ".log": textType, ".csv": textType, ".sha256": textType,
}

const textType = "text/plain; charset=utf-8"

// Limits of what a page shows without a click, in bytes. Videos and music load when they are played.
const (
	maxViewImage = 8 << 20
	maxViewText  = 256 << 10
)

// viewPolicy is the content security policy of files that are shown. It allows no scripts, forms or
// links to other documents, and gives the file an origin of its own. Only pages of the site may frame it.
const viewPolicy = "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'self'; sandbox"

// viewType returns the media type with which a browser shows the file called name, or "" if it may not.
func viewType(name string) string { return viewTypes[strings.ToLower(path.Ext(name))] }

// setViewHeaders sets the headers of a file that is shown with the media type kind.
func setViewHeaders(h http.Header, kind string) {
	h.Set("Content-Type", kind)
	h.Set("Content-Disposition", "inline")
	h.Set("Content-Security-Policy", viewPolicy)
	h.Set("X-Frame-Options", "SAMEORIGIN")
}

// viewPath returns the path at which a browser shows file f of rel: /v/REF or /v/REF/path.
func viewPath(rel *publish.Release, ref string, f *publish.File) string {
	return "/v" + strings.TrimPrefix(rel.FilePath(ref, f), "/d")
}

// view answers /v/REF and /v/REF/path with a file that the browser shows. The data is that of /d/, under
// the same limits.
func (s *Site) view(w http.ResponseWriter, r *http.Request) { s.sendFile(w, r, filePath(r), true) }

// preview is what a page shows of the file of a release.
type preview struct {
	Kind string // "image", "video", "audio" or "text"
	Link string
}

// previewOf returns what the page of rel shows of its only file, or nil for nothing.
func (s *Site) previewOf(rel *publish.Release, ref string) *preview {
	if !rel.Single || s.visits != nil || rel.Paused {
		return nil
	}
	kind, _, _ := strings.Cut(viewType(storedName(rel, 0)), "/")
	if kind == "" || kind == "image" && rel.Size > maxViewImage || kind == "text" && rel.Size > maxViewText {
		return nil
	}
	return &preview{kind, s.path(viewPath(rel, ref, &rel.Files[0]))}
}

// viewLink returns the link at which a browser shows file f of a tree, or "" if it may not.
func (s *Site) viewLink(rel *publish.Release, ref string, f *publish.File) string {
	if s.visits != nil || rel.Single || viewType(f.Path) == "" || strings.HasPrefix(viewType(f.Path), "text/") && f.Length > maxViewText {
		return ""
	}
	return s.path(viewPath(rel, ref, f))
}
