package api

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestWebDAVOfOtherClients sends the requests with which rclone, file managers and davfs2 begin, with
// and without a slash at the end of the address.
func TestWebDAVOfOtherClients(t *testing.T) {
	t.Parallel()
	s := NewServer(&fake{}, ServerOptions{})
	const rclone = `<?xml version="1.0"?><d:propfind xmlns:d="DAV:" xmlns:oc="http://owncloud.org/ns"><d:prop><d:displayname/><d:getlastmodified/><d:getcontentlength/><d:resourcetype/><oc:checksums/></d:prop></d:propfind>`
	const quota = `<propfind xmlns="DAV:"><prop><quota-available-bytes/><resourcetype/></prop></propfind>`
	for _, c := range []struct {
		method, path, depth, body string
		status                    int
		has                       string
	}{
		{"OPTIONS", "/dav", "", "", http.StatusOK, ""},
		{"PROPFIND", "/dav", "0", quota, http.StatusMultiStatus, "<D:href>/dav/</D:href>"},
		{"PROPFIND", "/dav", "1", rclone, http.StatusMultiStatus, "<D:href>/dav/film.mkv</D:href>"},
		{"PROPFIND", "/dav/", "1", "", http.StatusMultiStatus, "<D:getcontentlength>4</D:getcontentlength>"},
		{"PROPFIND", "/dav/film.mkv", "0", rclone, http.StatusMultiStatus, "404 Not Found"}, // for the checksums
		{"PROPFIND", "/dav", "infinity", "", http.StatusForbidden, "propfind-finite-depth"},
		{"PROPFIND", "/dav/none/", "1", "", http.StatusNotFound, ""},
		{"PUT", "/dav", "", "x", http.StatusMethodNotAllowed, ""},
		{"GET", "/dav", "", "", http.StatusMethodNotAllowed, "directory"},
	} {
		r := httptest.NewRequest(c.method, c.path, strings.NewReader(c.body))
		if c.depth != "" {
			r.Header.Set("Depth", c.depth)
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.has) {
			t.Errorf("%s %s with depth %q: status %d, %s", c.method, c.path, c.depth, w.Code, w.Body)
		}
	}
}
