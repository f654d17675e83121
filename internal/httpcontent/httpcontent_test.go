package httpcontent

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestServe checks ranges and conditions against RFC 9110 for content of several sizes.
func TestServe(t *testing.T) {
	t.Parallel()
	modified := time.Date(2026, 1, 2, 3, 4, 5, 600, time.UTC)
	const date, later, tag = "Fri, 02 Jan 2026 03:04:05 GMT", "Fri, 02 Jan 2026 03:04:06 GMT", `"t"`
	many := "bytes=" + strings.TrimSuffix(strings.Repeat("0-0,", maxRanges+1), ",")
	for _, c := range []struct {
		method string
		size   int
		header string // lines of "Name: value"
		status int
		ranges string // Content-Range
		length int    // of the body
	}{
		{"GET", 10, "", 200, "", 10}, {"GET", 0, "", 200, "", 0}, {"HEAD", 10, "", 200, "", 0},
		{"GET", 10, "Range: bytes=2-4", 206, "bytes 2-4/10", 3}, {"GET", 10, "Range: BYTES=2-4", 206, "bytes 2-4/10", 3},
		{"GET", 10, "Range: bytes=9-9", 206, "bytes 9-9/10", 1}, {"GET", 10, "Range: bytes=5-", 206, "bytes 5-9/10", 5},
		{"GET", 10, "Range: bytes=5-99999999999999999999", 206, "bytes 5-9/10", 5}, {"GET", 10, "Range: bytes=-3", 206, "bytes 7-9/10", 3},
		{"GET", 10, "Range: bytes=-30", 206, "bytes 0-9/10", 10}, {"GET", 10, "Range: bytes=-99999999999999999999", 206, "bytes 0-9/10", 10},
		{"GET", 10, "Range: bytes=00-00", 206, "bytes 0-0/10", 1}, {"GET", 10, "Range: bytes= , 2-4 ,", 206, "bytes 2-4/10", 3},
		{"GET", 10, "Range: bytes=20-,2-4", 206, "bytes 2-4/10", 3}, {"GET", 10, "Range: bytes=-0,2-4", 206, "bytes 2-4/10", 3},
		{"GET", 10, "Range: bytes=10-", 416, "bytes */10", -1}, {"GET", 10, "Range: bytes=10-20", 416, "bytes */10", -1}, {"GET", 10, "Range: bytes=-0", 416, "bytes */10", -1},
		{"GET", 10, "Range: bytes=-00,11-", 416, "bytes */10", -1}, {"GET", 10, "Range: bytes=99999999999999999999-", 416, "bytes */10", -1},
		{"GET", 10, "Range: bytes=99999999999999999999-99999999999999999998", 200, "", 10},
		{"GET", 10, "Range: bytes=4-2", 200, "", 10}, {"GET", 10, "Range: bytes=1-2,4-2", 200, "", 10}, {"GET", 10, "Range: bytes=", 200, "", 10}, {"GET", 10, "Range: bytes=,", 200, "", 10},
		{"GET", 10, "Range: bytes", 200, "", 10}, {"GET", 10, "Range: bytes=-", 200, "", 10}, {"GET", 10, "Range: bytes=a-b", 200, "", 10}, {"GET", 10, "Range: bytes=1", 200, "", 10},
		{"GET", 10, "Range: bytes=1-2-3", 200, "", 10}, {"GET", 10, "Range: bytes=+1-2", 200, "", 10}, {"GET", 10, "Range: bytes=1 - 2", 200, "", 10}, {"GET", 10, "Range: bytes =1-2", 200, "", 10},
		{"GET", 10, "Range: lines=1-2", 200, "", 10}, {"GET", 10, "Range: bytes=1-2\nRange: bytes=3-4", 200, "", 10}, {"GET", 10, "Range: " + many, 200, "", 10},
		{"GET", 10, "Range: bytes=0-9,0-9", 200, "", 10}, {"GET", 1000, "Range: bytes=0-0,-1", 206, "", -1},
		{"GET", 0, "Range: bytes=0-", 416, "bytes */0", 0}, {"GET", 0, "Range: bytes=0-0", 416, "bytes */0", 0}, {"GET", 0, "Range: bytes=-0", 416, "bytes */0", 0},
		{"GET", 0, "Range: bytes=5-6", 416, "bytes */0", 0}, {"GET", 0, "Range: bytes=-5", 200, "", 0}, {"GET", 0, "Range: bytes=0-,-5", 200, "", 0}, {"GET", 0, "Range: bytes=x", 200, "", 0},
		{"GET", 1, "Range: bytes=0-", 206, "bytes 0-0/1", 1}, {"GET", 1, "Range: bytes=1-", 416, "bytes */1", -1},
		{"HEAD", 10, "Range: bytes=2-4", 200, "", 0}, {"HEAD", 10, "Range: bytes=20-", 200, "", 0}, {"HEAD", 0, "Range: bytes=0-", 200, "", 0},

		{"GET", 10, "Range: bytes=2-4\nIf-Range: " + tag, 206, "bytes 2-4/10", 3}, {"GET", 10, "Range: bytes=2-4\nIf-Range: W/" + tag, 200, "", 10},
		{"GET", 10, "Range: bytes=2-4\nIf-Range: \"x\"", 200, "", 10}, {"GET", 10, "Range: bytes=2-4\nIf-Range: " + date, 206, "bytes 2-4/10", 3},
		{"GET", 10, "Range: bytes=2-4\nIf-Range: " + later, 200, "", 10}, {"GET", 10, "Range: bytes=2-4\nIf-Range: x", 200, "", 10}, {"GET", 10, "If-Range: \"x\"", 200, "", 10},
		{"GET", 10, "Range: bytes=20-\nIf-Range: \"x\"", 200, "", 10}, {"GET", 0, "Range: bytes=0-\nIf-Range: \"x\"", 200, "", 0}, {"GET", 0, "Range: bytes=0-\nIf-Range: " + tag, 416, "bytes */0", 0},

		{"GET", 10, "If-Match: " + tag, 200, "", 10}, {"GET", 10, "If-Match: *", 200, "", 10}, {"GET", 10, "If-Match: \"a\", " + tag, 200, "", 10}, {"GET", 10, "If-Match: \"a\"\nIf-Match: " + tag, 200, "", 10},
		{"GET", 10, "If-Match: W/" + tag, 412, "", 0}, {"GET", 10, "If-Match: \"a\"", 412, "", 0}, {"HEAD", 10, "If-Match: \"a\"", 412, "", 0}, {"GET", 0, "If-Match: \"a\"\nRange: bytes=0-", 412, "", 0},
		{"GET", 10, "If-None-Match: " + tag, 304, "", 0}, {"GET", 10, "If-None-Match: W/" + tag, 304, "", 0}, {"GET", 10, "If-None-Match: *", 304, "", 0}, {"HEAD", 10, "If-None-Match: *", 304, "", 0},
		{"GET", 10, "If-None-Match: \"a\"\nIf-None-Match: " + tag, 304, "", 0}, {"GET", 10, "If-None-Match: \"a\"", 200, "", 10}, {"GET", 10, "If-None-Match: " + tag + "\nRange: bytes=20-", 304, "", 0},
		{"GET", 0, "If-None-Match: " + tag + "\nRange: bytes=0-", 304, "", 0},
		{"GET", 10, "If-Modified-Since: " + date, 304, "", 0}, {"GET", 10, "If-Modified-Since: " + later, 304, "", 0}, {"GET", 10, "If-Modified-Since: Thu, 01 Jan 2026 03:04:05 GMT", 200, "", 10},
		{"GET", 10, "If-Modified-Since: x", 200, "", 10}, {"GET", 10, "If-Modified-Since: " + later + "\nIf-None-Match: \"a\"", 200, "", 10},
		{"GET", 10, "If-Unmodified-Since: " + date, 200, "", 10}, {"GET", 10, "If-Unmodified-Since: Thu, 01 Jan 2026 03:04:05 GMT", 412, "", 0}, {"GET", 10, "If-Unmodified-Since: x", 200, "", 10},
		{"GET", 10, "If-Unmodified-Since: Thu, 01 Jan 2026 03:04:05 GMT\nIf-Match: " + tag, 200, "", 10}, {"GET", 10, "If-Match: " + tag + "\nIf-None-Match: " + tag, 304, "", 0},
	} {
		r := httptest.NewRequest(c.method, "/", nil)
		for line := range strings.SplitSeq(c.header, "\n") {
			if name, value, ok := strings.Cut(line, ": "); ok {
				r.Header.Add(name, value)
			}
		}
		w := httptest.NewRecorder()
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("ETag", tag)
		Serve(w, r, modified, strings.NewReader(strings.Repeat("x", c.size)), int64(c.size))
		if w.Code != c.status || w.Header().Get("Content-Range") != c.ranges || c.length >= 0 && w.Body.Len() != c.length {
			t.Errorf("%s of %d bytes with %q gave %d, Content-Range %q and %d bytes; want %d, %q and %d",
				c.method, c.size, c.header, w.Code, w.Header().Get("Content-Range"), w.Body.Len(), c.status, c.ranges, c.length)
		}
	}
	w := httptest.NewRecorder()
	w.Header().Set("Content-Type", "text/plain")
	Serve(w, httptest.NewRequest("GET", "/", nil), time.Now().Add(time.Hour), strings.NewReader("x"), 1)
	if w.Header().Get("Last-Modified") != "" {
		t.Errorf("the time of modification %s is in the future", w.Header().Get("Last-Modified"))
	}
}
