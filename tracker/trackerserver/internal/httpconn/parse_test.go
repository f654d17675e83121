package httpconn

import (
	"bufio"
	"bytes"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestParseHead checks which requests are answered here, which are incomplete, and which
// are left to net/http.
func TestParseHead(t *testing.T) {
	t.Parallel()
	o := testOptions()
	const ok = " HTTP/1.1\r\nHost: x\r\n\r\n"
	cases := map[string]verdict{
		"": wait, "G": wait, "GET ": wait, "GET /": wait, "GET /ann": wait, "GET /announce": wait, "GET /announce?info_hash=": wait,
		"GET /announce HTTP/1.1\r\n": wait, "GET /announce HTTP/1.1\r\nHost: x\r\n": wait,
		"POST": decline, "GET x": decline, "GET /index.html HTTP": decline, "GET /?": decline, "get /": decline,
		"GET /announce" + ok: take, "GET /announce?a=b" + ok: take, "GET /announce?x" + ok + "more": take,
		"GET /announce/abc?" + ok: take, "GET /announced" + ok: decline, "GET /announce/a/b" + ok: decline,
		"GET /announce HTTP/1.0\r\n\r\n": take, "GET /announce HTTP/2.0\r\n\r\n": decline, "GET /announce\r\n\r\n": decline,
		"GET /announce  HTTP/1.1\r\n\r\n": decline, "GET /announce x HTTP/1.1\r\n\r\n": decline, "GET /announce?\x00" + ok: decline,
		"GET /announce?\xff" + ok: decline, "GET /a%6enounce" + ok: decline, "GET /announce/%61" + ok: decline,
		"GET /announce HTTP/1.1\r\nContent-Length: 0\r\n\r\n":                                          decline,
		"GET /announce HTTP/1.1\r\ntransfer-ENCODING: chunked\r\n\r\n":                                 decline,
		"GET /announce HTTP/1.1\r\nConnection: upgrade\r\n\r\n":                                        decline,
		"GET /announce HTTP/1.1\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n":                                   decline,
		"GET /announce HTTP/1.1\r\nExpect: 100-continue\r\n\r\n":                                       decline,
		"GET /announce HTTP/1.1\r\nUpgrade: h2c\r\n\r\n":                                               decline,
		"GET /announce HTTP/1.1\r\nHost : x\r\n\r\n":                                                   decline,
		"GET /announce HTTP/1.1\r\n Host: x\r\n\r\n":                                                   decline,
		"GET /announce HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n":                                         decline,
		"GET /announce HTTP/1.1\r\nHost\r\n\r\n":                                                       decline,
		"GET /announce HTTP/1.1\r\n: x\r\n\r\n":                                                        decline,
		"GET /announce HTTP/1.1\r\nHost: x\nA: b\r\n\r\n":                                              decline,
		"GET /announce HTTP/1.1\n\n":                                                                   decline,
		"GET /announce HTTP/1.1\r\nHost: x\n\n":                                                        decline,
		"GET /announce HTTP/1.1\r\nHost: x\r\nConnection: Keep-Alive\r\n\r\n":                          take,
		"GET /announce HTTP/1.1\r\nConnection: Keep-Alive\r\n\r\n":                                     decline,
		"GET /announce HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n": decline,
		"GET /announce HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n":          decline,
		"GET /announce HTTP/1.1\r\nHost: x\r\nContent-Length: +0\r\n\r\n":                              decline,
		"GET /announce HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\n\r\n":                     decline,
		"GET /announce HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n":                     decline,
		"GET /announce HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n":                                 decline,
		"GET /announce HTTP/1.1\r\nHost: x\r\nTrailer: y\r\n\r\n":                                      take,
		"GET /announce HTTP/1.1\r\nHost: x\r\nA: b\rC: d\r\n\r\n":                                      decline,
		"GET /announce HTTP/1.1\r\r\nHost: x\r\n\r\n":                                                  decline,
		"GET http://x/announce" + ok:                                                                   decline, "GET x:80" + ok: decline, "GET //announce" + ok: decline, "CONNECT x:80" + ok: decline,
		"GET /announce HTTP/1.2\r\nHost: x\r\n\r\n": decline, "GET /announce HTTP/0.9\r\n\r\n": decline, "GET /announce http/1.1\r\nHost: x\r\n\r\n": decline,
		"Get /announce" + ok: decline, "\r\nGET /announce" + ok: decline, "GET\t/announce" + ok: decline, "GET /announce?a b" + ok: decline, "GET /announce#f" + ok: decline,
		"GET /announce?" + strings.Repeat("a", maxHead): decline,
		"GET /" + strings.Repeat("a", 100):              decline,
	}
	for in, want := range cases {
		if _, got := o.parseHead([]byte(in)); got != want {
			t.Errorf("%.60q: %d, want %d", in, got, want)
		}
	}
	const one = "GET /announce/tok?q=1&r HTTP/1.1\r\nHost: x\r\nCONNECTION:  Close \r\n\r\n"
	h, _ := o.parseHead([]byte(one + "GET"))
	if h.keep || string(h.query) != "q=1&r" || string(h.path) != "/announce/tok" || h.size != len(one) {
		t.Errorf("%+v: path %q, query %q", h, h.path, h.query)
	}
}

// oneListener is a listener that accepts one connection.
type oneListener struct {
	conn chan net.Conn
	done chan struct{}
	once sync.Once
}

func (l *oneListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conn:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *oneListener) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
func (l *oneListener) Addr() net.Addr { return &net.TCPAddr{} }

// served is what a server of net/http makes of the first request that it reads from a
// connection.
type served struct {
	status       int
	method, path string
	query        string
	close        bool // the connection closes after the response
}

// byNetHTTP has a server of net/http answer the first request in b.
func byNetHTTP(b []byte) (s served) {
	ours, theirs := net.Pipe()
	l := &oneListener{conn: make(chan net.Conn, 1), done: make(chan struct{})}
	l.conn <- theirs
	requests := make(chan *http.Request, 100)
	srv := &http.Server{ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case requests <- r:
		default:
		}
	})}
	go srv.Serve(l)
	defer srv.Close()
	defer ours.Close()
	go ours.Write(b)
	ours.SetDeadline(time.Now().Add(time.Minute))
	resp, err := http.ReadResponse(bufio.NewReader(ours), nil)
	if err != nil {
		return s
	}
	s.status, s.close = resp.StatusCode, resp.Close
	select {
	case r := <-requests:
		s.method, s.path, s.query = r.Method, r.URL.Path, r.URL.RawQuery
	default:
	}
	return s
}

