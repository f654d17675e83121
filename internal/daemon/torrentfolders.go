package daemon

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"spate/internal/fault"
	"spate/internal/folder"
)

// DownloadFolder is a folder in which added torrents are stored.
type DownloadFolder struct {
	Label string // torrents with this label are stored there unless another folder is named; "": all others
	Dir   string // absolute path
}

// folderRules decide where the data of added torrents may be.
type folderRules struct {
	folders []DownloadFolder
	unnamed string          // the folder if none of folders is for a label; it is created
	state   string          // no data may be there, except in unnamed
	watched []WatchedFolder // no data may be there, because it would be published
}

// folderFor returns the default folder of a label.
func (f *folderRules) folderFor(label string) string {
	other := f.unnamed
	for i := len(f.folders) - 1; i >= 0; i-- {
		switch f.folders[i].Label {
		case label:
			return f.folders[i].Dir
		case "":
			other = f.folders[i].Dir
		}
	}
	return other
}

// Folders returns the directories in and below which a caller of another machine may store torrents.
// The first is that of torrents without a label.
func (t *Torrents) Folders() []string {
	list := []string{t.folders.folderFor("")}
	for _, f := range t.folders.folders {
		if !slices.Contains(list, f.Dir) {
			list = append(list, f.Dir)
		}
	}
	return list
}

// choose returns the directory for a torrent. dir is an absolute path, or empty for the default. A
// caller of another machine may only name directories inside one of the folders: within is that
// folder, and the engine holds the data inside of it whatever links are made later. choose creates
// the last directory of the path if it is missing, for a remote caller every one below the folder.
func (f *folderRules) choose(dir, label string, remote bool) (chosen, within string, err error) {
	if dir == "" {
		dir = f.folderFor(label)
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return "", "", err
		}
		return dir, "", nil
	}
	if err := absolute(dir); err != nil {
		return "", "", err
	}
	dir = filepath.Clean(dir)
	if remote {
		return f.chooseRemote(dir)
	}
	if err := os.Mkdir(dir, 0o777); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", "", fault.WithHint(err, "make its parent, or choose another directory")
	}
	return dir, "", f.checkLocal(dir)
}

// chooseRemote returns dir if it is inside one of the folders and no link on the way leads out of it.
func (f *folderRules) chooseRemote(dir string) (chosen, within string, err error) {
	for _, d := range append([]DownloadFolder{{Dir: f.unnamed}}, f.folders...) {
		rel, err := filepath.Rel(d.Dir, dir)
		if err != nil || !filepath.IsLocal(rel) {
			continue
		}
		if err := os.MkdirAll(d.Dir, 0o777); err != nil {
			return "", "", err
		}
		root, err := folder.OpenRoot(d.Dir)
		if err != nil {
			return "", "", err
		}
		defer root.Close()
		if err := root.MkdirAll(rel, 0o777); err != nil {
			return "", "", fault.Usagef("%s cannot be used: %w", dir, err)
		}
		return dir, d.Dir, f.checkLocal(dir)
	}
	return "", "", fault.UsageHint("name one of its folders for downloads, or a directory in one: serve --download-dir DIR sets them",
		"%s is not in a folder for downloads of the daemon", dir)
}

// checkLocal returns an error if data in dir would be published, or would be among the state of the
// daemon.
func (f *folderRules) checkLocal(dir string) error {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return err
	}
	for _, path := range []string{dir, real} {
		if inside(path, f.state) && !inside(path, f.unnamed) {
			return fault.UsageHint("choose another directory", "%s is in the state directory %s", dir, f.state)
		}
		for _, w := range f.watched {
			if inside(path, w.Dir) {
				return fault.UsageHint("choose another directory", "%s is in the watched folder %s: the data would be published before it is complete", dir, w.Dir)
			}
		}
	}
	return nil
}

// inside reports whether path is dir or below it. Both are absolute.
func inside(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}
