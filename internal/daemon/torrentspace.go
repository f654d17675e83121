package daemon

import (
	"os"
	"path/filepath"

	"spate/internal/diskspace"
)

// FolderSpace is a folder for downloads with the space of its file system.
type FolderSpace struct {
	Label string `json:"label,omitempty"` // torrents with this label are stored there by default; "": all others
	Dir   string `json:"dir"`             // absolute path
	Free  uint64 `json:"free"`            // bytes that the daemon can still write; 0 with Total 0 if unknown
	Total uint64 `json:"total"`           // bytes
}

// FolderSpaces returns the folders for downloads. The first is that of torrents without a label.
func (t *Torrents) FolderSpaces() []FolderSpace {
	list := []FolderSpace{spaceOf("", t.folders.folderFor(""))}
	for _, f := range t.folders.folders {
		if f.Label != "" && t.folders.folderFor(f.Label) == f.Dir {
			list = append(list, spaceOf(f.Label, f.Dir))
		}
	}
	return list
}

// spaceOf returns the space of a folder, which may be missing: then it is that of its parent.
func spaceOf(label, dir string) FolderSpace {
	at := dir
	for at != filepath.Dir(at) {
		if _, err := os.Stat(at); err == nil {
			break
		}
		at = filepath.Dir(at)
	}
	total, free := diskspace.Of(at)
	return FolderSpace{Label: label, Dir: dir, Free: free, Total: total}
}
