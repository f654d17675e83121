package maker

import (
	"path"
	"path/filepath"
	"slices"
)

// wanted limits a scan to a list of paths. A nil *wanted matches all paths.
type wanted struct {
	paths   map[string]bool // whether each path was found
	parents map[string]bool // directories that contain a listed path
}

func newWanted(list []string) *wanted {
	if len(list) == 0 {
		return nil
	}
	w := &wanted{paths: map[string]bool{}, parents: map[string]bool{}}
	for _, p := range list {
		p = path.Clean(filepath.ToSlash(p))
		w.paths[p] = false
		for d, _ := splitRel(p); d != ""; d, _ = splitRel(d) {
			w.parents[d] = true
		}
	}
	return w
}

// match reports whether rel is listed, is inside a listed directory, or is a directory
// that contains a listed path.
func (w *wanted) match(rel string, dir bool) bool {
	if w == nil {
		return true
	}
	if _, all := w.paths["."]; all {
		w.paths["."] = true
		return true
	}
	for p := rel; p != ""; p, _ = splitRel(p) {
		if _, ok := w.paths[p]; ok {
			w.paths[p] = true
			return true
		}
	}
	return dir && w.parents[rel]
}

// missing returns an error with the listed paths that were not found, if there are any.
func (w *wanted) missing(root string) error {
	if w == nil {
		return nil
	}
	var list []string
	for p, found := range w.paths {
		if !found {
			list = append(list, p)
		}
	}
	if len(list) == 0 {
		return nil
	}
	slices.Sort(list)
	return &MissingError{list, []string{root}}
}
