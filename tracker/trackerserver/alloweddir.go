package trackerserver

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"spate"
	"spate/internal/folder"
	"spate/metainfo"
	"spate/tracker"
)

const (
	// maxDirDepth limits the levels of subdirectories of Options.AllowedDir.
	maxDirDepth = 16
	// maxTorrentFile limits the size of a .torrent file in bytes.
	maxTorrentFile = metainfo.MaxSize
)

// dirFile is a file in Options.AllowedDir. It has no hashes if it is not a valid .torrent
// file.
type dirFile struct {
	fileState
	hashes []spate.InfoHash
}

// readDir allows the torrents in Options.AllowedDir. The function that it returns disallows
// those that were removed from it.
func (s *Server) readDir() (remove func(), err error) {
	if s.opts.AllowedDir == "" {
		return nil, nil
	}
	l := &s.lists
	found := make(map[string]dirFile, len(l.dir))
	err = s.walk(nil, func(in *folder.Folder, rel string, info fs.FileInfo) {
		path := in.Path(rel)
		if info.Mode()&fs.ModeSymlink != 0 {
			if target, err := in.Stat(rel); err == nil {
				info = target
			}
		}
		state := fileState{info.Size(), info.ModTime()}
		if old, ok := l.dir[path]; ok && old.fileState == state {
			found[path] = old
			return
		}
		f, note, err := readTorrent(in, rel, state)
		if err != nil {
			s.log.Warn("the file in the allowed directory is not a torrent", "path", path, "error", err)
		}
		for i, ih := range f.hashes {
			n := note
			if len(f.hashes) == 2 {
				n.Pair, n.Release = f.hashes[1-i], f.hashes[0]
			}
			if err := s.allow(ih, fromDir, &n); err != nil {
				s.log.Error("the torrent in the allowed directory cannot be served", "path", path, "error", err)
			}
		}
		found[path] = f
	})
	if err != nil {
		return nil, fmt.Errorf("allowed directory: %w", err)
	}
	hashes := make(map[spate.InfoHash]bool, len(found))
	for _, f := range found {
		for _, ih := range f.hashes {
			hashes[ih] = true
		}
	}
	if len(hashes) != len(l.hashes) || l.dir == nil {
		s.log.Info("the allowed directory was read", "path", s.opts.AllowedDir, "files", len(found), "info_hashes", len(hashes))
	}
	before := l.hashes
	l.dir, l.hashes = found, hashes
	return func() {
		for ih := range before {
			if !hashes[ih] {
				s.disallow(ih, fromDir)
			}
		}
	}, nil
}

// openDir opens Options.AllowedDir.
func (s *Server) openDir() (*folder.Folder, error) {
	return folder.Open(s.opts.AllowedDir, folder.Options{FollowLinks: s.opts.FollowLinks})
}

// walk walks Options.AllowedDir, which it opens as in. It calls dir with the path of each
// directory, including AllowedDir, and file for each entry that has the name of a .torrent
// file. Both may be nil. It skips directories whose names start with a dot, and symbolic
// links to directories. It returns an error only if AllowedDir cannot be read.
func (s *Server) walk(dir func(path string), file func(in *folder.Folder, rel string, info fs.FileInfo)) error {
	in, err := s.openDir()
	if err != nil {
		return err
	}
	defer in.Close()
	return in.Walk(".", func(_ *folder.Folder, rel string, info fs.FileInfo, err error) error {
		switch {
		case err != nil && rel == "":
			return err
		case err != nil:
		case info.IsDir():
			if rel != "" && strings.HasPrefix(info.Name(), ".") || strings.Count(rel, string(filepath.Separator)) >= maxDirDepth {
				return fs.SkipDir
			}
			if dir != nil {
				dir(in.Path(rel))
			}
		case file != nil && isTorrent(rel):
			file(in, rel, info)
		}
		return nil
	})
}

// isTorrent reports whether path has the name of a .torrent file.
func isTorrent(path string) bool {
	name := filepath.Base(path)
	return strings.HasSuffix(name, ".torrent") && !strings.HasPrefix(name, ".")
}

// readTorrent reads a file in Options.AllowedDir.
func readTorrent(in *folder.Folder, rel string, state fileState) (dirFile, tracker.Note, error) {
	f := dirFile{fileState: state}
	b, err := in.ReadChecked(rel, maxTorrentFile, folder.Head{Size: metainfo.HeadSize, Check: metainfo.CheckHead})
	if err != nil {
		return f, tracker.Note{}, err
	}
	m, err := metainfo.Parse(b)
	if err != nil {
		return f, tracker.Note{}, err
	}
	f.hashes = hashesOf(m)
	return f, tracker.Note{Name: m.Info.Name, Size: m.Info.DataLength(), Torrent: in.Path(rel)}, nil
}

// hashesOf returns the info-hashes with which peers announce a torrent: one, or two for a
// hybrid torrent (BEP 52).
func hashesOf(m *metainfo.MetaInfo) (hashes []spate.InfoHash) {
	if h, ok := m.HashV1(); ok {
		hashes = append(hashes, h)
	}
	if h, ok := m.HashV2(); ok {
		hashes = append(hashes, h.Truncate())
	}
	return hashes
}

// AllowedFiles returns the sorted paths of the .torrent files in Options.AllowedDir.
func (s *Server) AllowedFiles() []string {
	s.lists.mu.Lock()
	defer s.lists.mu.Unlock()
	var out []string
	for path, f := range s.lists.dir {
		if len(f.hashes) > 0 {
			out = append(out, path)
		}
	}
	slices.Sort(out)
	return out
}

// TorrentFile returns the base name and the content of the .torrent file of an allowed
// torrent. The error is fs.ErrNotExist if there is none. A file in Options.AllowedDir must
// still have the info-hash ih.
func (s *Server) TorrentFile(ih spate.InfoHash) (name string, data []byte, err error) {
	note, ok := s.Note(ih)
	if !ok || note.Torrent == "" {
		return "", nil, fs.ErrNotExist
	}
	name = filepath.Base(note.Torrent)
	rel, err := filepath.Rel(s.opts.AllowedDir, note.Torrent)
	if s.opts.AllowedDir == "" || err != nil || !filepath.IsLocal(rel) { // the caller of Allow named the file
		data, err = folder.ReadNamed(note.Torrent, maxTorrentFile)
		return name, data, err
	}
	in, err := s.openDir()
	if err != nil {
		return "", nil, err
	}
	defer in.Close()
	data, err = in.ReadFile(rel, maxTorrentFile)
	if err != nil {
		return "", nil, err
	}
	m, err := metainfo.Parse(data)
	if err != nil {
		return "", nil, err
	}
	if !slices.Contains(hashesOf(m), ih) {
		return "", nil, fmt.Errorf("%s does not have the info-hash %v any more: %w", note.Torrent, ih, fs.ErrNotExist)
	}
	return name, data, nil
}
