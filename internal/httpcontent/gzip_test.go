package httpcontent

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestSendGzip checks who gets compressed content, and that the two forms have different entity tags,
// with which clients find that nothing has changed.
func TestSendGzip(t *testing.T) {
	t.Parallel()
	data := []byte(strings.Repeat("text ", 1000))
	send := func(header string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", "/", nil)
		for line := range strings.Lines(header) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
			r.Header.Add(name, value)
		}
		w := httptest.NewRecorder()
		SendGzip(w, r, "text/plain", data, func() []byte { return Gzip(data, gzip.BestSpeed) })
		return w
	}
	tags := map[bool]string{}
	for header, want := range map[string]bool{
		"": false, "Accept-Encoding: gzip": true, "Accept-Encoding: br, GZIP;q=0.5": true, "Accept-Encoding: br\nAccept-Encoding: gzip": true,
		"Accept-Encoding: gzip;q=0": false, "Accept-Encoding: gzip; q=0.000": false, "Accept-Encoding: gzip;q=x": false, "Accept-Encoding: identity, x-gzip": false,
		"Accept-Encoding: gzip\nRange: bytes=0-9": false,
	} {
		w := send(header)
		body := w.Body.Bytes()
		if got := w.Header().Get("Content-Encoding") == "gzip"; got != want || w.Header().Get("Vary") != "Accept-Encoding" {
			t.Errorf("%q: compressed %v, want %v; %v", header, got, want, w.Header())
		}
		if want {
			z, err := gzip.NewReader(bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			if body, err = io.ReadAll(z); err != nil || w.Body.Len() > 100 {
				t.Errorf("%q: %d bytes, %v", header, w.Body.Len(), err)
			}
		}
		if w.Code == http.StatusOK && !bytes.Equal(body, data) || w.Code == http.StatusPartialContent && !bytes.Equal(body, data[:10]) {
			t.Errorf("%q: the content differs", header)
		}
		tags[want] = w.Header().Get("ETag")
	}
	if tags[true] == tags[false] {
		t.Errorf("both forms have the entity tag %s", tags[true])
	}
	if w := send("Accept-Encoding: gzip\nIf-None-Match: " + tags[true]); w.Code != http.StatusNotModified || w.Body.Len() != 0 {
		t.Errorf("with its entity tag: %d with %d bytes", w.Code, w.Body.Len())
	}
}
