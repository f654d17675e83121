package site

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// moduleDir is the folder in static/ with the modules of the download in the page. They import
// each other by relative paths, so that their URLs contain one label for all of them.
const moduleDir = "download/"

// downloadPolicy is the content security policy of release pages and of the modules, because a
// worker has the policy of its own file: it allows connections to trackers and to peers' web
// servers on any host. Videos and music of the download are played from Blobs.
var downloadPolicy = strings.NewReplacer("connect-src 'self'", "connect-src 'self' http: https: ws: wss:; worker-src 'self'", "media-src 'self'", "media-src 'self' blob:").Replace(policy)

// moduleLabel returns the label of the modules: the start of a hash over all of them.
func moduleLabel(assets map[string]asset) string {
	h := sha256.New()
	for _, name := range moduleNames(assets) {
		h.Write([]byte(name))
		h.Write(assets[name].data)
	}
	return hex.EncodeToString(h.Sum(nil)[:6])
}

// moduleNames returns the sorted names of the modules.
func moduleNames(assets map[string]asset) []string {
	names := slices.Sorted(maps.Keys(assets))
	return slices.DeleteFunc(names, func(name string) bool { return !strings.HasPrefix(name, moduleDir) })
}

// modulePath returns the path of a module. An export contains all modules if a page has a link to
// one.
func (s *Site) modulePath(file string) string {
	at := "/static/" + moduleDir + s.modules + "/"
	if s.visits != nil {
		for _, name := range moduleNames(s.assets) {
			s.path(at + strings.TrimPrefix(name, moduleDir))
		}
	}
	return s.path(at + file)
}

// module answers /static/download/LABEL/FILE. Pages of other sites may use the modules.
func (s *Site) module(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	crossOrigin(h)
	h.Set("Content-Security-Policy", downloadPolicy)
	if _, ok := s.assets[moduleDir+r.PathValue("file")]; ok && r.PathValue("label") == s.modules {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	s.serveAsset(w, r, moduleDir+r.PathValue("file"))
}
