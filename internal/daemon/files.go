package daemon

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"spate"
	"spate/internal/fault"
	"spate/internal/fileserver"
	"spate/internal/folder"
	"spate/publish"
)

// Files returns the files of all releases and added torrents of d, which can be read while they
// download.
func (d *Daemon) Files() fileserver.Source { return dataFiles{d} }

// dataFiles implements [fileserver.Source]. The torrents are named by their info-hashes.
type dataFiles struct{ d *Daemon }

// Torrents implements [fileserver.Source]. It leaves out torrents whose metadata is missing.
func (s dataFiles) Torrents(ctx context.Context) ([]fileserver.Torrent, error) {
	releases, _, err := s.d.Catalog().List(ctx, publish.Query{All: true})
	if err != nil {
		return nil, err
	}
	list := make([]fileserver.Torrent, 0, len(releases))
	for _, r := range releases {
		list = append(list, torrentOfRelease(r))
	}
	if s.d.torrents == nil {
		return list, nil
	}
	added, _ := s.d.torrents.List(TorrentList{})
	for i := range added {
		if added[i].Path != "" {
			list = append(list, s.added(&added[i]))
		}
	}
	return list, nil
}

func torrentOfRelease(r *publish.Release) fileserver.Torrent {
	return fileserver.Torrent{ID: r.Hash().String(), Name: r.StoredName(), Single: r.Single, Size: r.Size, Added: r.Published}
}

// added describes an added torrent. Whether it is one file shows its path, or else its list of files.
func (s dataFiles) added(i *TorrentInfo) fileserver.Torrent {
	t := fileserver.Torrent{ID: i.InfoHash, Name: i.Name, Size: i.TotalLength, Added: i.Added}
	if i.NumFiles != 1 {
		return t
	}
	if at, err := os.Lstat(i.Path); err == nil {
		t.Single = at.Mode().IsRegular()
		return t
	}
	details, err := s.d.torrents.Details(i.InfoHash)
	t.Single = err == nil && len(details.Files) == 1 && (details.Files[0].Path == "" || details.Files[0].Path == i.Name)
	return t
}

// Torrent implements [fileserver.Source].
func (s dataFiles) Torrent(ctx context.Context, id string) (fileserver.Torrent, error) {
	r, err := s.release(ctx, id)
	if err != nil {
		return fileserver.Torrent{}, err
	}
	if r != nil {
		return torrentOfRelease(r), nil
	}
	i, err := s.info(id)
	if err != nil {
		return fileserver.Torrent{}, err
	}
	return s.added(&i), nil
}

// release returns the release that id names, or nil if an added torrent has this info-hash or none.
func (s dataFiles) release(ctx context.Context, id string) (*publish.Release, error) {
	ih, err := spate.ParseInfoHash(id)
	if err != nil {
		return nil, absent(id)
	}
	r, err := s.d.Catalog().Find(ctx, ih)
	if errors.Is(err, publish.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return s.d.Catalog().Get(ctx, r.Ref())
}

// info describes the added torrent that id names.
func (s dataFiles) info(id string) (TorrentInfo, error) {
	if s.d.torrents == nil {
		return TorrentInfo{}, absent(id)
	}
	i, err := s.d.torrents.Info(id)
	if err != nil {
		return i, absent(id)
	}
	return i, nil
}

func absent(name string) error { return &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist} }

// Files implements [fileserver.Source].
func (s dataFiles) Files(ctx context.Context, id string) (list []fileserver.FileInfo, err error) {
	r, err := s.release(ctx, id)
	if err != nil {
		return nil, err
	}
	if r != nil {
		for i := range r.Files {
			list = append(list, fileserver.FileInfo{Path: r.Files[i].Path, Length: r.Files[i].Length})
		}
		return list, nil
	}
	if _, err := s.info(id); err != nil {
		return nil, err
	}
	details, err := s.d.torrents.Details(id)
	for _, f := range details.Files {
		list = append(list, fileserver.FileInfo{Path: f.Path, Length: f.Length})
	}
	return list, err
}

// Open implements [fileserver.Source]. A torrent that does not run is read from the disk if it is
// complete.
func (s dataFiles) Open(ctx context.Context, id, path string) (io.ReadSeekCloser, error) {
	r, err := s.release(ctx, id)
	if err != nil {
		return nil, err
	}
	if r != nil {
		if r.Single {
			path = ""
		}
		i, ok := r.Lookup(path)
		if !ok {
			return nil, absent(path)
		}
		return s.d.openFile(ctx, r, i)
	}
	i, err := s.info(id)
	if err != nil {
		return nil, err
	}
	if t, err := s.d.torrents.Engine(id); err != nil {
		return nil, err
	} else if t != nil {
		return fileserver.Open(ctx, t, path)
	}
	if i.Completed.IsZero() {
		return nil, fault.New(fault.Exists, "resume it", "%s does not run, and is not complete", i.Name)
	}
	return openComplete(&i, s.added(&i).Single, path)
}

// openComplete opens a file of a complete torrent. It follows no link out of the torrent's directory.
func openComplete(i *TorrentInfo, single bool, path string) (io.ReadSeekCloser, error) {
	dir, name := i.Path, filepath.FromSlash(path)
	if single {
		if path != i.Name {
			return nil, absent(path)
		}
		dir, name = filepath.Split(i.Path)
	}
	in, err := folder.Open(dir, folder.Options{})
	if err != nil {
		return nil, err
	}
	defer in.Close()
	return in.Open(name)
}
