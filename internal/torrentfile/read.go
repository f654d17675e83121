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
	"spate/internal/units"
	"spate/metainfo"
)

// MaxSize is the maximum size of a .torrent file, in bytes.
const MaxSize = metainfo.MaxSize

// ReadFile reads the .torrent file at path, which is an argument of the user. The file may be a
// pipe. ReadFile returns an error if it has more than [MaxSize] bytes.
func ReadFile(path string) ([]byte, error) {
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
		return Read(f, path)
	}
	b := make([]byte, info.Size())
	_, err = io.ReadFull(f, b)
	return b, err
}

// Read reads a .torrent of at most [MaxSize] bytes from r. Errors call it name.
func Read(r io.Reader, name string) ([]byte, error) {
	b, err := metainfo.ReadAll(r)
	switch {
	case errors.Is(err, metainfo.ErrLimit):
		return nil, fault.New(fault.BadData, "check that it is a .torrent file", "%s is larger than the 100 MB that a .torrent may have", name)
	case err != nil:
		return nil, parseError(name, err)
	}
	return b, nil
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
