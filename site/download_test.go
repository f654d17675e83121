package site

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"spate/publish"
)

// random creates a file of n random bytes and returns its path and content.
func random(t testing.TB, n int, parts ...string) (path string, data []byte) {
	t.Helper()
	var b bytes.Buffer
	for i := 0; b.Len() < n; i++ {
		sum := sha256.Sum256(fmt.Append(nil, i))
		b.Write(sum[:])
	}
	path = sparse(t, 0, parts...)
	if err := os.WriteFile(path, b.Bytes()[:n], 0o644); err != nil {
		t.Fatal(err)
	}
	return path, b.Bytes()[:n]
}

func TestRange(t *testing.T) {
	f := newFixture(t, Options{})
	const n = 3<<20 + 17
	path, data := random(t, n, f.dir, "data.bin")
	sample(t, f.catalog, path, nil)
	etag := f.get("HEAD", "/d/data.bin").Header.Get("ETag")
	if !strings.HasPrefix(etag, `"`) || len(etag) < 40 {
		t.Fatalf("the ETag is %s, want a long quoted string", etag)
	}
	for _, c := range []struct {
		name       string
		header     []string
		status     int
		from, to   int // of the data
		rangeReply string
	}{
		{"all", nil, 200, 0, n, ""},
		{"middle", []string{"Range", "bytes=16384-32767"}, 206, 16384, 32768, fmt.Sprintf("bytes 16384-32767/%d", n)},
		{"first byte", []string{"Range", "bytes=0-0"}, 206, 0, 1, fmt.Sprintf("bytes 0-0/%d", n)},
		{"over a step", []string{"Range", "bytes=1000000-3000000"}, 206, 1000000, 3000001, fmt.Sprintf("bytes 1000000-3000000/%d", n)},
		{"to the end", []string{"Range", "bytes=3145728-"}, 206, 3 << 20, n, fmt.Sprintf("bytes 3145728-%d/%d", n-1, n)},
		{"last", []string{"Range", "bytes=-5"}, 206, n - 5, n, fmt.Sprintf("bytes %d-%d/%d", n-5, n-1, n)},
		{"past the end", []string{"Range", "bytes=99999999-"}, 416, 0, 0, fmt.Sprintf("bytes */%d", n)},
		{"the last none", []string{"Range", "bytes=-0"}, 416, 0, 0, fmt.Sprintf("bytes */%d", n)},
		{"to far behind the end", []string{"Range", "bytes=1-99999999999999999999"}, 206, 1, n, fmt.Sprintf("bytes 1-%d/%d", n-1, n)},
		{"from far behind the end", []string{"Range", "bytes=99999999999999999999-"}, 416, 0, 0, fmt.Sprintf("bytes */%d", n)},
		{"more than there is", []string{"Range", "Bytes=-99999999999999999999"}, 206, 0, n, fmt.Sprintf("bytes 0-%d/%d", n-1, n)},
		{"another unit", []string{"Range", "lines=1-2"}, 200, 0, n, ""},
		{"no numbers", []string{"Range", "bytes=a-b"}, 200, 0, n, ""},
		{"if-range same", []string{"Range", "bytes=1-2", "If-Range", etag}, 206, 1, 3, fmt.Sprintf("bytes 1-2/%d", n)},
		{"if-range other", []string{"Range", "bytes=1-2", "If-Range", `"other"`}, 200, 0, n, ""},
		{"if-none-match", []string{"If-None-Match", etag}, 304, 0, 0, ""},
		{"if-match other", []string{"If-Match", `"other"`}, 412, 0, 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			resp := f.get("GET", "/d/data.bin", c.header...)
			got := body(t, resp)
			if resp.StatusCode != c.status || resp.Header.Get("Content-Range") != c.rangeReply {
				t.Fatalf("the response is %s with Content-Range %q, want %d and %q", resp.Status, resp.Header.Get("Content-Range"), c.status, c.rangeReply)
			}
			if c.status < 300 && got != string(data[c.from:c.to]) {
				t.Errorf("the response has %d bytes, which are not the requested part", len(got))
			}
			if c.status < 300 && resp.Header.Get("Accept-Ranges") != "bytes" {
				t.Error("the response has no header Accept-Ranges")
			}
			head := f.get("HEAD", "/d/data.bin", c.header...)
			status, length := c.status, fmt.Sprint(n)
			if status == 206 || status == 416 {
				status = 200 // only GET has ranges (RFC 9110, 14.2)
			}
			if head.StatusCode != status || status == 200 && head.Header.Get("Content-Length") != length {
				t.Errorf("the response to HEAD is %s with Content-Length %s, want %d and %s", head.Status, head.Header.Get("Content-Length"), status, length)
			}
		})
	}

	resp := f.get("GET", "/d/data.bin", "Range", "bytes=0-9,100-109")
	_, params, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	parts := multipart.NewReader(resp.Body, params["boundary"])
	for _, want := range [][]byte{data[:10], data[100:110]} {
		p, err := parts.NextPart()
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := io.ReadAll(p); !bytes.Equal(got, want) {
			t.Errorf("the part is %q, want %q", got, want)
		}
	}
}

