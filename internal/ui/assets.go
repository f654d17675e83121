package ui

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"sync"

	"spate/internal/httpcontent"
)

//go:embed static
var embedded embed.FS

// kinds maps the extensions of assets to media types. Other files are not served.
var kinds = map[string]string{
	".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
	".json": "application/json", ".webmanifest": "application/manifest+json", ".txt": "text/plain; charset=utf-8",
	".png": "image/png", ".webp": "image/webp", ".ico": "image/x-icon", ".woff2": "font/woff2",
}

// asset is a file of static/ in memory.
type asset struct {
	data []byte
	kind string
	// zipped returns data compressed with gzip. It is nil for files that are compressed already.
	zipped func() []byte
}

// assets are the files of static/ by their paths below it.
type assets struct {
	files map[string]asset
	label string // start of a hash over all files; it is a part of their URLs
}

// loadAssets reads the files of fsys. The pages get URLs with the label in place of "/static/".
// Modules import each other by relative paths, so that they have the label too.
func loadAssets(fsys fs.FS) (*assets, error) {
	a := &assets{files: map[string]asset{}}
	all := sha256.New()
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		kind := kinds[path.Ext(name)]
		if err != nil || d.IsDir() || kind == "" {
			return err
		}
		data, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		fmt.Fprintf(all, "%s %d\n", name, len(data))
		all.Write(data)
		a.files[name] = asset{data: data, kind: kind}
		return nil
	})
	if err != nil {
		return nil, err
	}
	a.label = hex.EncodeToString(all.Sum(nil)[:8])
	for name, f := range a.files {
		if path.Ext(name) == ".html" {
			f.data = bytes.ReplaceAll(f.data, []byte(`"/static/`), []byte(`"/static/`+a.label+`/`))
		}
		if !strings.HasPrefix(f.kind, "image/") && !strings.HasPrefix(f.kind, "font/") || path.Ext(name) == ".svg" {
			data := f.data
			f.zipped = sync.OnceValue(func() []byte { return httpcontent.Gzip(data, gzip.BestCompression) })
		}
		a.files[name] = f
	}
	return a, nil
}

// serve answers with the asset name. It reports whether there is one.
func (a *assets) serve(w http.ResponseWriter, r *http.Request, name string) bool {
	rest, labelled := strings.CutPrefix(name, a.label+"/")
	f, ok := a.files[rest]
	if !ok {
		return false
	}
	if labelled && path.Ext(rest) != ".html" {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	if f.zipped == nil {
		httpcontent.Send(w, r, f.kind, f.data)
	} else {
		httpcontent.SendGzip(w, r, f.kind, f.data, f.zipped)
	}
	return true
}

// Icon returns the icon of the program as an SVG picture.
func Icon() []byte {
	b, err := embedded.ReadFile("static/icon.svg")
	if err != nil {
		panic(err) // it is embedded
	}
	return b
}
