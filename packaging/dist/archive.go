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

// file is a file in an archive: with a link, a symbolic link; without data and
// with fs.ModeDir, a directory.
type file struct {
	path string // with slashes, not absolute
	data []byte
	link string
	mode fs.FileMode
	uid  int
}

// under puts files into a directory.
func under(dir string, files []file) []file {
	var out []file
	for _, f := range files {
		f.path = path.Join(dir, f.path)
		out = append(out, f)
	}
	return out
}

// links are the names of 2005 for the program in the same directory.
func links(dir string) []file {
	var out []file
	for _, t := range classic.Tools() {
		out = append(out, file{path: path.Join(dir, t.Name), link: "spate", mode: 0o777})
	}
	return out
}

// withDirs adds the directories that the files are in, and sorts by name, so that
// a directory comes before what is in it.
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

// tar writes an archive of the files and their directories, whose names begin
// with prefix.
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

func (d *dist) tarGz(files []file) ([]byte, error) {
	b, err := d.tar("", files)
	if err != nil {
		return nil, err
	}
	return compress(b)
}

// compress is gzip without a name or a time. The best level takes three times as
// long, for a third of a percent.
func compress(b []byte) ([]byte, error) {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(b); err != nil {
		return nil, err
	}
	err := w.Close()
	return out.Bytes(), err
}

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
