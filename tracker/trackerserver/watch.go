package trackerserver

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"

	"spate"
	"spate/metainfo"
)

// Times of watching.
const (
	settle = 100 * time.Millisecond // after a change, before reading: more will come
	rescan = time.Minute            // notifications get lost, and some file systems have none
)

// Bounds of the allowed directory and of list files.
const (
	maxDirDepth = 16
	maxListLine = 4096
)

// lists is what was read last from the allowed directory and the list files.
type lists struct {
	mu     sync.Mutex
	dir    map[string]dirFile                   // by path; guarded by mu
	hashes map[spate.InfoHash]int               // how many files of dir have it; guarded by mu
	files  map[string]fileState                 // of list files; guarded by mu
	listed map[source]map[spate.InfoHash]string // guarded by mu
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

// Reload reads the allowed directory and the lists again where they changed.
// What stays is never refused meanwhile. A list that cannot be read stays as it
// was, and so does the directory; a file in it that is no torrent is logged.
func (s *Server) Reload() error {
	s.lists.mu.Lock()
	defer s.lists.mu.Unlock()
	var errs []error
	if s.opts.AllowedDir != "" {
		errs = append(errs, s.scanDir())
	}
	errs = append(errs, s.readList(s.opts.AllowList, fromList), s.readList(s.opts.DenyList, fromDenied))
	errs = append(errs, s.readNotes())
	if s.opts.Tokens != nil {
		errs = append(errs, s.opts.Tokens.Reload())
	}
	return errors.Join(errs...)
}

// scanDir brings what the directory allows up to date. New torrents are allowed
// before those that are gone are refused, so that a torrent that was moved is
// served all the time.
func (s *Server) scanDir() error {
	l := &s.lists
	found := make(map[string]dirFile, len(l.dir))
	err := walk(s.opts.AllowedDir, 0, nil, func(path string, info fs.FileInfo) {
		state := fileState{info.Size(), info.ModTime()}
		if old, ok := l.dir[path]; ok && old.fileState == state {
			found[path] = old
			return
		}
		f, note, err := readTorrent(path, state)
		if err != nil {
			s.log.Warn("not a torrent: not allowed", "path", path, "error", err)
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
		return fmt.Errorf("allowed directory: %w", err)
	}
	hashes := make(map[spate.InfoHash]int, len(found))
	for _, f := range found {
		for _, ih := range f.hashes {
			hashes[ih]++
		}
	}
	for ih := range l.hashes {
		if hashes[ih] == 0 {
			s.disallow(ih, fromDir)
		}
	}
	if added := len(hashes) - len(l.hashes); added != 0 || l.dir == nil {
		s.log.Info("allowed directory was read", "path", s.opts.AllowedDir, "files", len(found), "info_hashes", len(hashes))
	}
	l.dir, l.hashes = found, hashes
	return nil
}

// walk calls file for every .torrent file below dir, and sub, unless it is nil,
// for dir and every directory below. Directories whose names begin with a dot
// are skipped, and so are symbolic links to directories. What vanishes meanwhile
// is no error; a dir that cannot be read at the top is.
func walk(dir string, depth int, sub func(dir string), file func(path string, info fs.FileInfo)) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		if depth > 0 {
			return nil
		}
		return err
	}
	if sub != nil {
		sub(dir)
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		switch {
		case e.IsDir():
			if depth < maxDirDepth && !strings.HasPrefix(e.Name(), ".") {
				walk(path, depth+1, sub, file)
			}
		case file != nil && isTorrent(path):
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
				file(path, info)
			}
		}
	}
	return nil
}

func isTorrent(path string) bool {
	name := filepath.Base(path)
	return strings.HasSuffix(name, ".torrent") && !strings.HasPrefix(name, ".")
}

func readTorrent(path string, state fileState) (dirFile, Note, error) {
	f := dirFile{fileState: state}
	m, err := metainfo.ReadFile(path)
	if err != nil {
		return f, Note{}, err
	}
	if h, ok := m.HashV1(); ok {
		f.hashes = append(f.hashes, h)
	}
	if h, ok := m.HashV2(); ok {
		f.hashes = append(f.hashes, h.Truncate())
	}
	return f, Note{Name: m.Info.Name, Size: m.Info.DataLength(), Torrent: path}, nil
}

