package webseed

import (
	"bytes"
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"spate/bencode"
	"spate/internal/netguard"
	"spate/metainfo"
)

// single returns a torrent of one file of n bytes. Its piece hashes match no data.
func single(t testing.TB, name string, n int64) *metainfo.MetaInfo {
	t.Helper()
	return parsed(t, func(b []byte) []byte {
		b = bencode.AppendString(b, "length")
		return bencode.AppendInt(b, n)
	}, name, n)
}

// file is a file of a torrent.
type file struct {
	path []string
	n    int64
	attr string
}

// several returns a torrent of several files.
func several(t testing.TB, name string, files ...file) *metainfo.MetaInfo {
	t.Helper()
	total := int64(0)
	for _, f := range files {
		total += f.n
	}
	return parsed(t, func(b []byte) []byte {
		b = bencode.AppendString(b, "files")
		b = append(b, 'l')
		for _, f := range files {
			b = bencode.AppendDict(b)
			if f.attr != "" {
				b = bencode.AppendString(b, "attr")
				b = bencode.AppendString(b, f.attr)
			}
			b = bencode.AppendString(b, "length")
			b = bencode.AppendInt(b, f.n)
			b = bencode.AppendString(b, "path")
			b = append(b, 'l')
			for _, part := range f.path {
				b = bencode.AppendString(b, part)
			}
			b = append(b, "ee"...)
		}
		return append(b, 'e')
	}, name, total)
}

func parsed(t testing.TB, what func([]byte) []byte, name string, total int64) *metainfo.MetaInfo {
	t.Helper()
	const pieceLength = 16 << 10
	b := what(bencode.AppendDict(bencode.AppendString(bencode.AppendDict(nil), "info")))
	b = bencode.AppendString(b, "name")
	b = bencode.AppendString(b, name)
	b = bencode.AppendString(b, "piece length")
	b = bencode.AppendInt(b, pieceLength)
	b = bencode.AppendString(b, "pieces")
	b = bencode.AppendString(b, make([]byte, sha1.Size*((total+pieceLength-1)/pieceLength)))
	mi, err := metainfo.Parse(append(b, "ee"...))
	if err != nil {
		t.Fatal(err)
	}
	return mi
}