// FuzzParseHead checks that a server of net/http accepts each request that is answered here,
// and that it means the same to that server, so that a client cannot make the two disagree
// about where a request ends.
func FuzzParseHead(f *testing.F) {
	f.Add([]byte("GET /announce?info_hash=a&b=c HTTP/1.1\r\nHost: x\r\nUser-Agent: y\r\nConnection: close\r\n\r\nGET"))
	f.Add([]byte("GET /announce/tok HTTP/1.0\r\n\r\n"))
	f.Add([]byte("GET /announce HTTP/1.1\r\nHost: [::1]:80\r\nA\t: b\r\nC: \x00\r\nHost: y\r\n\r\n"))
	o := testOptions()
	f.Fuzz(func(t *testing.T, b []byte) {
		h, v := o.parseHead(b)
		if v != take {
			return
		}
		r := bufio.NewReaderSize(bytes.NewReader(b), len(b)+16)
		req, err := http.ReadRequest(r)
		if err != nil {
			t.Fatalf("%q: net/http cannot read the request: %v", b, err)
		}
		rest, _ := io.ReadAll(r)
		if req.Method != "GET" || req.URL.Path != string(h.path) || req.URL.RawQuery != string(h.query) ||
			len(b)-len(rest) != h.size || h.keep && req.Close {
			t.Fatalf("%q: %+v but net/http has %v %q, rest %q", b, h, req.URL, req.URL.RawQuery, rest)
		}
		got := byNetHTTP(b[:h.size])
		want := served{status: 200, method: "GET", path: string(h.path), query: string(h.query), close: got.close}
		if got != want || h.keep && got.close {
			t.Fatalf("%q: a server of net/http makes %+v of %+v", b, got, h)
		}
	})
}

// TestHeadsThatNetHTTPRejects checks that requests with invalid header fields are left to
// net/http, which answers them with an error.
func TestHeadsThatNetHTTPRejects(t *testing.T) {
	t.Parallel()
	o := testOptions()
	for _, fields := range []string{
		"", "Host: x\r\nHost: x\r\n", "Host: x\r\nHost: y\r\n", "Host: a b\r\n", "Host: x/y\r\n", "Host: x\x00\r\n",
		"Host: x\r\nA\t: b\r\n", "Host: x\r\nA : b\r\n", "Host: x\r\nA\x00: b\r\n", "Host: x\r\nA: b\x00c\r\n", "Host: x\r\nA: b\x7f\r\n",
		"Host: x\r\nA: b\rc\r\n", "Host: x\r\n\tA: b\r\n", "Host: x\r\nA(b): c\r\n", "Host: x\r\nA\xff: c\r\n", "Host: x\r\nA: \x01\r\n",
		"Host: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n", "Host: x\r\nTransfer-Encoding: chunked, x\r\n",
	} {
		b := []byte("GET /announce HTTP/1.1\r\n" + fields + "\r\n")
		if _, v := o.parseHead(b); v != decline {
			t.Errorf("%q: the verdict is %d, want decline", b, v)
		}
	}
	// Fields that both accept.
	for _, fields := range []string{"Host:\r\n", "Host: x:80\r\n", "host:\t[2001:db8::1]:6969 \t\r\n", "Host: x\r\nA:\r\n", "Host: x\r\nA: b\tc \xff\r\n", "Host: x\r\n!#$: v\r\n"} {
		b := []byte("GET /announce HTTP/1.1\r\n" + fields + "\r\n")
		if _, v := o.parseHead(b); v != take {
			t.Errorf("%q: the verdict is %d, want take", b, v)
		}
		if s := byNetHTTP(b); s.status != 200 {
			t.Errorf("%q: net/http answers with status %d", b, s.status)
		}
	}
}

// fixedWorker returns the same body for each request.
type fixedWorker struct{ body []byte }

func (w fixedWorker) Answer(*Request) []byte { return w.body }

// TestRequestAllocatesNothing checks the path of a request from its bytes to the response,
// without the system calls.
func TestRequestAllocatesNothing(t *testing.T) {
	o := testOptions()
	request := []byte("GET /announce/tok?q=1&r HTTP/1.1\r\nHost: x\r\nUser-Agent: y\r\n\r\n")
	var worker Worker = fixedWorker{[]byte("d8:intervali1800ee")}
	var req Request
	var out []byte
	date := appendDate(nil, time.Unix(1e9, 0))
	if n := testing.AllocsPerRun(100, func() {
		h, v := o.parseHead(request)
		if v != take {
			t.Fatal("the request is not taken")
		}
		req = Request{Path: h.path, Query: h.query}
		out = appendResponse(out[:0], date, worker.Answer(&req), h.keep)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
