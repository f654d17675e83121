package httpconn

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// echoHandler answers as echo does, for the paths of testHandler.
type echoHandler struct{ testHandler }

func (echoHandler) NewWorker() Worker { return echoWorker{} }

type echoWorker struct{}

func (echoWorker) Answer(r *Request) []byte {
	return fmt.Appendf(nil, "GET %s ?%s, body %q", r.Path, r.Query, "")
}

// echo answers a request with its method, path, query and body.
func echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, "the body is damaged", http.StatusBadRequest)
		return
	}
	fmt.Fprintf(w, "%s %s ?%s, body %q", r.Method, r.URL.Path, r.URL.RawQuery, body)
}

// serveEcho starts a server with the handler echo on a listener that wrap returns, and
// returns its address.
func serveEcho(t *testing.T, wrap func(net.Listener) net.Listener) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	hs := &http.Server{Handler: http.HandlerFunc(echo), ConnContext: ConnContext, ErrorLog: log.New(io.Discard, "", 0)}
	wrapped := wrap(l)
	done := make(chan struct{})
	go func() {
		defer close(done)
		hs.Serve(wrapped)
	}()
	t.Cleanup(func() {
		hs.Close()
		<-done
	})
	return wrapped.Addr().String()
}

// reply is one response of a server. An error has no text, because only its status matters.
type reply struct {
	status int
	text   string
	closed bool // the response says that the connection closes
}

// converse sends parts over one connection to addr, ends its sending direction, and returns the
// responses up to the end of the connection.
func converse(addr string, parts ...string) ([]reply, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	for _, p := range parts {
		if _, err := io.WriteString(conn, p); err != nil {
			return nil, err
		}
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		return nil, err
	}
	var all []reply
	for r := bufio.NewReader(conn); ; {
		if _, err := r.Peek(1); err == io.EOF {
			return all, nil
		}
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			return all, err
		}
		a := reply{status: resp.StatusCode, closed: resp.Close}
		if a.status != http.StatusContinue { // a response without a body
			body, err := io.ReadAll(resp.Body)
			if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) { // the answer to HEAD has a length and no body
				return all, err
			}
			if a.status == http.StatusOK {
				a.text = string(body)
			}
		}
		all = append(all, a)
	}
}

// comparer sends conversations to two servers: ours answers announces itself, and theirs is of
// net/http alone.
type comparer struct{ ours, theirs string }

// compare checks that both servers give the same responses to the conversation s.
func (c comparer) compare(t *testing.T, s string) {
	want, err := converse(c.theirs, s)
	if err != nil {
		t.Errorf("%.300q: net/http alone: %+v, %v", s, want, err)
		return
	}
	if got, err := converse(c.ours, s); err != nil || !slices.Equal(got, want) {
		t.Errorf("%.300q:\ngot  %+v, %v\nwant %+v", s, got, err, want)
	}
	// A server that closes the connection early may reset it, and the client then loses
	// responses, so that only conversations without errors are sent in parts.
	if len(s) > 1000 || slices.ContainsFunc(want, func(a reply) bool { return a.closed || a.status >= 400 }) {
		return
	}
	if got, err := converse(c.ours, strings.Split(s, "")...); err != nil || !slices.Equal(got, want) {
		t.Errorf("%.300q, byte by byte:\ngot  %+v, %v\nwant %+v", s, got, err, want)
	}
}

