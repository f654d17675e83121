package daemon

import (
	"cmp"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"spate/internal/fault"
	"spate/internal/folder"
)

// Listing is a page of the entries of a directory of this machine.
type Listing struct {
	Path    string  `json:"path"`    // "": the list of the directories that may be listed
	Parent  string  `json:"parent"`  // "": that list
	Entries []Entry `json:"entries"` // directories first, ordered by name
	More    bool    `json:"more"`    // the directory has more entries than [maxListing]
}

// Entry is an entry of a [Listing].
type Entry struct {
	Name     string    `json:"name"`
	Path     string    `json:"path"` // absolute
	Dir      bool      `json:"dir"`
	Length   int64     `json:"length,omitempty"` // of a file, in bytes
	Modified time.Time `json:"modified,omitzero"`
}

// maxListing bounds the entries of a [Listing].
const maxListing = 5000

// BrowseRoots returns the directories in and below which callers may choose data to publish: those
// of the settings, and the folders for downloads.
func (d *Daemon) BrowseRoots() []string {
	roots := slices.Clone(d.conf.Browse)
	if d.torrents != nil {
		for _, dir := range d.torrents.Folders() {
			if !slices.Contains(roots, dir) {
				roots = append(roots, dir)
			}
		}
	}
	return roots
}

// rootOf returns the root that path is in, and the path below it.
func (d *Daemon) rootOf(path string) (root, rel string, err error) {
	if err := absolute(path); err != nil {
		return "", "", err
	}
	for _, root := range d.BrowseRoots() {
		if rel, err := filepath.Rel(root, filepath.Clean(path)); err == nil && filepath.IsLocal(rel) {
			return root, rel, nil
		}
	}
	return "", "", fault.UsageHint("serve --browse DIR permits more directories", "%s is in no directory from which data may be chosen", path)
}

// Browse lists the directory at path, or the roots if path is empty. It follows no link that leads out
// of a root, and leaves out hidden entries and entries that are neither files nor directories.
func (d *Daemon) Browse(path string) (Listing, error) {
	l := Listing{Entries: []Entry{}}
	if path == "" {
		for _, root := range d.BrowseRoots() {
			l.Entries = append(l.Entries, Entry{Name: root, Path: root, Dir: true})
		}
		return l, nil
	}
	root, rel, err := d.rootOf(path)
	if err != nil {
		return l, err
	}
	l.Path = filepath.Join(root, rel)
	if rel != "." {
		l.Parent = filepath.Dir(l.Path)
	}
	top, err := folder.OpenRoot(root)
	if errors.Is(err, fs.ErrNotExist) && rel == "." {
		return l, nil // a folder for downloads that nothing was downloaded to
	}
	if err != nil {
		return l, err
	}
	defer top.Close()
	in, err := folder.OpenSub(top, rel)
	if err != nil {
		return l, err
	}
	defer in.Close()
	dir := folder.In(in)
	entries, err := dir.ReadSome(maxListing + 1)
	if l.More = len(entries) > maxListing; l.More {
		entries = entries[:maxListing]
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		info, err := dir.Stat(e.Name()) // of what a link leads to
		if err != nil || !info.IsDir() && !info.Mode().IsRegular() {
			continue
		}
		one := Entry{Name: e.Name(), Path: filepath.Join(l.Path, e.Name()), Dir: info.IsDir(), Modified: info.ModTime().UTC()}
		if !one.Dir {
			one.Length = info.Size()
		}
		l.Entries = append(l.Entries, one)
	}
	slices.SortFunc(l.Entries, func(a, b Entry) int {
		if a.Dir != b.Dir {
			return map[bool]int{true: -1, false: 1}[a.Dir]
		}
		return cmp.Or(cmp.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), cmp.Compare(a.Name, b.Name))
	})
	return l, err
}

// MayChoose returns an error if a path is outside of the directories in which callers may choose
// data, also by a link.
func (d *Daemon) MayChoose(paths ...string) error {
	for _, path := range paths {
		root, _, err := d.rootOf(path)
		if err != nil {
			return err
		}
		real, err := filepath.EvalSymlinks(path)
		if err != nil {
			return err
		}
		if root, err = filepath.EvalSymlinks(root); err != nil {
			return err
		}
		if !inside(real, root) {
			return fault.UsageHint("choose another path", "%s leads out of %s", path, root)
		}
	}
	return nil
}
