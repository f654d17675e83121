package publish

import "spate/metainfo"

// StoredName returns the name under which `spate get` stores the data of r. It differs from
// Name if that has characters which are not safe. Everything that a program of the visitor
// reads has this name: sums, Metalinks, JSON, headers and command lines.
func (r *Release) StoredName() string { return metainfo.SafeName(r.Name) }

// StoredPaths returns the paths below StoredName under which `spate get` stores the files of
// r, by their index in Files. The path of a single file is "".
func (r *Release) StoredPaths() []string {
	if r.Single {
		return make([]string, len(r.Files))
	}
	paths := make([]string, len(r.Files))
	for i := range r.Files {
		paths[i] = r.Files[i].Path
	}
	return metainfo.SafePaths(paths)
}
