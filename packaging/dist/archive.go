package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"io/fs"
	"path"
	"slices"
	"strings"

	"spate/internal/classic"
)

// file is an entry of an archive: a directory if mode has fs.ModeDir, a symbolic link if
// link is set, else a regular file.
type file struct {
	path string // relative, with slashes
	data []byte
	link string // target of the symbolic link
	mode fs.FileMode
	uid  int // owner and group
}

// inDir returns the files with the directory dir added to their paths.
func inDir(dir string, files []file) []file {
	var out []file
	for _, f := range files {
		f.path = path.Join(dir, f.path)
		out = append(out, f)
	}
	return out
}

// links returns symbolic links from the names of the tools of 2005 to the program in the
// same directory.
func links(dir string) []file {
	var out []file
	for _, t := range classic.Tools() {
		out = append(out, file{path: path.Join(dir, t.Name), link: "spate", mode: 0o777})
	}
	return out
}

// withDirs adds the parent directories of the files and sorts by path, so that a directory
// comes before its entries.
func withDirs(files []file) []file {
	all := map[string]file{}
	for _, f := range files {
		all[f.path] = f
		for d := path.Dir(f.path); d != "."; d = path.Dir(d) {
			if _, ok := all[d]; !ok {
				all[d] = file{path: d, mode: fs.ModeDir | 0o755}
			}
		}
	}
	var out []file
	for _, f := range all {
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b file) int { return strings.Compare(a.path, b.path) })
	return out
}

// tar returns a tar archive of the files and their directories. All names in the archive
// start with prefix.
func (d *dist) tar(prefix string, files []file) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range withDirs(files) {
		h := &tar.Header{Name: prefix + f.path, Mode: int64(f.mode.Perm()), ModTime: d.time, Uid: f.uid, Gid: f.uid, Format: tar.FormatGNU}
		if f.mode&fs.ModeSticky != 0 {
			h.Mode |= 0o1000
		}
		switch {
		case f.mode.IsDir():
			h.Typeflag, h.Name = tar.TypeDir, h.Name+"/"
		case f.link != "":
			h.Typeflag, h.Linkname = tar.TypeSymlink, f.link
		default:
			h.Typeflag, h.Size = tar.TypeReg, int64(len(f.data))
		}
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.data); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return b.Bytes(), err
}

// tarGz returns a compressed tar archive of the files.
func (d *dist) tarGz(files []file) ([]byte, error) {
	b, err := d.tar("", files)
	if err != nil {
		return nil, err
	}
	return compress(b)
}

// compress returns b compressed by gzip, without a name or a time in the header. It uses
// the default level, because the best level takes three times as long and saves a third of
// a percent.
func compress(b []byte) ([]byte, error) {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(b); err != nil {
		return nil, err
	}
	err := w.Close()
	return out.Bytes(), err
}

// zip returns a zip archive of the files.
func (d *dist) zip(files []file) ([]byte, error) {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range withDirs(files) {
		h := &zip.FileHeader{Name: f.path, Method: zip.Deflate, Modified: d.time}
		if f.mode.IsDir() {
			h.Name, h.Method = h.Name+"/", zip.Store
		}
		h.SetMode(f.mode)
		part, err := w.CreateHeader(h)
		if err != nil {
			return nil, err
		}
		if _, err := part.Write(f.data); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return b.Bytes(), err
}
