package httpconn

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
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
		"GET /announce HTTP/1.1\r\nContent-Length: 0\r\n\r\n":          decline,
		"GET /announce HTTP/1.1\r\ntransfer-ENCODING: chunked\r\n\r\n": decline,
		"GET /announce HTTP/1.1\r\nConnection: upgrade\r\n\r\n":        decline,
		"GET /announce HTTP/1.1\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n":   decline,
		"GET /announce HTTP/1.1\r\nExpect: 100-continue\r\n\r\n":       decline,
		"GET /announce HTTP/1.1\r\nUpgrade: h2c\r\n\r\n":               decline,
		"GET /announce HTTP/1.1\r\nHost : x\r\n\r\n":                   decline,
		"GET /announce HTTP/1.1\r\n Host: x\r\n\r\n":                   decline,
		"GET /announce HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n":         decline,
		"GET /announce HTTP/1.1\r\nHost\r\n\r\n":                       decline,
		"GET /announce HTTP/1.1\r\n: x\r\n\r\n":                        decline,
		"GET /announce HTTP/1.1\r\nHost: x\nA: b\r\n\r\n":              decline,
		"GET /announce HTTP/1.1\n\n":                                   decline,
		"GET /announce HTTP/1.1\r\nHost: x\n\n":                        decline,
		"GET /announce HTTP/1.1\r\nConnection: Keep-Alive\r\n\r\n":     take,
		"GET /announce?" + strings.Repeat("a", maxHead):                decline,
		"GET /" + strings.Repeat("a", 100):                             decline,
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

// FuzzParseHead checks that a request which is answered here means the same to net/http, so
// that a client cannot make the two disagree about where a request ends.
func FuzzParseHead(f *testing.F) {
	f.Add([]byte("GET /announce?info_hash=a&b=c HTTP/1.1\r\nHost: x\r\nUser-Agent: y\r\nConnection: close\r\n\r\nGET"))
	f.Add([]byte("GET /announce/tok HTTP/1.0\r\n\r\n"))
	o := testOptions()
	f.Fuzz(func(t *testing.T, b []byte) {
		h, v := o.parseHead(b)
		if v != take {
			return
		}
		r := bufio.NewReaderSize(bytes.NewReader(b), len(b)+16)
		req, err := http.ReadRequest(r)
		if err != nil {
			return // net/http rejects more header fields, which does no harm
		}
		rest, _ := io.ReadAll(r)
		if req.Method != "GET" || req.URL.Path != string(h.path) || req.URL.RawQuery != string(h.query) ||
			len(b)-len(rest) != h.size || h.keep && req.Close {
			t.Fatalf("%q: %+v but net/http has %v %q, rest %q", b, h, req.URL, req.URL.RawQuery, rest)
		}
	})
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
