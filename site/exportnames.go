package site

import (
	"crypto/sha256"
	"fmt"
	"path"
	"runtime"
	"strings"

	"golang.org/x/text/unicode/norm"

	"spate/internal/atomicfile"
	"spate/internal/weburl"
	"spate/metainfo"
	"spate/signature"
)

// exportNames maps the paths of the site to the paths of the exported files. A path element keeps
// its name, which torrents and other sites may contain, except for a name that is too long, that
// Windows does not allow if the export is made there, or that the file system takes for the name
// of another element. Such a name is changed, and all links in the export lead to the new name.
type exportNames struct {
	windows bool // change the names that Windows does not allow
	folds   bool // the file system ignores case

	given map[string]string // path of the site with mapped parents -> mapped element
	taken map[string]bool   // mapped paths, folded if the file system folds them
}

// newExportNames returns the names of an export in the directory dir.
func newExportNames(dir string) *exportNames {
	return &exportNames{windows: runtime.GOOS == "windows", folds: atomicfile.FoldsCase(dir), given: map[string]string{}, taken: map[string]bool{}}
}

// encoded returns the encoded path of the exported file for an encoded path of the site, which
// may have a query.
func (n *exportNames) encoded(link string) string {
	at, query, ok := strings.Cut(link, "?")
	segments, err := weburl.Segments(at)
	if err != nil {
		return link
	}
	file := "/" + strings.Join(segments, "/") // a web server for files separates at an encoded slash too
	switch to := n.path(file); {
	case to == file:
		return link
	case ok:
		return weburl.Encode(strings.Split(to[1:], "/")) + "?" + query
	default:
		return weburl.Encode(strings.Split(to[1:], "/"))
	}
}

// path returns the path of the exported file for a decoded path of the site.
func (n *exportNames) path(file string) string {
	dir := ""
	for s := range strings.SplitSeq(strings.TrimPrefix(file, "/"), "/") {
		dir += "/" + n.element(dir, s)
	}
	return dir
}

// element returns the name of the element s in the exported directory dir.
func (n *exportNames) element(dir, s string) string {
	if s == "" {
		return ""
	}
	if name, ok := n.given[dir+"/"+s]; ok {
		return name
	}
	stem, ext := cutExtension(s)
	name := stem + ext
	if n.windows {
		name = metainfo.NamesWindows.SafeName(name)
		stem, ext = cutExtension(name)
	}
	name = atomicfile.Name(stem, ext)
	if name != s && name == stem+ext || n.taken[n.key(dir, name)] {
		// Another element may be called name.
		sum := sha256.Sum256([]byte(s))
		name = atomicfile.Name(fmt.Sprintf("%s-%x", stem, sum[:4]), ext)
	}
	n.given[dir+"/"+s] = name
	n.taken[n.key(dir, name)] = true
	return name
}

// key returns the path of name in dir as the file system compares it.
func (n *exportNames) key(dir, name string) string {
	key := path.Join(dir, name)
	if n.folds {
		key = norm.NFC.String(strings.ToLower(key))
	}
	return key
}

// cutExtension splits the extension off the name of a file that the site makes, because web servers
// choose the type of a file by its extension.
func cutExtension(name string) (stem, ext string) {
	for _, ext := range []string{".torrent" + signature.Extension, ".torrent", metainfo.V2HashesExtension + signature.Extension, metainfo.V2HashesExtension, ".meta4"} {
		if stem, ok := strings.CutSuffix(name, ext); ok {
			return stem, ext
		}
	}
	return name, ""
}