func source(t testing.TB, mi *metainfo.MetaInfo, u string) *Source {
	t.Helper()
	s, err := NewLayout(mi).Source(u)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestURL checks the URLs of files as BEP 19 defines them, including names with characters
// that have a meaning in URLs.
func TestURL(t *testing.T) {
	one := single(t, "a b.iso", 5)
	tree := several(t, "tree", file{path: []string{"x"}, n: 5}, file{path: []string{"sub dir", "50%+ö#?.bin"}, n: 5}, file{path: []string{"aux"}, n: 5})
	for _, c := range []struct {
		mi   *metainfo.MetaInfo
		base string
		file int
		want string
	}{
		{one, "http://h/files/other.iso", 0, "http://h/files/other.iso"},
		{one, "http://h/get?id=5#part", 0, "http://h/get?id=5"},
		{one, "http://h/files/", 0, "http://h/files/a%20b.iso"},
		{one, "http://h/a%2Fb/", 0, "http://h/a%2Fb/a%20b.iso"},
		{one, "http://h", 0, "http://h/a%20b.iso"},
		{one, "https://h/files/?key=1", 0, "https://h/files/a%20b.iso?key=1"},
		{tree, "http://h/files/", 0, "http://h/files/tree/x"},
		{tree, "http://h/files", 0, "http://h/files/tree/x"},
		{tree, "http://h", 1, "http://h/tree/sub%20dir/50%25%2B%C3%B6%23%3F.bin"},
		{tree, "http://h/", 2, "http://h/tree/aux"}, // the name of a device on some systems, renamed on this machine
	} {
		u, err := source(t, c.mi, c.base).URL(c.file)
		if err != nil || u.String() != c.want {
			t.Errorf("%s, file %d: %v, %v, want %s", c.base, c.file, u, err, c.want)
		}
	}
	for _, bad := range []string{"", "ftp://h/x", "http://", "http:x", "file:///etc/passwd", "http://h/%zz", "http://h:port/", "http://h/\n"} {
		if s, err := NewLayout(one).Source(bad); err == nil {
			t.Errorf("%q is accepted as a web seed: %v", bad, s)
		}
	}
}

// client returns a client of servers on this machine.
func client(t testing.TB) *Client {
	c := NewClient(Options{UserAgent: "test", Stall: 5 * time.Minute})
	t.Cleanup(c.Close)
	return c
}

// read reads a range in parts of step bytes.
func read(c *Client, s *Source, off, n int64, step int) ([]byte, error) {
	k := c.Connect(context.Background(), s)
	defer k.Close()
	r := k.Open(off, n)
	defer r.Close()
	out := make([]byte, 0, n)
	for int64(len(out)) < n {
		m := min(step, int(n)-len(out))
		out = out[:len(out)+m]
		if err := r.Fill(out[len(out)-m:]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// noise returns n random bytes.
func noise(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 7 >> (i % 5))
	}
	return b
}

// TestRanges checks ranges over files, empty files and padding.
func TestRanges(t *testing.T) {
	files := []file{
		{path: []string{"a"}, n: 20000}, {path: []string{".pad", "12768"}, n: 12768, attr: "p"}, {path: []string{"empty"}},
		{path: []string{"d", "b"}, n: 1}, {path: []string{"d", "c"}, n: 40000},
	}
	var want []byte
	content := map[string][]byte{}
	for i, f := range files {
		data := noise(int(f.n))
		if f.attr == "p" {
			clear(data)
		} else {
			content["/seed/tree/"+strings.Join(f.path, "/")] = data
		}
		files[i].n = int64(len(data))
		want = append(want, data...)
	}
	var requests atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		data, ok := content[r.URL.Path]
		if !ok || r.Header.Get("Range") == "" || r.Header.Get("Accept-Encoding") != "identity" {
			t.Errorf("asked for %s, %v", r.URL, r.Header)
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
	}))
	defer srv.Close()
	s := source(t, several(t, "tree", files...), srv.URL+"/seed/")
	c := client(t)
	for _, r := range [][2]int{{0, len(want)}, {0, 16384}, {16384, 16384}, {19999, 2}, {20000, 12768}, {32767, 3}, {32769, 1}, {60000, len(want) - 60000}} {
		for _, step := range []int{16384, 1000, 1 << 20} {
			got, err := read(c, s, int64(r[0]), int64(r[1]), step)
			if err != nil || !bytes.Equal(got, want[r[0]:r[0]+r[1]]) {
				t.Errorf("%d bytes from %d in steps of %d: %d bytes, %v", r[1], r[0], step, len(got), err)
			}
		}
	}
	requests.Store(0)
	if _, err := read(c, s, 20000, 12768, 16384); err != nil || requests.Load() > 0 {
		t.Errorf("padding: %d requests, %v", requests.Load(), err)
	}
	if _, err := read(c, s, 0, int64(len(want)), 16384); err != nil || requests.Load() != 3 {
		t.Errorf("everything: %d requests, %v", requests.Load(), err)
	}
}

