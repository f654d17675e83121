// Package fileserver serves the files of torrents over HTTP while they download: single files with
// Range, a playlist of the media of a torrent, and everything as a read-only WebDAV tree. What a
// request asks for is downloaded next.
package fileserver

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"spate/torrent"
)

// Torrent is a torrent whose files are served.
type Torrent struct {
	ID     string // names it for a Source: its info-hash in hex
	Name   string // safe as the name of a file
	Single bool   // it is one file, called Name
	Size   int64  // bytes of that file
	Added  time.Time
}

// FileInfo is a file of a torrent that is no single file.
type FileInfo struct {
	Path   string // below the directory of the torrent, separated by slashes
	Length int64
}

// Source is where the files come from. Its methods are called concurrently. They return an error that
// wraps [fs.ErrNotExist] for what is not there.
type Source interface {
	Torrents(ctx context.Context) ([]Torrent, error)
	// Torrent returns one of them.
	Torrent(ctx context.Context, id string) (Torrent, error)
	// Files returns the files of a torrent that have content of their own.
	Files(ctx context.Context, id string) ([]FileInfo, error)
	// Open opens a file. path is the name of the torrent for a single file.
	Open(ctx context.Context, id, path string) (io.ReadSeekCloser, error)
}

// tail is the number of bytes at the end of a media file that are downloaded with its beginning,
// because players read the index there before they play.
const tail = 1 << 20

// stalledRead is how long a request waits for missing data before it fails.
const stalledRead = 2 * time.Minute

// File answers a request for a file of a torrent with its content. name is the path of the file.
func File(w http.ResponseWriter, r *http.Request, src Source, id, name string) error {
	f, err := src.Open(r.Context(), id, name)
	if err != nil {
		return err
	}
	defer f.Close()
	h := w.Header()
	h.Set("Content-Type", typeOf(name))
	h.Set("ETag", etag(id, name))
	h.Set("Cache-Control", "private, no-cache")
	// A torrent can contain pages: nothing in them may run or reach this server.
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'")
	h.Set("X-Content-Type-Options", "nosniff")
	http.ServeContent(w, r, "", time.Time{}, f)
	return nil
}

// etag returns the validator of a file: its bytes never change.
func etag(id, name string) string {
	sum := sha256.Sum256([]byte(id + "/" + name))
	return `"` + hex.EncodeToString(sum[:16]) + `"`
}

// typeOf returns the media type by the name alone, because the first bytes may be missing.
func typeOf(name string) string {
	return cmp.Or(types[strings.ToLower(path.Ext(name))], mime.TypeByExtension(path.Ext(name)), "application/octet-stream")
}

// types are the types of media that systems often do not know.
var types = map[string]string{
	".mkv": "video/x-matroska", ".webm": "video/webm", ".mp4": "video/mp4", ".m4v": "video/mp4", ".mov": "video/quicktime",
	".avi": "video/x-msvideo", ".ogv": "video/ogg", ".mpg": "video/mpeg", ".mpeg": "video/mpeg", ".ts": "video/mp2t",
	".mp3": "audio/mpeg", ".m4a": "audio/mp4", ".flac": "audio/flac", ".ogg": "audio/ogg", ".oga": "audio/ogg", ".opus": "audio/ogg", ".wav": "audio/wav",
}

// isMedia reports whether players play files of this name.
func isMedia(name string) bool {
	kind := typeOf(name)
	return strings.HasPrefix(kind, "video/") || strings.HasPrefix(kind, "audio/")
}

// reader reads a file of a torrent for one request. A read that waits too long fails.
type reader struct {
	*torrent.Reader
	end   *torrent.Reader // fetches the end of a media file; nil: none
	stall *time.Timer     // fails the read in progress
}

// errStalled is the error of a read whose data does not come.
var errStalled = errors.New("the missing data did not arrive in time")

// Open returns a reader for a file of a torrent that runs, which waits for missing data, and fetches it
// next. It fails for a file that lacks data and is not wanted, because that data does not come. name is
// the path of the file.
func Open(ctx context.Context, t *torrent.Torrent, name string) (io.ReadSeekCloser, error) {
	i, ok := find(t, name)
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	if !t.Whole() {
		if f := t.Files()[i]; f.Priority == torrent.PrioritySkip && f.Done < f.Length {
			return nil, fmt.Errorf("%w: %s", torrent.ErrNotWanted, name)
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	f, err := t.NewReader(ctx, i)
	if err != nil {
		cancel(nil)
		return nil, err
	}
	r := &reader{Reader: f, stall: time.AfterFunc(stalledRead, func() { cancel(errStalled) })}
	r.stall.Stop()
	if isMedia(name) && f.Size() > 2*tail && !t.Whole() {
		if r.end, err = t.NewReader(ctx, i); err != nil {
			r.Close()
			return nil, err
		}
		r.end.SetReadahead(tail)
		if _, err := r.end.Seek(-tail, io.SeekEnd); err != nil {
			r.Close()
			return nil, err
		}
	}
	return r, nil
}

// Read implements [io.Reader].
func (r *reader) Read(p []byte) (int, error) {
	r.stall.Reset(stalledRead)
	defer r.stall.Stop()
	return r.Reader.Read(p)
}

// Close implements [io.Closer].
func (r *reader) Close() error {
	r.stall.Stop()
	if r.end != nil {
		r.end.Close()
	}
	return r.Reader.Close()
}

// Status returns the status code of HTTP for an error of this package.
func Status(err error) int {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return http.StatusNotFound
	case errors.Is(err, torrent.ErrNotWanted):
		return http.StatusConflict
	}
	return http.StatusInternalServerError
}

// find returns the index of the file of a torrent with a path.
func find(t *torrent.Torrent, name string) (int, bool) {
	info := &t.MetaInfo().Info
	for i := range info.Files {
		f := &info.Files[i]
		path := f.DisplayPath()
		if f.Path == nil {
			path = t.Name()
		}
		if !f.Pad() && !f.IsSymlink() && path == name {
			return i, true
		}
	}
	return 0, false
}

// sorted returns the files of a torrent by path.
func sorted(ctx context.Context, src Source, t *Torrent) ([]FileInfo, error) {
	if t.Single {
		return []FileInfo{{t.Name, t.Size}}, nil
	}
	list, err := src.Files(ctx, t.ID)
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b FileInfo) int { return cmp.Compare(a.Path, b.Path) })
	return list, err
}
