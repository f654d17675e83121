// Package httpcontent answers GET and HEAD requests with content, its validators, conditions
// and ranges (RFC 9110).
package httpcontent

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// ETag returns a strong entity tag that changes if and only if data changes.
func ETag(data []byte) string {
	sum := sha256.Sum256(data)
	return fmt.Sprintf(`"%x"`, sum[:16])
}

// Send answers with data of the media type kind. It sets the ETag, and "Cache-Control: no-cache"
// if the header has no Cache-Control, so that clients ask whether the data has changed.
func Send(w http.ResponseWriter, r *http.Request, kind string, data []byte) {
	SendTagged(w, r, kind, data, ETag(data))
}

// SendTagged is Send with the [ETag] of data, for data that is sent many times.
func SendTagged(w http.ResponseWriter, r *http.Request, kind string, data []byte, etag string) {
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("ETag", etag)
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "no-cache")
	}
	Serve(w, r, time.Time{}, bytes.NewReader(data), int64(len(data)))
}

// Serve answers with content, which has size bytes. It is [http.ServeContent] with these
// differences, which RFC 9110 requires or recommends: only GET has ranges (14.2); a range of an
// unknown unit, of wrong syntax or in several fields is ignored; the last 0 bytes, and any
// range from a position of an empty file, are not satisfiable (14.1.2); numbers may have any
// number of digits; several fields of a list are one list (5.3); Last-Modified is not later
// than Date (8.8.2.1). It ignores more than [maxRanges] ranges (14.2, 17.15). The header must
// have a Content-Type, and may have an ETag.
func Serve(w http.ResponseWriter, r *http.Request, modified time.Time, content io.ReadSeeker, size int64) {
	if modified.After(time.Now()) {
		modified = time.Time{}
	}
	asked := new(http.Request)
	*asked = *r
	asked.Header = r.Header.Clone()
	for _, name := range []string{"If-Match", "If-None-Match"} {
		if fields := r.Header[name]; len(fields) > 1 {
			asked.Header.Set(name, strings.Join(fields, ", "))
		}
	}
	plain := ""
	if fields := r.Header["Range"]; len(fields) == 1 && r.Method == http.MethodGet && ifRange(w.Header(), r, modified) {
		plain = plainRange(fields[0], size)
	}
	asked.Header.Del("If-Range")
	asked.Header.Del("Range")
	switch {
	case plain != "" && size == 0:
		w = &emptyContent{w}
	case plain != "":
		asked.Header.Set("Range", plain)
	}
	http.ServeContent(w, asked, "", modified, content)
}

// ifRange reports whether the condition If-Range of r is true or absent. header has the entity
// tag.
func ifRange(header http.Header, r *http.Request, modified time.Time) bool {
	value := strings.TrimSpace(r.Header.Get("If-Range"))
	switch {
	case value == "" && len(r.Header["If-Range"]) == 0:
		return true
	case strings.HasPrefix(value, `"`):
		return value == header.Get("ETag")
	}
	at, err := http.ParseTime(value)
	return err == nil && !modified.IsZero() && at.Unix() == modified.Unix()
}

// emptyContent replaces the status 200 of [http.ServeContent], which ignores ranges of empty
// content, by 416.
type emptyContent struct{ http.ResponseWriter }

// WriteHeader implements [http.ResponseWriter].
func (e *emptyContent) WriteHeader(status int) {
	if status == http.StatusOK {
		h := e.Header()
		for _, name := range []string{"Content-Disposition", "Cache-Control", "Etag", "Last-Modified", "Repr-Digest"} {
			h.Del(name)
		}
		h.Set("Content-Range", "bytes */0")
		status = http.StatusRequestedRangeNotSatisfiable
	}
	e.ResponseWriter.WriteHeader(status)
}

// Unwrap is for [http.ResponseController].
func (e *emptyContent) Unwrap() http.ResponseWriter { return e.ResponseWriter }
