package daemon

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"time"

	"spate/internal/fault"
	"spate/internal/folder"
	"spate/internal/torrentfile"
	"spate/internal/watch"
)

// DropFolder is a watched folder: a .torrent in it is added, and so is the magnet link in a file
// NAME.magnet. Afterwards the file is called NAME.torrent.added, or NAME.torrent.failed if it cannot be
// added. Other users may be able to write to the folder, so its files have the rights of a request
// from another machine.
type DropFolder struct {
	Label string // label of the torrents; may be empty
	Dir   string // absolute path
}

// Endings of the files in a [DropFolder].
const (
	magnetExt = ".magnet"
	addedExt  = ".added"
	failedExt = ".failed"
)

// maxMagnetFile limits the size of a file with a magnet link, in bytes.
const maxMagnetFile = 64 << 10

// runDrops adds what is dropped into the folders until ctx ends.
func (t *Torrents) runDrops(ctx context.Context, rescan, settle time.Duration) error {
	for _, d := range t.conf.Drops {
		f, err := watch.New(d.Dir, watch.Options{Settle: settle, Rescan: rescan, Log: t.env.Log})
		if err != nil {
			return err
		}
		seen := map[string]string{} // stamps of files that could not be renamed
		t.tasks.Go(func() {
			f.Run(ctx, func(s watch.Scan) {
				for _, e := range s.Entries {
					if !e.Dir && seen[e.Name] != e.Stamp && t.drop(ctx, d, e.Name) != nil {
						seen[e.Name] = e.Stamp
					}
				}
			})
		})
	}
	return nil
}

// drop adds the file name of a folder, if it is one of a torrent, and renames it. It returns an
// error if it cannot be renamed, so that it must not be added again.
func (t *Torrents) drop(ctx context.Context, d DropFolder, name string) error {
	ext := strings.ToLower(filepath.Ext(name))
	if ext != torrentExt && ext != magnetExt || ctx.Err() != nil {
		return nil
	}
	in, err := folder.Open(d.Dir, folder.Options{})
	if err != nil {
		return nil // the next scan reports it
	}
	defer in.Close()
	q, err := dropped(in, name, ext)
	if err == nil {
		q.Label, q.Remote = d.Label, true
		_, err = t.Add(ctx, q)
	}
	if ctx.Err() != nil {
		return nil
	}
	end := addedExt
	if err != nil && fault.CodeOf(err) != fault.Exists {
		end = failedExt
		t.env.Warnf("%s was not added: %s", in.Path(name), fault.Message(err))
	}
	if err := in.Root().Rename(name, name+end); err != nil {
		t.env.Warnf("%s cannot be renamed: %v", in.Path(name), err)
		return err
	}
	return nil
}

// dropped reads a file of a folder.
func dropped(in *folder.Folder, name, ext string) (q AddRequest, err error) {
	if ext == torrentExt {
		q.Torrent, err = torrentfile.ReadIn(in, name)
		return q, err
	}
	b, err := in.ReadFile(name, maxMagnetFile)
	if err != nil {
		return q, err
	}
	q.Source = strings.TrimSpace(string(b))
	if len(q.Source) < 7 || !strings.EqualFold(q.Source[:7], "magnet:") {
		return q, &fault.Error{Code: fault.BadData, Err: errors.New("the file holds no magnet link")}
	}
	return q, nil
}