// TestCrossOrigin checks that scripts of other sites may request data, because web seeds in
// browsers do so, and may read the headers that these need.
func TestCrossOrigin(t *testing.T) {
	f := newFixture(t, Options{})
	f.release(t, "one.iso", 1000)
	pre := f.get("OPTIONS", "/d/one.iso", "Origin", "https://other.example",
		"Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "cache-control,range,user-agent")
	if pre.StatusCode != 204 || pre.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("the preflight response is %s with %v, want 204 for all origins", pre.Status, pre.Header)
	}
	allowed := strings.ToLower(pre.Header.Get("Access-Control-Allow-Headers"))
	for _, h := range []string{"range", "cache-control", "user-agent"} {
		if !strings.Contains(allowed, h) {
			t.Errorf("%s is not allowed by %q", h, allowed)
		}
	}
	for _, path := range []string{"/d/one.iso", "/t/one.iso.torrent", "/d/none"} {
		resp := f.get("GET", path, "Origin", "https://other.example", "Range", "bytes=0-9")
		if resp.Header.Get("Access-Control-Allow-Origin") != "*" || resp.Header.Get("Cross-Origin-Resource-Policy") != "cross-origin" {
			t.Errorf("%s: the header is %v, want access for all origins", path, resp.Header)
		}
		for _, h := range []string{"Content-Range", "Content-Length", "Accept-Ranges", "Link"} {
			if !strings.Contains(resp.Header.Get("Access-Control-Expose-Headers"), h) {
				t.Errorf("%s: scripts may not read the header %s", path, h)
			}
		}
	}
	if got := f.get("GET", "/r/one.iso").Header.Get("Access-Control-Allow-Origin"); got != "" {
		t.Errorf("scripts of %q may read the page", got)
	}
}