// TestRangesOverGaps checks ranges over the gaps between the files of a v2 torrent, which
// no server has.
func TestRangesOverGaps(t *testing.T) {
	mi := single(t, "x", 1)
	mi.Info.Files = []metainfo.File{{Path: []string{"a"}, Length: 5}, {Path: []string{"empty"}, Offset: 5}, {Path: []string{"b"}, Length: 5, Offset: 16384}}
	l := NewLayout(mi)
	var got []extent
	for off := int64(0); off < 16389; {
		e := l.extent(off, 16389-off)
		got = append(got, e)
		off += e.length
	}
	if want := []extent{{0, 0, 5}, {-1, 0, 16379}, {2, 0, 5}}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestWrongAnswersAreErrors checks the error for each kind of wrong answer, and that none
// of its bytes are returned.
func TestWrongAnswersAreErrors(t *testing.T) {
	const size = 100_000
	data := noise(size)
	part := func(w http.ResponseWriter, contentRange string, b []byte) {
		if contentRange != "" {
			w.Header().Set("Content-Range", contentRange)
		}
		w.WriteHeader(http.StatusPartialContent)
		w.Write(b)
	}
	const asked = "bytes 1000-50999/100000"
	good := data[1000:51000]
	type verdict int
	const (
		fine     verdict = iota
		file             // FileError that does not pass soon
		soon             // FileError that is temporary
		noRanges         // FileError of a server without ranges
		busy
		server
	)
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   verdict
	}{
		"right":            {func(w http.ResponseWriter, r *http.Request) { part(w, asked, good) }, fine},
		"unit in capitals": {func(w http.ResponseWriter, r *http.Request) { part(w, "BYTES 1000-50999/100000", good) }, fine},
		"several parts": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "multipart/byteranges; boundary=x")
			part(w, "", good)
		}, file},
		"negative range":     {func(w http.ResponseWriter, r *http.Request) { part(w, "bytes -1000-50999/100000", good) }, file},
		"beyond the end":     {func(w http.ResponseWriter, r *http.Request) { part(w, "bytes 1000-150999/*", good) }, file},
		"another unit":       {func(w http.ResponseWriter, r *http.Request) { part(w, "items 1000-50999/100000", good) }, file},
		"a larger range":     {func(w http.ResponseWriter, r *http.Request) { part(w, "bytes 1000-59999/100000", data[1000:60000]) }, fine},
		"of a secret length": {func(w http.ResponseWriter, r *http.Request) { part(w, "bytes 1000-50999/*", good) }, fine},
		"in chunks": {func(w http.ResponseWriter, r *http.Request) {
			part(w, asked, good[:5])
			w.(http.Flusher).Flush()
			w.Write(good[5:])
		}, fine},
		"the whole file":         {func(w http.ResponseWriter, r *http.Request) { w.Write(data) }, noRanges},
		"a page":                 {func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("not here")) }, file},
		"no range named":         {func(w http.ResponseWriter, r *http.Request) { part(w, "", good) }, file},
		"another range":          {func(w http.ResponseWriter, r *http.Request) { part(w, "bytes 0-49999/100000", data[:50000]) }, file},
		"a shorter range":        {func(w http.ResponseWriter, r *http.Request) { part(w, "bytes 1000-1999/100000", data[1000:2000]) }, file},
		"of another file":        {func(w http.ResponseWriter, r *http.Request) { part(w, "bytes 1000-50999/200000", good) }, file},
		"fewer bytes":            {func(w http.ResponseWriter, r *http.Request) { part(w, asked, good[:40000]) }, file},
		"more bytes":             {func(w http.ResponseWriter, r *http.Request) { part(w, asked, data[1000:60000]) }, file},
		"fewer bytes, in chunks": {func(w http.ResponseWriter, r *http.Request) { part(w, asked, nil); flushed(w, good[:40000]) }, file},
		"more bytes, in chunks":  {func(w http.ResponseWriter, r *http.Request) { part(w, asked, nil); flushed(w, data[1000:60000]) }, file},
		"compressed": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			part(w, asked, good)
		}, file},
		"not found":      {func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }, file},
		"forbidden":      {func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no", http.StatusForbidden) }, file},
		"no such range":  {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusRequestedRangeNotSatisfiable) }, file},
		"nothing new":    {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNotModified) }, file},
		"a circle":       {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) }, file},
		"off to nowhere": {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusFound) }, file},
		"off to ftp":     {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "ftp://h/x", http.StatusFound) }, file},
		"off to metadata": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://169.254.169.254/x", http.StatusFound)
		}, file},
		"busy":            {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }, busy},
		"too many":        {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusTooManyRequests) }, busy},
		"a bad day":       {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusBadGateway) }, soon},
		"failed":          {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusInternalServerError) }, soon},
		"a slow gateway":  {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusGatewayTimeout) }, soon},
		"a slow client":   {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusRequestTimeout) }, soon},
		"too early":       {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusTooEarly) }, soon},
		"not implemented": {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNotImplemented) }, file},
		"no content":      {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNoContent) }, file},
		"off by magnet": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567")
			w.WriteHeader(http.StatusSeeOther)
		}, file},
		"off for an hour": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "3600")
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}, busy},
		"cut at once": {func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) }, soon},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := httptest.NewServer(c.answer)
			defer srv.Close()
			got, err := read(client(t), source(t, single(t, "x", size), srv.URL+"/x"), 1000, 50000, 16384)
			var fe *FileError
			var bu *BusyError
			is := fine
			switch {
			case errors.As(err, &fe) && fe.NoRanges:
				is = noRanges
			case errors.As(err, &fe) && fe.Temporary:
				is = soon
			case errors.As(err, &fe):
				is = file
			case errors.As(err, &bu):
				is = busy
			case err != nil:
				is = server
			case !bytes.Equal(got, good):
				t.Error("wrong bytes")
			}
			if is != c.want {
				t.Errorf("%v: verdict %d, want %d", err, is, c.want)
			}
		})
	}
}

