package cli

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"spate/internal/atomicfile"
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

// read returns the content of a file.
func (f torrentFile) read() ([]byte, error) {
	if f.dir == "" {
		return folder.ReadNamed(f.path, torrentfile.MaxSize)
	}
	in, err := folder.Open(f.dir, folder.Options{FollowLinks: f.follow})
	if err != nil {
		return nil, err
	}
	defer in.Close()
	return torrentfile.ReadIn(in, filepath.Base(f.path))
}

// parse returns the torrent in the file.
func (f torrentFile) parse() (*metainfo.MetaInfo, error) {
	if f.src != nil {
		return f.mi, nil
	}
	b, err := f.read()
	var large *folder.SizeError
	if errors.As(err, &large) {
		return nil, fault.New(fault.BadData, "check that it is a .torrent file", "%w", err)
	}
	if err != nil {
		return nil, err
	}
	m, err := torrentfile.Parse(f.path, b)
	if err == nil && m.V2Hashes == nil && m.Info.V2HashesSize() > 0 {
		m.V2Hashes = f.v2Hashes(&m.Info)
	}
	return m, err
}

// v2Hashes returns the v2 hashes in the file beside the .torrent. It returns nil if there is no such
// file, or if it is damaged, because the data can be checked without them.
func (f torrentFile) v2Hashes(i *metainfo.Info) *metainfo.V2Hashes {
	at, size := atomicfile.Derived(f.path, metainfo.V2HashesExtension), int64(i.V2HashesSize())
	var b []byte
	if f.dir == "" {
		b, _ = folder.ReadNamed(at, size)
	} else if in, err := folder.Open(f.dir, folder.Options{FollowLinks: f.follow}); err == nil {
		b, _ = in.ReadFile(filepath.Base(at), size)
		in.Close()
	}
	h, err := metainfo.ParseV2Hashes(i, b)
	if err != nil {
		return nil
	}
	return h
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