// TestOnlyWhatWasHashed checks that the site does not send a file that has changed since it
// was hashed, was replaced or removed, or is outside of the tree.
func TestOnlyWhatWasHashed(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(path string) error
		status int
		why    string
	}{
		{"untouched", func(string) error { return nil }, 200, ""},
		{"longer", func(p string) error { return os.Truncate(p, 101) }, 503, "it had 100 bytes and now has 101"},
		{"touched", func(p string) error { return os.Chtimes(p, time.Time{}, time.Now().Add(time.Hour)) }, 503, "it was modified"},
		{"removed", os.Remove, 503, "cannot be read"},
		{"a directory", func(p string) error { os.Remove(p); return os.Mkdir(p, 0o755) }, 503, "not a regular file"},
		{"a link to a file outside", func(p string) error {
			os.Remove(p)
			return os.Symlink("/etc/passwd", p)
		}, 503, "cannot be read"},
		{"a link to a directory outside", func(p string) error {
			os.RemoveAll(filepath.Dir(p))
			return os.Symlink("/etc", filepath.Dir(p))
		}, 503, "cannot be read"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, Options{})
			f.tree(t, "tree", "sub/passwd")
			if err := c.change(filepath.Join(f.dir, "tree", "sub", "passwd")); err != nil {
				t.Fatal(err)
			}
			resp := f.get("GET", "/d/tree/sub/passwd")
			got := body(t, resp)
			if resp.StatusCode != c.status || !strings.Contains(got, c.why) {
				t.Errorf("the response is %s with the body %q, want %d with %q", resp.Status, got, c.status, c.why)
			}
			if strings.Contains(got, f.dir) {
				t.Errorf("the response contains a path of this machine: %q", got)
			}
			if c.status == 503 && resp.Header.Get("Retry-After") == "" {
				t.Error("the response has no header Retry-After")
			}
		})
	}
}

// TestFileBeingChecked checks that the site names the reason, and asks to come back, while the data
// of a file is checked.
func TestFileBeingChecked(t *testing.T) {
	f := newFixture(t, Options{Open: func(context.Context, *publish.Release, int) (*publish.Content, error) {
		return nil, publish.ErrUnchecked
	}})
	f.tree(t, "tree", "a")
	resp := f.get("GET", "/d/tree/a")
	got := body(t, resp)
	if resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" || !strings.Contains(got, "The file is being checked") || strings.Contains(got, "cannot be read") {
		t.Errorf("the response is %s with the body %q, want 503, Retry-After and the reason", resp.Status, got)
	}
}

func TestNoWayOut(t *testing.T) {
	f := newFixture(t, Options{})
	f.tree(t, "tree", "a")
	sparse(t, 6, f.dir, "secret")
	ts := httptest.NewServer(f)
	defer ts.Close()
	for _, path := range []string{
		"/d/tree/../secret", "/d/tree/%2e%2e/secret", "/d/tree/..%2fsecret", "/d/tree/%2e%2e%2fsecret", `/d/tree/..\secret`,
		"/d/..%2fsecret", "/d/%2e%2e/secret", "/d//secret", "/d/tree//a", "/d/tree/./a/../../secret", "/d/tree/a%00", "/d/tree/%2fetc%2fpasswd",
		"/static/../handler.go", "/static/..%2ftemplates%2flayout.html", "/t/..%2fsecret.torrent",
	} {
		// Send the request without an HTTP client, which would clean the path.
		conn, err := net.Dial("tcp", ts.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path)
		answer, _ := io.ReadAll(conn)
		conn.Close()
		if bytes.HasPrefix(answer, []byte("HTTP/1.1 200")) || bytes.Contains(answer, make([]byte, 6)) {
			t.Errorf("the response to %s contains data: %s", path, answer)
		}
	}
}

// fromFile is a connection that records whether ReadFrom is called with the file itself,
// which is necessary for sendfile.
type fromFile struct {
	httptest.ResponseRecorder
	files, others int
}

func (w *fromFile) ReadFrom(src io.Reader) (int64, error) {
	r := src
	for {
		l, ok := r.(*io.LimitedReader)
		if !ok {
			break
		}
		r = l.R
	}
	if _, ok := r.(*os.File); ok {
		w.files++
	} else {
		w.others++
	}
	return io.Copy(&w.ResponseRecorder, src)
}

func TestSendfile(t *testing.T) {
	f := newFixture(t, Options{})
	rel := f.release(t, "data.bin", 5<<20)
	w := &fromFile{ResponseRecorder: *httptest.NewRecorder()}
	f.ServeHTTP(w, httptest.NewRequest("GET", "/d/data.bin", nil))
	if w.files < 5 || w.others != 0 || w.Body.Len() != 5<<20 {
		t.Errorf("ReadFrom received the file %d times, and another reader %d times, for %d bytes", w.files, w.others, w.Body.Len())
	}
	if got := f.Sent(rel.Hash()); got != 5<<20 {
		t.Errorf("Sent is %d, want 5 MiB", got)
	}
}

