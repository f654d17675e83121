package trackerserver

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"spate"
	"spate/internal/folder"
	"spate/metainfo"
)

// maxDirDepth bounds the directories below the allowed one.
const maxDirDepth = 16

// lists is what was read last from the allowed directory and the list files.
type lists struct {
	mu     sync.Mutex
	dir    map[string]dirFile                   // by path; guarded by mu
	hashes map[spate.InfoHash]bool              // of the files of dir; guarded by mu
	files  map[string]fileState                 // of list files; guarded by mu
	listed map[source]map[spate.InfoHash]string // names by info-hash; guarded by mu
}

// fileState tells whether a file changed.
type fileState struct {
	size int64
	mod  time.Time
}

// dirFile is a file of the allowed directory. One that is no torrent has no
// hashes.
type dirFile struct {
	fileState
	hashes []spate.InfoHash
}

// Reload reads everything again that says whom and what the tracker serves: the
// allowed directory, the lists, the notes, the networks, the tokens. Each of them
// changes as a whole, or, where it cannot be read, not at all; a file of the
// directory that is no torrent is logged. What one of them allows from now on is
// allowed before what another does not allow any more is refused, so that a
// torrent that moves between them is served all the time.
func (s *Server) Reload() error {
	s.lists.mu.Lock()
	defer s.lists.mu.Unlock()
	var errs []error
	try := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	var gone []func()
	later := func(f func(), err error) {
		try(err)
		if f != nil {
			gone = append(gone, f)
		}
	}
	later(s.readDir())
	later(s.readList(s.opts.AllowList, fromList))
	later(s.readList(s.opts.DenyList, fromDenied))
	try(s.readNotes())
	try(s.readNets())
	if s.opts.Tokens != nil {
		try(s.opts.Tokens.Reload())
	}
	for _, f := range gone {
		f()
	}
	return errors.Join(errs...)
}

// readDir allows what the allowed directory has. The function that it returns
// takes back what was there before and is not any more.
func (s *Server) readDir() (gone func(), err error) {
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
			s.log.Warn("no torrent can be read: not allowed", "path", path, "error", err)
		}
		for i, ih := range f.hashes {
			n := note
			if len(f.hashes) == 2 {
				n.Pair = f.hashes[1-i]
			}
			if err := s.allow(ih, fromDir, &n); err != nil {
				s.log.Error("allowed torrent has no room", "path", path, "error", err)
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
		s.log.Info("allowed directory was read", "path", s.opts.AllowedDir, "files", len(found), "info_hashes", len(hashes))
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

// openDir opens the allowed directory.
func (s *Server) openDir() (*folder.Folder, error) {
	return folder.Open(s.opts.AllowedDir, folder.Options{FollowLinks: s.opts.FollowLinks})
}

// walk calls file for everything in the allowed directory, which is open as in, that
// is called like a .torrent file, and sub for the path of that directory and of every
// one below. Either may be nil. Directories whose names begin with a dot are skipped,
// and so are symbolic links to directories. What vanishes meanwhile is no error; an
// allowed directory that cannot be read is.
func (s *Server) walk(sub func(dir string), file func(in *folder.Folder, rel string, info fs.FileInfo)) error {
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
			if sub != nil {
				sub(in.Path(rel))
			}
		case file != nil && isTorrent(rel):
			file(in, rel, info)
		}
		return nil
	})
}

func isTorrent(path string) bool {
	name := filepath.Base(path)
	return strings.HasSuffix(name, ".torrent") && !strings.HasPrefix(name, ".")
}

// readTorrent reads a file of the allowed directory.
func readTorrent(in *folder.Folder, rel string, state fileState) (dirFile, Note, error) {
	f := dirFile{fileState: state}
	b, err := in.ReadFile(rel, maxTorrentFile)
	if err != nil {
		return f, Note{}, err
	}
	m, err := metainfo.Parse(b)
	if err != nil {
		return f, Note{}, err
	}
	f.hashes = hashesOf(m)
	return f, Note{Name: m.Info.Name, Size: m.Info.DataLength(), Torrent: in.Path(rel)}, nil
}

// hashesOf returns the info-hashes under which a torrent is announced.
func hashesOf(m *metainfo.MetaInfo) (hashes []spate.InfoHash) {
	if h, ok := m.HashV1(); ok {
		hashes = append(hashes, h)
	}
	if h, ok := m.HashV2(); ok {
		hashes = append(hashes, h.Truncate())
	}
	return hashes
}

// maxListFile bounds each of the files that say whom the tracker serves, in bytes.
const maxListFile = 64 << 20

// readList puts in force what a list of info-hashes says. The function that it
// returns takes back what it said before and does not say any more.
func (s *Server) readList(path string, from source) (gone func(), err error) {
	if path == "" {
		return nil, nil
	}
	l := &s.lists
	state, err := l.changed(path)
	if err != nil {
		return nil, fmt.Errorf("list of info-hashes: %w", err)
	}
	if state == (fileState{}) {
		return nil, nil
	}
	b, err := folder.ReadNamed(path, maxListFile)
	if err != nil {
		return nil, fmt.Errorf("list of info-hashes: %w", err)
	}
	now, err := parseList(b)
	if err != nil {
		return nil, fmt.Errorf("list of info-hashes %s: %w", path, err)
	}
	if l.files == nil {
		l.files, l.listed = map[string]fileState{}, map[source]map[spate.InfoHash]string{}
	}
	l.files[path] = state
	before, known := l.listed[from]
	if known && maps.Equal(before, now) {
		return nil, nil
	}
	failed := 0
	for ih, name := range now {
		if old, ok := before[ih]; ok && old == name {
			continue
		}
		if from == fromDenied {
			s.allowed.add(ih, from, nil)
			continue
		}
		var note *Note
		if name != "" {
			note = &Note{Name: name}
		}
		if s.allow(ih, from, note) != nil {
			failed++
		}
	}
	if failed > 0 {
		s.log.Error("listed torrents have no room: raise the limit of swarms", "path", path, "info_hashes", failed)
	}
	l.listed[from] = now
	s.log.Info("list of info-hashes was read", "path", path, "info_hashes", len(now))
	return func() {
		for ih := range before {
			if _, ok := now[ih]; !ok {
				s.disallow(ih, from)
			}
		}
	}, nil
}

// young is the age up to which a file may change again without another time of
// change.
const young = 2 * time.Second

// changed returns the state of a list file if it is not the one that was read,
// else the zero one.
func (l *lists) changed(path string) (fileState, error) {
	info, err := os.Stat(path)
	if err != nil {
		return fileState{}, err
	}
	state := fileState{info.Size(), info.ModTime()}
	if old, ok := l.files[path]; ok && old == state && time.Since(state.mod) > young {
		return fileState{}, nil
	}
	return state, nil
}

// parseList reads lines of an info-hash and a name.
func parseList(b []byte) (map[spate.InfoHash]string, error) {
	out := map[spate.InfoHash]string{}
	err := eachLine(b, func(line string) error {
		hash, name, _ := strings.Cut(line, " ")
		ih, err := parseHash(hash)
		if err != nil {
			return err
		}
		out[ih] = strings.TrimSpace(name)
		return nil
	})
	return out, err
}

// AllowedFiles returns the paths of the torrents of the allowed directory,
// sorted.
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