// flushed writes b in parts and without a Content-Length.
func flushed(w http.ResponseWriter, b []byte) {
	w.(http.Flusher).Flush()
	w.Write(b)
}

// TestShortAnswersAreUsed checks that the client uses what a server sends and asks for the
// rest, each byte once, if the server sends less than was asked for or the answer is cut.
func TestShortAnswersAreUsed(t *testing.T) {
	const size = 300_000
	data := noise(size)
	for name, c := range map[string]struct {
		most     int // bytes of an answer; 0 means half of the request
		cut      bool
		chunked  bool
		requests int
		fails    bool
	}{
		"half":               {requests: 19},
		"64 KiB":             {most: 64 << 10, requests: 5},
		"one byte less":      {most: size - 1, requests: 2},
		"64 KiB, in chunks":  {most: 64 << 10, chunked: true, requests: 5},
		"4 KiB":              {most: 4 << 10, requests: 74},
		"one byte":           {most: 1, requests: freeRequests + size/shortAnswer, fails: true},
		"cut twice":          {most: 120_000, cut: true, requests: 3},
		"cut in chunks":      {most: 120_000, cut: true, chunked: true, requests: 3},
		"cut too many times": {most: 20_000, cut: true, requests: maxCuts + 1, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var requests, sent atomic.Int64
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				requests.Add(1)
				var begin, end int
				if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &begin, &end); err != nil {
					t.Error(err)
				}
				most := c.most
				if most == 0 {
					most = (end - begin + 2) / 2
				}
				stop := min(end+1, begin+most)
				last := stop - 1
				if c.cut {
					last = end
				}
				w.Header().Set("Content-Range", fmt.Sprintf("Bytes %d-%d/%d", begin, last, size))
				if !c.chunked {
					w.Header().Set("Content-Length", fmt.Sprint(last+1-begin))
				}
				w.WriteHeader(http.StatusPartialContent)
				if c.chunked {
					w.(http.Flusher).Flush()
				}
				n, _ := w.Write(data[begin:stop])
				sent.Add(int64(n))
				if c.cut && stop <= end {
					w.(http.Flusher).Flush()
					panic(http.ErrAbortHandler)
				}
			}))
			defer srv.Close()
			got, err := read(client(t), source(t, single(t, "x", size), srv.URL+"/x"), 0, size, 16384)
			if (err != nil) != c.fails || err == nil && (!bytes.Equal(got, data) || sent.Load() != size) || int(requests.Load()) != c.requests {
				t.Errorf("%v, %d requests, want %d, %d bytes sent", err, requests.Load(), c.requests, sent.Load())
			}
		})
	}
}