// readList brings what a list file says up to date, if the file changed.
func (s *Server) readList(path string, from source) error {
	if path == "" {
		return nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("list of info-hashes: %w", err)
	}
	l := &s.lists
	state := fileState{info.Size(), info.ModTime()}
	if old, ok := l.files[path]; ok && old == state {
		return nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("list of info-hashes: %w", err)
	}
	now, err := parseList(b)
	if err != nil {
		return fmt.Errorf("list of info-hashes %s: %w", path, err)
	}
	if l.files == nil {
		l.files, l.listed = map[string]fileState{}, map[source]map[spate.InfoHash]string{}
	}
	before := l.listed[from]
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
		if err := s.allow(ih, from, note); err != nil {
			return err
		}
	}
	for ih := range before {
		if _, ok := now[ih]; !ok {
			s.disallow(ih, from)
		}
	}
	l.files[path], l.listed[from] = state, now
	s.log.Info("list of info-hashes was read", "path", path, "info_hashes", len(now))
	return nil
}

// parseList reads lines of an info-hash and a name.
func parseList(b []byte) (map[spate.InfoHash]string, error) {
	out := map[spate.InfoHash]string{}
	lines := bufio.NewScanner(bytes.NewReader(b))
	lines.Buffer(nil, maxListLine)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		hash, name, _ := strings.Cut(line, " ")
		ih, err := parseHash(hash)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		out[ih] = strings.TrimSpace(name)
	}
	return out, lines.Err()
}

// watch reloads when the directory or a list changes, and once a minute anyway.
func (s *Server) watch(ctx context.Context) error {
	if s.opts.AllowedDir == "" && !slices.ContainsFunc(s.watched(), func(path string) bool { return path != "" }) {
		<-ctx.Done()
		return nil
	}
	w, err := fsnotify.NewWatcher()
	if err != nil {
		s.log.Warn("changes of allowed torrents are seen once a minute only", "error", err)
	}
	var events <-chan fsnotify.Event
	var lost <-chan error
	if w != nil {
		defer w.Close()
		events, lost = w.Events, w.Errors
	}
	failed := map[string]bool{}
	s.watchDirs(w, failed)
	s.reload() // what changed since New
	tick := time.NewTicker(rescan)
	defer tick.Stop()
	var soon <-chan time.Time // nil: no change is waiting
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-events:
			if soon == nil && s.matters(e) {
				soon = time.After(settle)
			}
			continue
		case err := <-lost:
			s.log.Warn("watching allowed torrents", "error", err)
		case <-soon:
		case <-tick.C:
		}
		soon = nil
		s.watchDirs(w, failed)
		s.reload()
	}
}

// matters reports whether a change can be one of a torrent, a list, or a
// directory, which is taken for one by its lack of a name that says otherwise.
func (s *Server) matters(e fsnotify.Event) bool {
	switch {
	case e.Op == fsnotify.Chmod:
		return false
	case slices.ContainsFunc(s.watched(), func(path string) bool { return samePath(e.Name, path) }):
		return true
	case isTorrent(e.Name):
		return s.opts.AllowedDir != ""
	}
	return s.opts.AllowedDir != "" && filepath.Ext(e.Name) == "" && !e.Has(fsnotify.Write)
}

// watched are the files that are read again when they change; "" is none.
func (s *Server) watched() []string {
	files := []string{s.opts.AllowList, s.opts.DenyList, s.opts.Notes}
	if s.opts.Tokens != nil {
		files = append(files, s.opts.Tokens.path)
	}
	return files
}

func samePath(a, b string) bool { return b != "" && filepath.Clean(a) == filepath.Clean(b) }

func (s *Server) reload() {
	if err := s.Reload(); err != nil {
		s.log.Error("what is allowed stays as it was", "error", err)
	}
}

// watchDirs watches the directories that matter now; to watch one twice does
// nothing. It keeps in failed which could not be watched, to say so once.
func (s *Server) watchDirs(w *fsnotify.Watcher, failed map[string]bool) {
	if w == nil {
		return
	}
	add := func(dir string) {
		err := w.Add(dir)
		if err != nil && !failed[dir] {
			s.log.Warn("changes in this directory are seen once a minute only", "path", dir, "error", err)
		}
		failed[dir] = err != nil
	}
	if s.opts.AllowedDir != "" {
		if err := walk(s.opts.AllowedDir, 0, add, nil); err != nil {
			add(filepath.Dir(s.opts.AllowedDir)) // until it comes back
		}
	}
	for _, path := range s.watched() {
		if path != "" {
			add(filepath.Dir(path)) // the file itself may be replaced
		}
	}
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
