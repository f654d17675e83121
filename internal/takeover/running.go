package takeover

import (
	"bytes"
	"path/filepath"
	"strings"
)

// elsewhere reports whether a command line, whose arguments end in zeros, names another directory.
func (s *State) elsewhere(line []byte) bool {
	args := strings.Split(string(bytes.TrimRight(line, "\x00")), "\x00")
	for i, a := range args {
		flag, value, ok := strings.Cut(a, "=")
		switch flag {
		case "-g", "--config-dir", "--profile":
			if !ok && i+1 < len(args) {
				value = args[i+1]
			}
			return filepath.IsAbs(value) && !within(s.Dir, value)
		}
	}
	return !s.usual
}

// within reports whether path is dir or below it, after links are resolved.
func within(path, dir string) bool {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	rel, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(rel)
}
