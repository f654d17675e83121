package publish

import (
	"io/fs"
	"path/filepath"

	"spate/internal/folder"
)

// dirStat examines files of a folder one after the other. It keeps the directory of the last file
// open, because the next file is probably in the same directory.
type dirStat struct {
	in  *folder.Folder
	dir string         // path of sub; "" for the folder itself
	sub *folder.Folder // nil if dir cannot be opened
}

// stat returns what the Stat method of the folder returns.
func (s *dirStat) stat(name string) (fs.FileInfo, error) {
	dir, base := filepath.Split(name)
	if dir != s.dir {
		s.close()
		s.dir, s.sub = dir, nil
		if dir != "" {
			s.sub, _ = s.in.Sub(dir) // if this fails, Stat returns the error
		}
	}
	if s.sub != nil {
		if info, err := s.sub.Root().Lstat(base); err == nil && info.Mode()&fs.ModeSymlink == 0 {
			return info, nil
		}
	}
	return s.in.Stat(name)
}

// close closes the directory that stat left open.
func (s *dirStat) close() {
	if s.sub != nil {
		s.sub.Close()
	}
}
