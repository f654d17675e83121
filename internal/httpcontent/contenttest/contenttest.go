// Package contenttest checks handlers that answer with content: the methods, the headers and the
// conditional requests that clients, caches and proxies rely on.
package contenttest

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
)

// Exempt lists the properties that a path does not have.
type Exempt struct {
	ETag   bool // the content is a stream or changes with each request
	Method bool // other methods than GET and HEAD are allowed
}

// Content checks that h answers GET for the path with 200, HEAD with the same header and no body,
// a known ETag with 304, and a wrong method with 405 and Allow.
func Content(t *testing.T, h http.Handler, path string, e Exempt) {
	t.Helper()
	get := request(h, "GET", path, nil)
	header := get.Header()
	if get.Code != http.StatusOK || header.Get("X-Content-Type-Options") != "nosniff" || header.Get("Content-Type") == "" {
		t.Errorf("GET %s gave %d with the header %v, want 200, a Content-Type and nosniff", path, get.Code, header)
		return
	}
	if kind := header.Get("Content-Type"); strings.HasPrefix(kind, "text/") && !strings.Contains(kind, "charset=utf-8") && kind != "text/event-stream" {
		t.Errorf("GET %s gave the Content-Type %s, want a charset", path, kind)
	}
	if header.Get("Cache-Control") == "" {
		t.Errorf("GET %s gave no Cache-Control", path)
	}
	if !e.Method {
		for _, method := range []string{"POST", "PUT", "DELETE"} {
			r := request(h, method, path, nil)
			if allow := r.Header().Get("Allow"); r.Code != http.StatusMethodNotAllowed || !strings.Contains(allow, "GET") || !strings.Contains(allow, "HEAD") {
				t.Errorf("%s %s gave %d and Allow %q, want 405 and the methods", method, path, r.Code, allow)
			}
		}
	}
	head := request(h, "HEAD", path, nil)
	if got, want := headerOf(head, e), headerOf(get, e); head.Code != http.StatusOK || got != want {
		t.Errorf("HEAD %s gave %d with the header\n%s\nwant that of GET:\n%s", path, head.Code, got, want)
	}
	if head.Body.Len() > 0 {
		t.Errorf("HEAD %s gave a body", path)
	}
	if e.ETag {
		return
	}
	if length := header.Get("Content-Length"); length != strconv.Itoa(get.Body.Len()) {
		t.Errorf("GET %s gave Content-Length %q and %d bytes", path, length, get.Body.Len())
	}
	tag := header.Get("ETag")
	if !strings.HasPrefix(tag, `"`) {
		t.Errorf("GET %s gave the ETag %q, want a strong one", path, tag)
		return
	}
	for method, want := range map[string]int{"GET": http.StatusNotModified, "HEAD": http.StatusNotModified} {
		for _, match := range []string{tag, "W/" + tag, `"x", ` + tag, "*"} {
			r := request(h, method, path, map[string]string{"If-None-Match": match})
			if r.Code != want || r.Body.Len() > 0 || r.Header().Get("ETag") != tag {
				t.Errorf("%s %s with If-None-Match %s gave %d and %d bytes, want 304 with the ETag and no body", method, path, match, r.Code, r.Body.Len())
			}
		}
	}
	if r := request(h, "GET", path, map[string]string{"If-None-Match": `"x"`}); r.Code != http.StatusOK {
		t.Errorf("GET %s with another ETag gave %d, want 200", path, r.Code)
	}
}

// headerOf returns the header of an answer as text. If the content changes with each request, it
// has Content-Length without its value.
func headerOf(w *httptest.ResponseRecorder, e Exempt) string {
	header := w.Header().Clone()
	if e.ETag && header.Get("Content-Length") != "" {
		header.Set("Content-Length", "any")
	}
	var b strings.Builder
	header.Write(&b)
	return b.String()
}

// request returns the answer of h. A HEAD request has no body on the wire; the recorder shows
// whether the handler wrote one, which package net/http drops.
func request(h http.Handler, method, path string, header map[string]string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	for name, value := range header {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}