// TestConnectionsLikeNetHTTP sends whole conversations over real connections, to a server whose
// listener answers announces itself and to one of net/http alone, and checks that both see the
// same requests. A proxy in front of the tracker and the tracker must agree about where each
// request ends: otherwise a client could have the body of one request answered as another one.
func TestConnectionsLikeNetHTTP(t *testing.T) {
	t.Parallel()
	o := testOptions()
	o.Handler = echoHandler{}
	c := comparer{ours: serveEcho(t, o.Listen), theirs: serveEcho(t, func(l net.Listener) net.Listener { return l })}
	const (
		get  = "GET /announce?a=1 HTTP/1.1\r\nHost: x\r\n"
		post = "POST /announce?a=1 HTTP/1.1\r\nHost: x\r\n"
		old  = "GET /announce?a=1 HTTP/1.0\r\n"
		next = "GET /announce?next HTTP/1.1\r\nHost: x\r\n\r\n"
		page = "GET /page HTTP/1.1\r\nHost: x\r\n\r\n"
		te   = "Transfer-Encoding: chunked\r\n"
	)
	smuggled := fmt.Sprintf("Content-Length: %d\r\n\r\n", len(next))
	var streams []string
	for _, start := range []string{get, post} {
		for _, rest := range []string{
			"\r\n",
			// Bodies with a length.
			"Content-Length: 0\r\n\r\n", "Content-Length: 3\r\n\r\nabc", smuggled + next, "content-length:3 \r\n\r\nabc",
			"Content-Length: -1\r\n\r\n", "Content-Length: +3\r\n\r\nabc", "Content-Length: 0x3\r\n\r\nabc", "Content-Length: 3,3\r\n\r\nabc", "Content-Length:\r\n\r\n",
			"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", "Content-Length: 3\r\nContent-Length: 0\r\n\r\nabc", "Content-Length: 99999999999999999999\r\n\r\n",
			"Content-Length : 3\r\n\r\nabc", "Content_Length: 3\r\n\r\n", "X-Content-Length: 3\r\n\r\n",
			// Chunked bodies: extensions, trailers, and sizes that are not valid.
			te + "\r\n0\r\n\r\n", te + "\r\n3\r\nabc\r\n0\r\n\r\n", te + "\r\n3;ext=1\r\nabc\r\n0;last\r\n\r\n", te + "\r\n3;ext=\"a;b\"\r\nabc\r\n0\r\n\r\n",
			te + "\r\n3 \r\nabc\r\n0\r\n\r\n", te + "\r\n003\r\nabc\r\n000\r\n\r\n", te + "\r\nA\r\n0123456789\r\n0\r\n\r\n",
			te + "Trailer: Z\r\n\r\n3\r\nabc\r\n0\r\nZ: 1\r\n\r\n", te + "\r\n0\r\nContent-Length: 5\r\n\r\n", te + "\r\n0\r\nHost: y\r\nbad\r\n\r\n",
			te + "\r\n-3\r\nabc\r\n0\r\n\r\n", te + "\r\n+3\r\nabc\r\n0\r\n\r\n", te + "\r\n0x3\r\nabc\r\n0\r\n\r\n", te + "\r\n\r\nabc\r\n0\r\n\r\n", te + "\r\ng\r\n\r\n",
			te + "\r\n11111111111111111\r\n", te + "\r\n3\r\nabcd\r\n0\r\n\r\n", te + "\r\n3\nabc\n0\n\n", te + "\r\n3\rabc\r\n0\r\n\r\n",
			// Transfer-Encoding with other values, twice, and with Content-Length.
			"Transfer-Encoding: identity\r\n\r\n", "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", "Transfer-Encoding:\tchunked\r\n\r\n0\r\n\r\n",
			"Transfer-Encoding: Chunked\r\n\r\n0\r\n\r\n", te + te + "\r\n0\r\n\r\n", "Transfer-Encoding:\r\n\r\n", "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", "Transfer_Encoding: chunked\r\n\r\n",
			te + "Content-Length: 5\r\n\r\n0\r\n\r\n", "Content-Length: 5\r\n" + te + "\r\n0\r\n\r\n", te + smuggled + "0\r\n\r\n", "Content-Length: 0\r\n" + te + "\r\n0\r\n\r\n",
			// Expect.
			"Expect: 100-continue\r\n\r\n", "Expect: 100-continue\r\nContent-Length: 3\r\n\r\nabc", "Expect: 200-ok\r\n\r\n", "Expect:\r\n\r\n", "expect: 100-Continue\r\n" + te + "\r\n3\r\nabc\r\n0\r\n\r\n",
			// Connection and Upgrade.
			"Connection: close\r\n\r\n", "Connection: Close\r\nContent-Length: 3\r\n\r\nabc", "Connection: keep-alive\r\n\r\n", "Connection: close, keep-alive\r\n\r\n", "Connection: keep-alive, close\r\n\r\n",
			"Connection: keep-alive\r\nConnection: close\r\n\r\n", "Connection: close\r\nConnection: keep-alive\r\n\r\n", "Connection: x\r\n\r\n", "Connection:\r\n\r\n", "Connection: closed\r\n\r\n",
			"Connection: Content-Length\r\nContent-Length: 3\r\n\r\nabc", "Proxy-Connection: close\r\n\r\n", "Connection: upgrade\r\nUpgrade: h2c\r\n\r\n", "Upgrade: websocket\r\n\r\n",
			// Folded lines, bare LF and CR, and damaged fields.
			"A: b\r\n c\r\n\r\n", "A: b\r\n\tc\r\n\r\n", " A: b\r\n\r\n", "A: b\r\n \r\n\r\n", "A:\r\n Content-Length: 3\r\n\r\nabc", "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", "Content-Length:\r\n 3\r\n\r\nabc",
			"A: b\n\r\n", "A: b\n\n", "\n", "A: b\nContent-Length: 3\r\n\r\nabc", "A: b\rContent-Length: 3\r\n\r\nabc", "A: b\r\r\n\r\n", "\r\r\n\r\n", "A: b\r\n\r\r\n",
			"A\r\n\r\n", ": b\r\n\r\n", "A: \x00\r\n\r\n", "A\x00: b\r\n\r\n", "A: b\x7f\r\n\r\n", "A: \xff\r\n\r\n", "A\xff: b\r\n\r\n", "A b: c\r\n\r\n", "Host: y\r\n\r\n", "Host: x\r\n\r\n",
			"Content-Length\t: 3\r\n\r\nabc", "Content-Length\x00: 3\r\n\r\nabc", "Content-Length: 3\x00\r\n\r\nabc", "Content-Length: \v3\r\n\r\nabc", "Content-Length: 3\f\r\n\r\nabc",
		} {
			streams = append(streams, start+rest+next+page+next)
		}
	}
	for _, rest := range []string{
		"\r\n", "Host: x\r\n\r\n", "Connection: close\r\n\r\n", "Content-Length: 3\r\n\r\nabc", te + "\r\n0\r\n\r\n", "Expect: 100-continue\r\n\r\n", "Host: x\r\nHost: x\r\n\r\n",
		"A: b\r\n c\r\n\r\n", "\n", "Connection: keep-alive\r\nContent-Length: 3\r\n\r\nabc", "Connection: keep-alive\r\n" + te + "\r\n0\r\n\r\n", "Connection: x\r\n\r\n",
	} {
		streams = append(streams, old+rest+next)
	}
	streams = append(streams,
		"", "\r\n", "\r\n"+next, next+"\r\n"+next, next+"\n"+next, strings.Repeat(next, 200), page+next+page+next, next+"HEAD /announce HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
		next+"garbage\r\n\r\n"+next, next+"\x16\x03\x01\x00", next+"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET /announce\r\n\r\n"+next, "GET /announce HTTP/1.1\r\n\r\n"+next,
		"GET /announce?a b HTTP/1.1\r\nHost: x\r\n\r\n"+next, "GET  /announce HTTP/1.1\r\nHost: x\r\n\r\n"+next, "GET /announce  HTTP/1.1\r\nHost: x\r\n\r\n"+next, "GET /announce HTTP/1.1 \r\nHost: x\r\n\r\n"+next,
		"GET /announce\tHTTP/1.1\r\nHost: x\r\n\r\n"+next, "GET /announce HTTP/1.10\r\nHost: x\r\n\r\n"+next, "GET /announce HTTP/01.1\r\nHost: x\r\n\r\n"+next, "GET /announce HTTP/3.0\r\nHost: x\r\n\r\n"+next,
		"GET http://x/announce HTTP/1.1\r\nHost: y\r\n\r\n"+next, "GET //x/announce HTTP/1.1\r\nHost: x\r\n\r\n"+next, "GET /announce/%2e%2e HTTP/1.1\r\nHost: x\r\n\r\n"+next, "GET /announce/.. HTTP/1.1\r\nHost: x\r\n\r\n"+next,
		"GET /announce?%zz HTTP/1.1\r\nHost: x\r\n\r\n"+next, "GET /announce?a#b HTTP/1.1\r\nHost: x\r\n\r\n"+next, "GET /announce#b HTTP/1.1\r\nHost: x\r\n\r\n"+next, "GET /announce?a?b?c HTTP/1.1\r\nHost: x\r\n\r\n"+next,
		"GET /announce/: HTTP/1.1\r\nHost: x\r\n\r\n"+next, "GET /announce/\" HTTP/1.1\r\nHost: x\r\n\r\n"+next, "GET /announce/\\ HTTP/1.1\r\nHost: x\r\n\r\n"+next, "GET /announce/;a? HTTP/1.1\r\nHost: x\r\n\r\n"+next,
	)
	var wg sync.WaitGroup // some responses of net/http take half a second
	for _, s := range streams {
		wg.Go(func() { c.compare(t, s) })
	}
	wg.Wait()
	// An HTTP/1.0 client that asks to keep the connection may get a response that closes it.
	keep := old + "Connection: keep-alive\r\n\r\n" + next
	want, err := converse(c.theirs, keep)
	if err != nil || len(want) != 2 {
		t.Fatalf("HTTP/1.0 with keep-alive: net/http alone: %+v, %v", want, err)
	}
	if got, err := converse(c.ours, keep); err != nil || len(got) == 0 || got[0].text != want[0].text || !got[0].closed && !slices.Equal(got, want) {
		t.Errorf("HTTP/1.0 with keep-alive:\ngot  %+v, %v\nwant %+v, or its first response and the end", got, err, want)
	}
}
