// Package fileserver serves the files of torrents over HTTP while they download: single files with
// Range, a playlist of the media of a torrent, and everything as a read-only WebDAV tree. What a
// request asks for is downloaded next.
package fileserver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"spate"
	"spate/metainfo"
	"spate/torrent"
)

// Source finds torrents. Its methods are called concurrently.
type Source interface {
	// Torrents returns the torrents whose files are served.
	Torrents(ctx context.Context) ([]*torrent.Torrent, error)
	// Torrent returns one of them. It returns an error that wraps [fs.ErrNotExist] if there is none.
	Torrent(ctx context.Context, h spate.InfoHash) (*torrent.Torrent, error)
}

// tail is the number of bytes at the end of a media file that are downloaded with its beginning,
// because players read the index there before they play.
const tail = 1 << 20

// stalledRead is how long a request waits for missing data before it fails.
const stalledRead = 2 * time.Minute

// File answers a request for a file of a torrent with its content. name is the path of the file in
// the torrent, separated by slashes.
func File(w http.ResponseWriter, r *http.Request, t *torrent.Torrent, name string) error {
	i, ok := find(t, name)
	if !ok {
		return &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	f, err := open(r.Context(), t, i)
	if err != nil {
		return err
	}
	defer f.Close()
	h := w.Header()
	h.Set("Content-Type", typeOf(name))
	h.Set("ETag", etag(t, i))
	h.Set("Cache-Control", "private, no-cache")
	// A torrent can contain pages: nothing in them may run or reach this server.
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'")
	h.Set("X-Content-Type-Options", "nosniff")
	http.ServeContent(w, r, "", time.Time{}, f)
	return nil
}

// find returns the index of the file of a torrent with a path.
func find(t *torrent.Torrent, name string) (int, bool) {
	info := &t.MetaInfo().Info
	for i := range info.Files {
		if served(&info.Files[i]) && pathOf(t, i) == name {
			return i, true
		}
	}
	return 0, false
}

// served reports whether f has content of its own.
func served(f *metainfo.File) bool { return f.Attr&metainfo.AttrPad == 0 && !f.IsSymlink() }

// pathOf returns the path of a file: its name in a torrent of one file, and otherwise the path below
// the directory of the torrent.
func pathOf(t *torrent.Torrent, i int) string {
	info := &t.MetaInfo().Info
	if p := info.Files[i].Path; len(p) > 0 {
		return strings.Join(p, "/")
	}
	return info.Name
}

// etag returns the validator of a file: its bytes never change.
func etag(t *torrent.Torrent, i int) string {
	return `"` + t.InfoHash().String() + "-" + strconv.Itoa(i) + `"`
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

// open returns a reader for a file of t. It fails for a file that lacks data and is not wanted, because
// that data does not come.
func open(ctx context.Context, t *torrent.Torrent, i int) (*reader, error) {
	if !t.Whole() {
		if f := t.Files()[i]; f.Priority == torrent.PrioritySkip && f.Done < f.Length {
			return nil, fmt.Errorf("%w: %s", torrent.ErrNotWanted, pathOf(t, i))
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
	if isMedia(pathOf(t, i)) && f.Size() > 2*tail && !t.Whole() {
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

// sorted returns the files of t that are served, by path.
func sorted(t *torrent.Torrent) []int {
	var list []int
	for i := range t.MetaInfo().Info.Files {
		if served(&t.MetaInfo().Info.Files[i]) {
			list = append(list, i)
		}
	}
	slices.SortFunc(list, func(a, b int) int { return cmp.Compare(pathOf(t, a), pathOf(t, b)) })
	return list
}