// TestChangedWhileSent checks that the connection breaks off if the file changes during a
// download.
func TestChangedWhileSent(t *testing.T) {
	f := newFixture(t, Options{})
	f.release(t, "data.bin", 64<<20)
	path := filepath.Join(f.dir, "data.bin-data")
	if _, err := os.Stat(path); err != nil {
		matches, _ := filepath.Glob(filepath.Join(f.dir, "*-data"))
		path = matches[0]
	}
	ts := httptest.NewServer(f)
	defer ts.Close()
	resp, err := http.Get(ts.URL + "/d/data.bin")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.ReadFull(resp.Body, make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, time.Time{}, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, resp.Body); err == nil {
		t.Errorf("the download of a changed file succeeded with %d more bytes", n)
	}
}

// TestStall checks that a download ends if its client reads nothing.
func TestStall(t *testing.T) {
	t.Parallel()
	const stall = time.Minute
	withVisitors(t, Options{MaxDownloads: 1, Wait: -1, Stall: stall}, false, 64<<20, func(w *visitors) {
		w.holdSlot(manyNetworks(0), 0, 0)
		time.Sleep(time.Second)
		if _, busy := w.visit(manyNetworks(1), "/d/data.bin"); busy.StatusCode != http.StatusServiceUnavailable || busy.Header.Get("Retry-After") == "" {
			t.Errorf("the second download got %s, want 503 with Retry-After", busy.Status)
		}
		time.Sleep(stall / 2)
		if downloads, _ := w.site.Pools(); downloads.Held != 1 {
			t.Errorf("after %v %d downloads have a slot, want one", stall/2, downloads.Held)
		}
		time.Sleep(stall)
		if downloads, _ := w.site.Pools(); downloads.Held != 0 || downloads.Evicted != 0 {
			t.Errorf("the stalled download keeps its slot, or another one took it: %+v", downloads)
		}
	})
}

// TestKeepAlive checks that the deadline of a download does not apply to later requests on the
// same connection.
func TestKeepAlive(t *testing.T) {
	t.Parallel()
	const stall = time.Minute
	withVisitors(t, Options{Stall: stall}, false, 1000, func(w *visitors) {
		conn, resp := w.visit(honestAddr, "/d/data.bin")
		for n := range 3 {
			b, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != http.StatusOK || len(b) == 0 {
				t.Fatalf("answer %d is %s with %d bytes, %v", n, resp.Status, len(b), err)
			}
			time.Sleep(2 * stall)
			fmt.Fprint(conn, "GET /r/data.bin HTTP/1.1\r\nHost: localhost\r\n\r\n")
			if resp, err = http.ReadResponse(bufio.NewReader(conn), nil); err != nil {
				t.Fatalf("a request %v after a download: %v", 2*stall, err)
			}
		}
	})
}

// TestPadsTakePlaces checks that pad files use a download slot, and that their bytes count
// for the budget.
func TestPadsTakePlaces(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{MaxDownloads: 1, Wait: -1})
	rel := f.tree(t, "tree", "a")
	slot := f.downloads.enter(t.Context(), 0, 0, nil)
	if resp := f.get("GET", "/d/tree/.pad/1000"); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a pad file without a free slot gave %s, want 503", resp.Status)
	}
	slot.leave()
	if got := body(t, f.get("GET", "/d/tree/.pad/1000")); len(got) != 1000 || f.Sent(rel.Hash()) != 1000 {
		t.Errorf("the pad file has %d bytes and %d were counted, want 1000 of both", len(got), f.Sent(rel.Hash()))
	}
}
