package trackerserver

import (
	"context"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Times of watching.
const (
	settle = 100 * time.Millisecond // after a change, before reading: more will come
	rescan = time.Minute            // notifications get lost, and some file systems have none
)

// watch reloads when the directory or a file changes, and once a minute anyway.
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
	files := []string{s.opts.AllowList, s.opts.DenyList, s.opts.Notes, s.opts.Nets}
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
		if err := s.walk(add, nil); err != nil {
			add(filepath.Dir(s.opts.AllowedDir)) // until it comes back
		}
	}
	for _, path := range s.watched() {
		if path != "" {
			add(filepath.Dir(path)) // the file itself may be replaced
		}
	}
}
