package httpcontent

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strconv"
	"strings"
)

// Gzip returns data compressed with gzip at a level of package [gzip].
func Gzip(data []byte, level int) []byte {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, level)
	if err != nil {
		panic(err) // the level is a constant
	}
	z.Write(data) // a bytes.Buffer takes everything
	z.Close()
	return b.Bytes()
}

// SendGzip is [Send] for clients that accept gzip, and the same without compression for others and
// for ranges. zipped returns the compressed data, and is called only if it is sent. The two forms
// have different entity tags.
func SendGzip(w http.ResponseWriter, r *http.Request, kind string, data []byte, zipped func() []byte) {
	h := w.Header()
	h.Add("Vary", "Accept-Encoding")
	if r.Header.Get("Range") == "" && acceptsGzip(r.Header["Accept-Encoding"]) {
		data = zipped()
		h.Set("Content-Encoding", "gzip")
		h.Set("Content-Length", strconv.Itoa(len(data))) // http.ServeContent leaves it out
	}
	Send(w, r, kind, data)
}

// acceptsGzip reports whether the fields Accept-Encoding name gzip, with a weight above 0 (RFC 9110,
// 12.5.3).
func acceptsGzip(fields []string) bool {
	for _, f := range fields {
		for part := range strings.SplitSeq(f, ",") {
			name, param, _ := strings.Cut(part, ";")
			if !strings.EqualFold(strings.TrimSpace(name), "gzip") {
				continue
			}
			weight, found := strings.CutPrefix(strings.ToLower(strings.ReplaceAll(param, " ", "")), "q=")
			q, err := strconv.ParseFloat(weight, 64)
			return !found || err == nil && q > 0
		}
	}
	return false
}
