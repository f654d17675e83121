package site

import (
	"net/http"
	"slices"
	"strings"

	"spate/internal/weburl"
)

// resolve returns the request for the handlers: r without the path of the base URL, and with
// one encoding for each path. If r has another spelling of a path, with dot segments or empty
// segments, or the path of the base URL without a slash at the end, resolve returns the path
// to redirect to instead. That path starts with a slash and a name, so that it cannot lead to
// another host.
//
// A proxy may or may not remove the path of the base URL. If the path also starts like a path
// of the site (/d, for example), both readings are tried.
func (s *Site) resolve(r *http.Request) (route *http.Request, redirect string) {
	given, err := weburl.Segments(weburl.RawPath(r.URL))
	if err != nil {
		return r, "" // net/http has refused such a path
	}
	segments := withoutDots(given)
	prefix, _ := weburl.Segments(s.prefix)
	below, found := weburl.CutPrefix(segments, prefix)
	moved := !slices.Equal(segments, given)
	if len(prefix) == 0 || !found {
		below, moved = segments, moved && len(segments) > 0
	} else if len(below) == 0 {
		below, moved = []string{""}, true
	}
	if route = weburl.WithPath(r, below); found && len(prefix) > 0 && !moved && !s.routed(route) {
		route = weburl.WithPath(r, segments)
	}
	if !moved {
		return route, ""
	}
	to := s.prefix + weburl.Encode(below)
	if r.URL.RawQuery != "" {
		to += "?" + r.URL.RawQuery
	}
	return nil, to
}

// routed reports whether r has the path of a page or a file.
func (s *Site) routed(r *http.Request) bool {
	_, pattern := s.mux.Handler(r)
	return pattern != "/" && pattern != "OPTIONS /"
}

// withoutDots returns segments without dot segments (RFC 3986, 5.2.4) and without empty
// segments, except for the last one.
func withoutDots(segments []string) []string {
	out := make([]string, 0, len(segments))
	for i, s := range segments {
		last := i == len(segments)-1
		switch {
		case s == ".." && len(out) > 0:
			out = out[:len(out)-1]
		case s != "" && s != "." && s != "..":
			out = append(out, s)
			continue
		}
		if last && len(out) > 0 {
			out = append(out, "")
		}
	}
	return out
}

// redirect answers with a redirect to a path of the site.
func redirect(w http.ResponseWriter, status int, path string) {
	w.Header().Set("Location", path)
	w.WriteHeader(status)
}

// filePath returns the path of a file in a release: the decoded segments after /d/REF/ or
// /w/REF/. It returns a path that no file has if a segment contains a slash.
func filePath(r *http.Request) string {
	segments, err := weburl.Segments(weburl.RawPath(r.URL))
	if err != nil || len(segments) < 3 {
		return ""
	}
	if slices.ContainsFunc(segments[2:], func(s string) bool { return strings.Contains(s, "/") }) {
		return "\x00"
	}
	return strings.Join(segments[2:], "/")
}
