package site

import (
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"io/fs"
	"net/http"
	"path"
	"regexp"
	"strings"
	"sync"

	"spate/internal/httpcontent"
)

//go:embed templates static
var embedded embed.FS

// layered is a stack of file systems. Open uses the first file system that has the file. A
// file system may be nil.
type layered []fs.FS

// Open implements [fs.FS].
func (l layered) Open(name string) (fs.File, error) {
	for _, fsys := range l {
		if fsys == nil {
			continue
		}
		f, err := fsys.Open(name)
		if !errors.Is(err, fs.ErrNotExist) {
			return f, err
		}
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

// asset is a file of static/ in memory.
type asset struct {
	data  []byte
	kind  string // media type
	label string // start of its hash, which is part of its URL
	// zipped returns data compressed with gzip. It is nil for files that are compressed already.
	zipped func() []byte
}

// svgType is the media type of SVG pictures.
const svgType = "image/svg+xml"

// assetKinds maps the extensions of files in static/ to media types.
var assetKinds = map[string]string{
	".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": svgType,
	".png": "image/png", ".jpg": "image/jpeg", ".webp": "image/webp", ".woff2": "font/woff2",
}

// commentLine matches the text of a line that is only a comment. The modules are served without
// these lines, a fifth of what a visitor loads. The empty lines that stay keep the line numbers.
var commentLine = regexp.MustCompile(`(?m)^[ \t]*//.*$`)

// loadAssets reads the files in static/ and static/download/: the embedded ones, and those of the
// theme, which may replace them. The names of the result begin below static/.
func loadAssets(files layered) (map[string]asset, error) {
	assets := map[string]asset{}
	for _, fsys := range files {
		if fsys == nil {
			continue
		}
		names, err := fs.Glob(fsys, "static/*")
		modules, err2 := fs.Glob(fsys, "static/"+moduleDir+"*.js")
		if err := errors.Join(err, err2); err != nil {
			return nil, err
		}
		for _, name := range append(names, modules...) {
			base := strings.TrimPrefix(name, "static/")
			kind, known := assetKinds[path.Ext(base)]
			if _, have := assets[base]; have || !known {
				continue
			}
			data, err := fs.ReadFile(fsys, name)
			if err != nil {
				return nil, err
			}
			if fsys == fs.FS(embedded) && strings.HasPrefix(base, moduleDir) {
				data = commentLine.ReplaceAll(data, nil)
			}
			sum := sha256.Sum256(data)
			a := asset{data: data, kind: kind, label: hex.EncodeToString(sum[:6])}
			if strings.HasPrefix(kind, "text/") || kind == svgType {
				a.zipped = sync.OnceValue(func() []byte { return httpcontent.Gzip(data, gzip.BestCompression) })
			}
			assets[base] = a
		}
	}
	return assets, nil
}

// assetPath returns the path of a file in static/. The path contains a hash of the content,
// so that browsers can cache the file without a time limit.
func (s *Site) assetPath(name string) string {
	return s.path("/static/" + name + "?v=" + s.assets[name].label)
}

func (s *Site) static(w http.ResponseWriter, r *http.Request) {
	s.serveAsset(w, r, r.PathValue("file"))
}

// favicon answers /favicon.ico, which browsers also request for a file below /v/. Its sandbox has another
// origin.
func (s *Site) favicon(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cross-Origin-Resource-Policy", "cross-origin")
	s.serveAsset(w, r, "icon.svg")
}

func (s *Site) serveAsset(w http.ResponseWriter, r *http.Request, name string) {
	a, ok := s.assets[name]
	if !ok {
		s.noPage(w, r)
		return
	}
	h := w.Header()
	if r.URL.Query().Get("v") == a.label {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	if a.zipped == nil {
		httpcontent.Send(w, r, a.kind, a.data)
		return
	}
	httpcontent.SendGzip(w, r, a.kind, a.data, a.zipped)
}

// picture answers with an SVG picture.
func (s *Site) picture(w http.ResponseWriter, r *http.Request, svg string) {
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	h.Set("Cache-Control", "public, max-age=300")
	httpcontent.Send(w, r, svgType, []byte(svg))
}