// TestMirrorIsRemembered checks that a Conn requests further ranges from the target of a
// redirect, and asks the source again if the target fails.
func TestMirrorIsRemembered(t *testing.T) {
	data := noise(100_000)
	var source1, gone atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("/x", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, fmt.Sprintf("/mirror%d", source1.Add(1)), http.StatusFound)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/mirror1" && gone.Load() > 0 {
			http.Error(w, "expired", http.StatusForbidden)
			return
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
	})
	srv := httptest.NewServer(mux)
	defer srv.Close()
	k := client(t).Connect(t.Context(), source(t, single(t, "x", 100_000), srv.URL+"/x"))
	defer k.Close()
	for i, want := range []int64{1, 1, 2, 2} {
		if i == 2 {
			gone.Store(1)
		}
		p := make([]byte, 10_000)
		r := k.Open(int64(i)*10_000, 10_000)
		if err := r.Fill(p); err != nil || !bytes.Equal(p, data[i*10_000:][:10_000]) || source1.Load() != want {
			t.Errorf("range %d: %v, the source was asked %d times, want %d", i, err, source1.Load(), want)
		}
		r.Close()
	}
}

// TestReadWhole checks that a server without ranges sends a file once for all ranges.
func TestReadWhole(t *testing.T) {
	data := noise(100_000)
	var requests atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		w.Write(data)
	}))
	defer srv.Close()
	k := client(t).Connect(t.Context(), source(t, single(t, "x", 100_000), srv.URL+"/x"))
	defer k.Close()
	k.ReadWhole(0)
	for _, at := range []int{20_000, 30_000, 50_000, 90_000} {
		p := make([]byte, 10_000)
		r := k.Open(int64(at), 10_000)
		if err := r.Fill(p); err != nil || !bytes.Equal(p, data[at:][:10_000]) || requests.Load() != 1 {
			t.Errorf("range at %d: %v, %d requests", at, err, requests.Load())
		}
		r.Close()
	}
	r := k.Open(0, 10)
	defer r.Close()
	var fe *FileError
	if err := r.Fill(make([]byte, 10)); !errors.As(err, &fe) || requests.Load() != 1 {
		t.Errorf("a range before: %v, %d requests", err, requests.Load())
	}
}

// TestWholeFile checks that a server without ranges can serve a request for a whole file.
func TestWholeFile(t *testing.T) {
	data := noise(30000)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write(data) }))
	defer srv.Close()
	got, err := read(client(t), source(t, single(t, "x", 30000), srv.URL+"/"), 0, 30000, 16384)
	if err != nil || !bytes.Equal(got, data) {
		t.Error(len(got), err)
	}
}

// TestRedirect checks that one redirect is followed, and that the password is sent only to
// the same host.
func TestRedirect(t *testing.T) {
	data := noise(1000)
	serve := func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
	}
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, _, ok := r.BasicAuth(); ok {
			t.Error("the password went to another host")
		}
		serve(w, r)
	}))
	defer other.Close()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, pw, _ := r.BasicAuth(); pw != "secret" {
			t.Error("the password did not go to its own host")
		}
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, other.URL+"/x?signed=1", http.StatusTemporaryRedirect)
		case "/near":
			http.Redirect(w, r, "/here", http.StatusMovedPermanently)
		default:
			serve(w, r)
		}
	}))
	defer srv.Close()
	base := strings.Replace(srv.URL, "http://", "http://me:secret@", 1)
	for _, path := range []string{"/away", "/near"} {
		s := source(t, single(t, "x", 1000), base+path)
		if got, err := read(client(t), s, 10, 500, 500); err != nil || !bytes.Equal(got, data[10:510]) {
			t.Errorf("%s: %v", path, err)
		}
		if strings.Contains(s.String(), "secret") {
			t.Errorf("%v shows the password", s)
		}
	}
}

