package maker

import (
	"path"
	"path/filepath"
	"slices"
)

// wanted is a list of paths that a scan is limited to; empty means everything.
type wanted struct {
	paths map[string]bool // path -> found
	above map[string]bool // directories above a path
}

func newWanted(list []string) *wanted {
	if len(list) == 0 {
		return nil
	}
	w := &wanted{paths: map[string]bool{}, above: map[string]bool{}}
	for _, p := range list {
		p = path.Clean(filepath.ToSlash(p))
		w.paths[p] = false
		for d, _ := splitRel(p); d != ""; d, _ = splitRel(d) {
			w.above[d] = true
		}
	}
	return w
}

// match reports whether rel is listed, lies below a listed directory, or is a
// directory above something listed.
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
	return dir && w.above[rel]
}

// missing returns an error that names the listed paths which were not found.
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
