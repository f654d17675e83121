package site

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"spate/internal/folder"
)

// exportMark is a directory that marks an exported site. It contains the configurations of web
// servers, and in the file madeList the names of all files of the export, separated by NUL.
const (
	exportMark = ".spate-site"
	madeList   = "files"
)

// ErrForeign is the cause if a directory contains a file that was not written by an export.
// Replacing the directory would delete this file.
var ErrForeign = errors.New("was not written by an export")

// exportable returns nil if dir may be replaced. Otherwise the error contains the path of a
// file that would be lost.
func exportable(dir string) error {
	if _, err := os.ReadDir(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	made := map[string]bool{".": true}
	list, err := readMade(dir)
	if err == nil {
		made[exportMark] = true
	}
	for name := range strings.SplitSeq(string(list), "\x00") {
		for ; !made[name] && name != ""; name = filepath.Dir(name) {
			made[name] = true
		}
	}
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		switch {
		case err != nil:
			return err
		case !made[name]:
			return fmt.Errorf("%s %w", path, ErrForeign)
		case name == exportMark && d.IsDir():
			return fs.SkipDir
		}
		return nil
	})
}

// maxMade is the maximum size of the list of files, in bytes.
const maxMade = 256 << 20

// readMade reads the list of the files that an export wrote in dir.
func readMade(dir string) ([]byte, error) {
	in, err := folder.Open(dir, folder.Options{})
	if err != nil {
		return nil, err
	}
	defer in.Close()
	return in.ReadFile(filepath.Join(exportMark, madeList), maxMade)
}

// writeMade writes the list of the files of an export in dir.
func writeMade(dir string, names []string) error {
	return os.WriteFile(filepath.Join(dir, exportMark, madeList), []byte(strings.Join(names, "\x00")), 0o644)
}

// replaceDir replaces dir by tmp.
func replaceDir(tmp, dir string) error {
	old := tmp + ".old"
	switch err := os.Rename(dir, old); {
	case errors.Is(err, os.ErrNotExist):
		return os.Rename(tmp, dir)
	case err != nil:
		return err
	}
	if err := os.Rename(tmp, dir); err != nil {
		return errors.Join(err, os.Rename(old, dir))
	}
	return os.RemoveAll(old)
}
