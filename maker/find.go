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

// MissingError is files or directories that were asked for and are in none of
// the places; it is an fs.ErrNotExist.
type MissingError struct{ Names, Places []string }

func (e *MissingError) Error() string {
	const most = 8
	names := strings.Join(e.Names[:min(most, len(e.Names))], ", ")
	if n := len(e.Names) - most; n > 0 {
		names += fmt.Sprintf(" and %d more", n)
	}
	return names + ": not in " + strings.Join(e.Places, " or ")
}

func (e *MissingError) Unwrap() error { return fs.ErrNotExist }

// FindData looks for the data of m and returns the path for [Verify]. Each place
// is the file or directory itself, or a directory that holds it under the
// torrent's name; the first place counts in which most of the files have their
// sizes, even if that is none as long as the torrent's name is there. The error
// is a *MissingError when it is nowhere.
func FindData(m *metainfo.MetaInfo, places ...string) (string, error) {
	best, most := "", -1
	for _, place := range places {
		candidates := []string{filepath.Join(place, m.Info.Name), place}
		if n := m.Info.LocalRawName(); n != "" {
			candidates = append(candidates, filepath.Join(place, n))
		}
		for k, c := range candidates {
			n := fits(m, c)
			// A directory of any name is the torrent's only if files of it are there.
			named := k != 1 || filepath.Base(place) == m.Info.Name || m.Info.Single()
			if n > most && (n > 0 || named) {
				best, most = c, n
			}
		}
	}
	if most < 0 {
		return "", &MissingError{[]string{m.Info.Name}, places}
	}
	return best, nil
}

// fits counts the files of m that lie at path with their sizes, of the first
// thousand; -1 if path is not of the right kind.
func fits(m *metainfo.MetaInfo, path string) int {
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
		if fi, err := root.Stat(filepath.FromSlash(f.DisplayPath())); err == nil && fi.Size() == f.Length {
			n++
		}
	}
	return n
}