// TestQueriesDoNotReachThisMachine checks that no URL with a query is requested from this
// machine, and that a public server cannot redirect to this machine.
func TestQueriesDoNotReachThisMachine(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { t.Errorf("asked for %s", r.URL) }))
	defer srv.Close()
	var br *BrokenError
	var fe *FileError
	_, err := read(client(t), source(t, single(t, "x", 9), srv.URL+"/reboot?now=1"), 0, 9, 9)
	if !errors.As(err, &br) || !errors.Is(err, netguard.ErrForbidden) {
		t.Errorf("a query to this machine: %v", err)
	}
	// The public server is on this machine; its connection reports a public address.
	port := srv.Listener.Addr().(*net.TCPAddr).Port
	outside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, fmt.Sprintf("http://%s:%d/x", r.URL.Query().Get("to"), port), http.StatusFound)
	}))
	defer outside.Close()
	c := NewClient(Options{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		if address == "203.0.113.7:80" {
			conn, err := new(net.Dialer).DialContext(ctx, network, outside.Listener.Addr().String())
			return &movedConn{conn}, err
		}
		t.Errorf("dialled %s", address)
		return nil, errors.New("refused")
	}})
	defer c.Close()
	for _, to := range []string{"127.0.0.1", "localhost", "10.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254", "0.0.0.0"} {
		_, err := read(c, source(t, single(t, "x", 9), "http://203.0.113.7/x?to="+to), 0, 9, 9)
		if !errors.As(err, &fe) || !errors.Is(err, netguard.ErrForbidden) {
			t.Errorf("redirected to %s: %v", to, err)
		}
	}
}

// movedConn is a connection that reports the remote address 203.0.113.7.
type movedConn struct{ net.Conn }

func (*movedConn) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IP{203, 0, 113, 7}, Port: 80} }

// TestBoundToLoopback checks that a client with a loopback address resolves no names and
// connects only to this machine.
func TestBoundToLoopback(t *testing.T) {
	c := NewClient(Options{Bind: netip.MustParseAddr("127.0.0.1"), Dial: func(context.Context, string, string) (net.Conn, error) {
		t.Error("dialled")
		return nil, errors.New("refused")
	}})
	defer c.Close()
	for _, u := range []string{"http://files.example/x", "http://203.0.113.7/x", "http://10.0.0.1/x"} {
		if _, err := read(c, source(t, single(t, "x", 9), u), 0, 9, 9); err == nil || strings.Contains(err.Error(), "lookup") {
			t.Errorf("%s: %v", u, err)
		}
	}
}

// TestStall checks that a Range fails if the server stops sending, and at once if ctx is done.
func TestStall(t *testing.T) {
	hold := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Range", "bytes 0-999/1000")
		w.Header().Set("Content-Length", "1000")
		w.WriteHeader(http.StatusPartialContent)
		w.Write(make([]byte, 10))
		w.(http.Flusher).Flush()
		<-hold
	}))
	defer srv.Close()
	defer close(hold)
	c := NewClient(Options{Stall: 50 * time.Millisecond})
	defer c.Close()
	s := source(t, single(t, "x", 1000), srv.URL+"/x")
	if _, err := read(c, s, 0, 1000, 1000); !errors.Is(err, errStalled) {
		t.Errorf("stalled: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	k := client(t).Connect(ctx, s)
	defer k.Close()
	r := k.Open(0, 1000)
	defer r.Close()
	if err := r.Fill(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(10*time.Millisecond, cancel)
	if err := r.Fill(make([]byte, 10)); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if err := r.Fill(make([]byte, 2000)); err != io.ErrUnexpectedEOF {
		t.Errorf("more than the range: %v", err)
	}
}

// FuzzAnswer checks that every accepted Content-Range header names a part of the file.
func FuzzAnswer(f *testing.F) {
	f.Add("bytes 10-19/100")
	f.Add("Bytes 10-19/*")
	f.Fuzz(func(t *testing.T, contentRange string) {
		if s, err := parseRange(contentRange, 100); err == nil && (s.begin < 0 || s.begin >= s.end || s.end > 100) {
			t.Errorf("%q is accepted: %v", contentRange, s)
		}
	})
}
