package trackerserver

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"
	"sync"
	"time"

	"spate"
	"spate/internal/filetrust"
	"spate/internal/folder"
	"spate/tracker"
)

// lists holds the last content of Options.AllowedDir, AllowList and DenyList.
type lists struct {
	mu     sync.Mutex                           // guards the fields below
	dir    map[string]dirFile                   // files of AllowedDir by path
	hashes map[spate.InfoHash]bool              // info-hashes of the files in dir
	files  map[string]fileState                 // states of AllowList and DenyList by path
	listed map[source]map[spate.InfoHash]string // names by info-hash
	warned map[string]bool                      // warnings about files that others can change
}

// fileState shows whether a file has changed.
type fileState struct {
	size int64
	mod  time.Time
}

// Reload reads the files and the directory of the options again: AllowedDir, AllowList,
// DenyList, Notes, Nets and the file of Tokens. Each is applied as a whole; if it cannot be
// read, its old content stays, and Reload returns an error that joins all of these. A file
// in AllowedDir that is not a valid .torrent file is logged and ignored.
//
// New torrents are allowed before removed ones are disallowed, so that a torrent that
// moves from one source to another is never refused.
func (s *Server) Reload() error {
	s.lists.mu.Lock()
	defer s.lists.mu.Unlock()
	var errs []error
	var removals []func()
	add := func(remove func(), err error) {
		errs = append(errs, err)
		if remove != nil {
			removals = append(removals, remove)
		}
	}
	add(s.readDir())
	add(s.readList(s.opts.AllowList, fromList))
	add(s.readList(s.opts.DenyList, fromDenied))
	errs = append(errs, s.readNotes(), s.readNets())
	if s.opts.Tokens != nil {
		errs = append(errs, s.opts.Tokens.Reload())
	}
	for _, f := range removals {
		f()
	}
	return errors.Join(errs...) // ignores nil
}

// maxListFile limits the size of each file of Options in bytes.
const maxListFile = 64 << 20

// readFile reads a file of Options. It returns an error if every user can change the file, and logs
// other weaknesses once.
func (s *Server) readFile(path string) ([]byte, error) {
	err := filetrust.Check(path, filetrust.Power, func(format string, args ...any) {
		text := fmt.Sprintf(format, args...)
		if !s.lists.warned[text] {
			s.log.Warn(text)
		}
		if s.lists.warned == nil {
			s.lists.warned = map[string]bool{}
		}
		s.lists.warned[text] = true
	})
	if err != nil {
		return nil, err
	}
	return folder.ReadNamed(path, maxListFile)
}

// readList reads a list of info-hashes and adds the new ones to the source from. The
// function that it returns removes those that are no longer in the list.
func (s *Server) readList(path string, from source) (remove func(), err error) {
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
	b, err := s.readFile(path)
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
		var note *tracker.Note
		if name != "" {
			note = &tracker.Note{Name: name}
		}
		if s.allow(ih, from, note) != nil {
			failed++
		}
	}
	if failed > 0 {
		s.log.Error("torrents in the list cannot be served: raise the limit of swarms", "path", path, "info_hashes", failed)
	}
	l.listed[from] = now
	s.log.Info("the list of info-hashes was read", "path", path, "info_hashes", len(now))
	return func() {
		for ih := range before {
			if _, ok := now[ih]; !ok {
				s.disallow(ih, from)
			}
		}
	}, nil
}

// young is the age up to which a file is always read again, because it could change once
// more within the resolution of its modification time.
const young = 2 * time.Second

// changed returns the state of a list file, or the zero state if the file has not changed
// since it was read.
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

// parseList parses Options.AllowList or DenyList.
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
