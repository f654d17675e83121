// Package torrentfile reads, checks, makes and writes .torrent files for the verbs of the
// command line, with limits on what it reads and errors that carry a code.
package torrentfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"spate/internal/fault"
	"spate/internal/folder"
	"spate/internal/units"
	"spate/metainfo"
)

// MaxSize is the maximum size of a .torrent file, in bytes.
const MaxSize = metainfo.MaxSize

// ReadFile reads the .torrent file at path, which is an argument of the user. The file may be a
// pipe. ReadFile returns an error if it has more than [MaxSize] bytes.
func ReadFile(path string) ([]byte, error) { return readFile(path, Read) }

// ReadSourceFile is like [ReadFile] for a file that may also be a text, as for [ReadSource].
func ReadSourceFile(path string) ([]byte, error) { return readFile(path, ReadSource) }

// readFile reads the file at path, with read if its size is not known.
func readFile(path string, read func(io.Reader, string) ([]byte, error)) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, fault.UsageHint("name the .torrent files in it", "%s is a directory", path)
	}
	if !info.Mode().IsRegular() || info.Size() > MaxSize {
		return read(f, path)
	}
	b := make([]byte, info.Size())
	_, err = io.ReadFull(f, b)
	return b, err
}

// ReadIn reads the .torrent name in a directory that may contain anything under that name. It
// reads only the beginning of a file that is no .torrent.
func ReadIn(in *folder.Folder, name string) ([]byte, error) {
	b, err := in.ReadChecked(name, MaxSize, folder.Head{Size: metainfo.HeadSize, Check: metainfo.CheckHead})
	var malformed *metainfo.Error
	if errors.As(err, &malformed) {
		err = parseError(in.Path(name), err)
	}
	return b, err
}

// Read reads a .torrent of at most [MaxSize] bytes from r. Errors call it name.
func Read(r io.Reader, name string) ([]byte, error) {
	b, err := metainfo.ReadAll(r)
	switch {
	case errors.Is(err, metainfo.ErrLimit):
		return nil, fault.New(fault.BadData, "check that it is a .torrent file", "%s is larger than the %d MB that a .torrent may have", name, MaxSize/1_000_000)
	case err != nil:
		return nil, parseError(name, err)
	}
	return b, nil
}

// maxText is the maximum number of bytes that [ReadSource] reads of a text.
const maxText = 2 << 20

// ReadSource reads a .torrent of at most [MaxSize] bytes, or a short text such as a Metalink or
// a magnet link. Errors call it name.
func ReadSource(r io.Reader, name string) ([]byte, error) {
	head := make([]byte, 1)
	switch _, err := io.ReadFull(r, head); {
	case err == io.EOF:
		return nil, fault.New(fault.BadData, "", "%s is empty", name)
	case err != nil:
		return nil, err
	case head[0] == 'd':
		return Read(io.MultiReader(bytes.NewReader(head), r), name)
	}
	b, err := io.ReadAll(io.LimitReader(r, maxText))
	return append(head, b...), err
}

// Parse parses a .torrent file. Errors call it name.
func Parse(name string, b []byte) (*metainfo.MetaInfo, error) {
	mi, err := metainfo.Parse(b)
	if err != nil {
		return nil, parseError(name, err)
	}
	return mi, nil
}

// parseError adds name and a hint to an error about the contents of a .torrent file. It returns
// other errors as they are.
func parseError(name string, err error) error {
	var malformed *metainfo.Error
	if !errors.As(err, &malformed) {
		return err
	}
	return &fault.Error{
		Code: fault.BadData, Err: errors.New(name + ": " + strings.TrimPrefix(malformed.Error(), "torrent: ")),
		Hint: "it is no torrent, or damaged: fetch it again",
	}
}

// LooksLikeTorrent reports whether b could be a metainfo dictionary.
func LooksLikeTorrent(b []byte) bool {
	return len(b) > 2 && b[0] == 'd' && b[1] >= '0' && b[1] <= '9' && bytes.Contains(b, []byte("4:info"))
}

// ReadLimited reads a small file that is an argument of the user, such as a key or a signature.
// The file may be a pipe. ReadLimited returns an error if it has more than most bytes.
func ReadLimited(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(b)) > most {
		err = fmt.Errorf("%s is larger than %s", path, units.Plural(most, "byte"))
	}
	return b, err
}
