package maker

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"spate/internal/folder"
	"spate/metainfo"
)

// MissingError is returned if files or directories were not found in any of the
// searched directories. It wraps fs.ErrNotExist.
type MissingError struct{ Names, Paths []string }

func (e *MissingError) Error() string {
	const most = 8
	names := strings.Join(e.Names[:min(most, len(e.Names))], ", ")
	if n := len(e.Names) - most; n > 0 {
		names += fmt.Sprintf(" and %d more", n)
	}
	return names + ": not in " + strings.Join(e.Paths, " or ")
}

func (e *MissingError) Unwrap() error { return fs.ErrNotExist }

// NameIn returns the name that the data of m has in the directory dir: the first of
// [metainfo.Info.Name] and the other possible names at which there is a file or a directory,
// whichever m describes, or Info.Name if there is none.
func NameIn(m *metainfo.MetaInfo, dir string) string {
	for _, name := range append([]string{m.Info.Name}, m.OtherNames()...) {
		if fi, err := os.Lstat(filepath.Join(dir, name)); err == nil && fi.IsDir() != m.Info.Single() {
			return name
		}
	}
	return m.Info.Name
}

// FindData searches for the data of m and returns its path for [Verify]. Each path in paths
// is the file or top directory of the torrent, or a directory that contains it. FindData
// chooses the candidate with the most files of the right size. It accepts a candidate
// without any such file only if the candidate has the name of the torrent or the torrent is
// a single file. If there is no candidate, the error is a *[MissingError].
func FindData(m *metainfo.MetaInfo, paths ...string) (string, error) {
	best, most := "", -1
	names, other := m.OtherNames(), m.OtherPaths(false)
	for _, path := range paths {
		candidates := []string{filepath.Join(path, m.Info.Name), path}
		for _, n := range names {
			candidates = append(candidates, filepath.Join(path, n))
		}
		for k, c := range candidates {
			n := countFiles(m, c, other)
			// The directory itself may have any name if it contains files of the torrent.
			named := k != 1 || filepath.Base(path) == m.Info.Name || m.Info.Single()
			if n > most && (n > 0 || named) {
				best, most = c, n
			}
		}
	}
	if most < 0 {
		return "", &MissingError{[]string{m.Info.Name}, paths}
	}
	return best, nil
}

// countFiles returns how many of the first thousand files of m exist at path with the
// right size, also at the paths in other. It returns -1 if nothing exists at path, or if
// only one of path and m is a directory.
func countFiles(m *metainfo.MetaInfo, path string, other map[int][]string) int {
	fi, err := os.Stat(path)
	switch {
	case err != nil, fi.IsDir() == m.Info.Single():
		return -1
	case m.Info.Single():
		if fi.Size() == m.Info.Files[0].Length {
			return 1
		}
		return 0
	}
	root, err := folder.OpenRoot(path)
	if err != nil {
		return -1
	}
	defer root.Close()
	n := 0
	for k := range m.Info.Files[:min(len(m.Info.Files), 1000)] {
		f := &m.Info.Files[k]
		if f.Pad() || f.IsSymlink() {
			continue
		}
		for _, p := range append([]string{f.DisplayPath()}, other[k]...) {
			if fi, err := root.Stat(filepath.FromSlash(p)); err == nil && fi.Size() == f.Length {
				n++
				break
			}
		}
	}
	return n
}
