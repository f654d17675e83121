package cli

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"spate/internal/fault"
	"spate/internal/folder"
	"spate/internal/source"
	"spate/internal/torrentfile"
	"spate/metainfo"
)

// torrentFile is a torrent that an argument names: a .torrent file, one of the .torrent files in
// a directory, or the torrent of another SOURCE.
type torrentFile struct {
	path   string             // the path of the file, or the argument that names another SOURCE
	src    *source.Source     // another SOURCE; nil for a .torrent file
	mi     *metainfo.MetaInfo // the torrent of src
	dir    string             // the directory that contains it, which other users may change; empty if the file is an argument
	follow bool               // follow links that lead out of directories
}

// parse returns the torrent in the file.
func (f torrentFile) parse() (*metainfo.MetaInfo, error) {
	if f.src != nil {
		return f.mi, nil
	}
	var in *folder.Folder
	var b []byte
	var err error
	name := f.path
	if f.dir == "" {
		b, err = folder.ReadNamed(name, torrentfile.MaxSize)
	} else {
		if in, err = folder.Open(f.dir, folder.Options{FollowLinks: f.follow}); err != nil {
			return nil, err
		}
		defer in.Close()
		name = filepath.Base(f.path)
		b, err = torrentfile.ReadIn(in, name)
	}
	var large *folder.SizeError
	if errors.As(err, &large) {
		return nil, fault.New(fault.BadData, "check that it is a .torrent file", "%w", err)
	}
	if err != nil {
		return nil, err
	}
	m, err := torrentfile.Parse(f.path, b)
	if err == nil {
		torrentfile.AddV2Hashes(in, name, m)
	}
	return m, err
}

// torrentFiles returns the torrents that args name, and those in the directories that args
// name.
func (a *app) torrentFiles(ctx context.Context, args []string, opt *seedOptions) ([]torrentFile, error) {
	var files []torrentFile
	for _, arg := range args {
		path, err := source.FilePath(source.UnquoteArg(arg))
		if err != nil {
			return nil, err
		}
		switch info, err := os.Stat(path); {
		case err == nil && info.IsDir() && keyGiven(opt.key):
			return nil, fault.UsageHint("name the .torrent files", "%s is a directory: --verify-key does not check the .torrent files in it", path)
		case err == nil && info.IsDir():
			in, err := torrentsIn(path, opt.follow)
			if err != nil {
				return nil, err
			}
			files = append(files, in...)
			continue
		case err == nil && info.Mode().IsRegular() && strings.EqualFold(filepath.Ext(path), ".torrent") && !keyGiven(opt.key):
			files = append(files, torrentFile{path: path, follow: opt.follow})
			continue
		}
		src, err := a.resolveTorrent(ctx, "spate seed", arg, &sourceFlags{bind: opt.bind, key: opt.key, state: opt.state})
		if err != nil {
			return nil, err
		}
		mi, err := src.Parse()
		if err != nil {
			return nil, err
		}
		a.sources(opt.bind.Addr).AddV2Hashes(ctx, src, mi)
		files = append(files, torrentFile{path: path, src: src, mi: mi, follow: opt.follow})
	}
	return files, nil
}

// torrentsIn returns the .torrent files in a directory.
func torrentsIn(dir string, follow bool) (files []torrentFile, err error) {
	in, err := folder.Open(dir, folder.Options{FollowLinks: follow})
	if err != nil {
		return nil, err
	}
	defer in.Close()
	entries, err := in.ReadDir()
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if strings.EqualFold(filepath.Ext(e.Name()), ".torrent") && !e.IsDir() {
			files = append(files, torrentFile{path: in.Path(e.Name()), dir: dir, follow: follow})
		}
	}
	if len(files) == 0 {
		return nil, fault.New(fault.NotFound, "", "%s holds no .torrent files", dir)
	}
	return files, nil
}
