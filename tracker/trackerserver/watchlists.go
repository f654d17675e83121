package trackerserver

import (
	"context"
	"path/filepath"
	"slices"
	"time"

	"spate/internal/watch"
)

const (
	// settle is the time without changes after which Reload is called, so that files
	// that change together are read together.
	settle = 100 * time.Millisecond
	// rescan is the maximum time between two calls of Reload, because some file systems
	// report no changes.
	rescan = time.Minute
)

// watch calls Reload when a file or the directory of the options changes, until ctx is
// done.
func (s *Server) watch(ctx context.Context) {
	files := s.files()
	if s.opts.AllowedDir == "" && len(files) == 0 {
		<-ctx.Done()
		return
	}
	matters := func(c watch.Change) bool { return s.matters(files, c) }
	watch.Run(ctx, watch.RunOptions{Settle: settle, Every: rescan, Matters: matters, Log: s.log}, func(d *watch.Dirs) {
		for _, path := range files {
			d.Add(filepath.Dir(path))
		}
		if s.opts.AllowedDir != "" && s.walk(d.Add, nil) != nil {
			d.Add(filepath.Dir(s.opts.AllowedDir)) // AllowedDir may be created again
		}
		if err := s.Reload(); err != nil {
			s.log.Error("reading the lists of the tracker failed: their old content stays", "error", err)
		}
	})
}

// files returns the clean paths of the files in the options.
func (s *Server) files() (paths []string) {
	all := []string{s.opts.AllowList, s.opts.DenyList, s.opts.Notes, s.opts.Nets}
	if s.opts.Tokens != nil {
		all = append(all, s.opts.Tokens.path)
	}
	for _, path := range all {
		if path != "" {
			paths = append(paths, filepath.Clean(path))
		}
	}
	return paths
}

// matters reports whether a change can affect one of files, a .torrent file in AllowedDir,
// or a subdirectory. A path without an extension may be a directory.
func (s *Server) matters(files []string, c watch.Change) bool {
	switch {
	case c.Attributes:
		return false
	case slices.Contains(files, filepath.Clean(c.Path)):
		return true
	case s.opts.AllowedDir == "":
		return false
	}
	return isTorrent(c.Path) || filepath.Ext(c.Path) == "" && !c.Content
}
