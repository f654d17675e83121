package classic

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"spate/internal/folder"
	"spate/maker"
	"spate/metainfo"
)

// saveAs returns where --saveas puts the data. As in the old tools, an existing directory
// without a file of the torrent is the parent of the data, not the data itself.
func (r *run) saveAs(mi *metainfo.MetaInfo) (dir, name string, err error) {
	path := r.v.Text("saveas")
	if path == "" {
		return ".", maker.NameIn(mi, "."), nil
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return "", "", err
	case info.IsDir() && (mi.Info.Single() || !holdsAny(mi, path)):
		return path, maker.NameIn(mi, path), nil
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", "", err
	}
	dir, name = filepath.Dir(path), filepath.Base(abs)
	return dir, name, os.MkdirAll(dir, 0o777)
}

// holdsAny reports whether the directory has a file of the torrent.
func holdsAny(mi *metainfo.MetaInfo, dir string) bool {
	root, err := folder.OpenRoot(dir)
	if err != nil {
		return false
	}
	defer root.Close()
	for i := range mi.Info.Files {
		if f := &mi.Info.Files[i]; !f.Pad() && len(f.Path) > 0 {
			if _, err := root.Lstat(f.Path[0]); err == nil {
				return true
			}
		}
	}
	return false
}
