package httpconn

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is the time after which a test that waits has failed. It is long because the
// machine may be busy.
const patience = 5 * time.Minute

// testHandler answers /announce and /announce/TOKEN with the request that it got.
type testHandler struct{}

func (testHandler) Match(path []byte) bool {
	return string(path) == "/announce" || bytes.HasPrefix(path, []byte("/announce/")) && bytes.Count(path, []byte("/")) == 2
}

func (testHandler) NewWorker() Worker { return new(testWorker) }

type testWorker struct{ out []byte }

func (w *testWorker) Answer(r *Request) []byte {
	w.out = fmt.Appendf(w.out[:0], "%s asks for %s?%s", r.From, r.Path, r.Query)
	return w.out
}

// testOptions returns options with testHandler and the real clock.
func testOptions() *Options {
	return &Options{
		Handler: testHandler{}, MaxPath: 64, MaxConns: 1000, Now: time.Now,
		Log: slog.New(slog.DiscardHandler), Counts: new(Counts),
	}
}

// clock is a clock that tests advance.
type clock struct {
	start time.Time
	later atomic.Int64
}

func newClock() *clock { return &clock{start: time.Now()} }

func (c *clock) now() time.Time          { return c.start.Add(time.Duration(c.later.Load())) }
func (c *clock) advance(d time.Duration) { c.later.Add(int64(d)) }

// fileSize is the size of the file that the site serves.
const fileSize = 300_000

// serve starts an http.Server on a listener with options o. The handler answers /announce
// as testHandler does, and has a few pages. It sends to waiting when a request for /wait
// has started.
func serve(t *testing.T, o *Options) (addr string, waiting <-chan struct{}) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	file := t.TempDir() + "/file"
	if err := os.WriteFile(file, bytes.Repeat([]byte("abc"), fileSize/3), 0o600); err != nil {
		t.Fatal(err)
	}
	wait := make(chan struct{}, 1)
	mux := http.NewServeMux()
	mux.HandleFunc("/file", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, file) })
	mux.HandleFunc("/large", func(w http.ResponseWriter, r *http.Request) { w.Write(make([]byte, 64<<20)) })
	mux.HandleFunc("/page", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "page for %s", r.RemoteAddr) })
	mux.HandleFunc("/announce", func(w http.ResponseWriter, r *http.Request) {
		from := netip.MustParseAddrPort(r.RemoteAddr).Addr()
		w.Write(new(testWorker).Answer(&Request{From: from, Path: []byte(r.URL.Path), Query: []byte(r.URL.RawQuery)}))
	})
	mux.HandleFunc("/wait", func(w http.ResponseWriter, r *http.Request) {
		wait <- struct{}{}
		<-r.Context().Done()
	})
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer Busy(r.Context())()
		mux.ServeHTTP(w, r)
	})
	hs := &http.Server{Handler: handler, ConnContext: ConnContext}
	wrapped := o.Listen(l)
	done := make(chan error, 1)
	go func() { done <- hs.Serve(wrapped) }()
	t.Cleanup(func() {
		hs.Close()
		if err := <-done; err != http.ErrServerClosed {
			t.Error(err)
		}
	})
	return wrapped.Addr().String(), wait
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// announceText returns a request for /announce.
func announceText(n int, fields ...string) string {
	return "GET /announce?n=" + strconv.Itoa(n) + " HTTP/1.1\r\nHost: x\r\n" + strings.Join(fields, "") + "\r\n"
}

// TestListenerServesBothKindsOfRequests checks that requests for the worker and for
// net/http can share a listener and a connection.
func TestListenerServesBothKindsOfRequests(t *testing.T) {
	t.Parallel()
	addr, _ := serve(t, testOptions())
	for _, keepAlive := range []bool{true, false} {
		c := &http.Client{Transport: &http.Transport{DisableKeepAlives: !keepAlive}}
		for n := range 20 {
			target, want := "/announce?n="+strconv.Itoa(n), "127.0.0.1 asks for /announce?n="+strconv.Itoa(n)
			if n%5 == 4 {
				target, want = "/page", "page for 127.0.0.1:"
			}
			resp, err := c.Get("http://" + addr + target)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || resp.StatusCode != 200 || resp.Header.Get("Date") == "" || !strings.HasPrefix(string(body), want) {
				t.Fatalf("%s: %v %v %q %v", target, resp.Status, resp.Header, body, err)
			}
		}
		c.CloseIdleConnections()
	}
}

// TestListenerSendsFiles checks that a file is complete over a connection that net/http
// serves.
func TestListenerSendsFiles(t *testing.T) {
	t.Parallel()
	addr, _ := serve(t, testOptions())
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := c.Get("http://" + addr + "/file")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil || !bytes.Equal(got, bytes.Repeat([]byte("abc"), fileSize/3)) {
		t.Errorf("%d bytes of %d, %v", len(got), fileSize, err)
	}
}

// TestListenerReadsRequestsInParts checks requests that arrive in parts, and several that
// arrive at once.
func TestListenerReadsRequestsInParts(t *testing.T) {
	t.Parallel()
	addr, _ := serve(t, testOptions())
	conn := dial(t, addr)
	r := bufio.NewReader(conn)
	read := func(want string) {
		t.Helper()
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil || !strings.Contains(string(body), want) {
			t.Errorf("%q %v, want %q", body, err, want)
		}
	}
	page := func(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n" }
	for _, b := range []byte(announceText(1)) {
		conn.Write([]byte{b})
	}
	read("?n=1")
	many := ""
	for n := range 100 {
		many += announceText(n)
	}
	half := len(announceText(0)) * 3 / 2
	io.WriteString(conn, many[:half])
	read("?n=0")
	io.WriteString(conn, many[half:])
	for n := range 99 {
		read("?n=" + strconv.Itoa(n+1))
	}
	io.WriteString(conn, announceText(1)+page("/page")+announceText(2)+page("/none"))
	read("?n=1")
	read("page for")
	read("?n=2")
	read("not found")
}

// TestListenerMaxConns checks that connections beyond the limit are closed at once, and that
// a closed connection releases its slot.
func TestListenerMaxConns(t *testing.T) {
	t.Parallel()
	o := testOptions()
	o.MaxConns = 3
	addr, _ := serve(t, o)
	works := func(conn net.Conn) bool {
		io.WriteString(conn, announceText(1))
		conn.SetReadDeadline(time.Now().Add(patience))
		n, _ := conn.Read(make([]byte, 4096))
		return n > 0
	}
	var conns []net.Conn
	for n := range 4 {
		conn := dial(t, addr)
		conns = append(conns, conn)
		if got := works(conn); got != (n < 3) {
			t.Errorf("connection %d works: %v", n, got)
		}
	}
	conns[0].Close()
	for deadline := time.Now().Add(patience); !works(dial(t, addr)); {
		if time.Now().After(deadline) {
			t.Fatal("no slot was released")
		}
	}
	if o.Counts.Overflowed.Load() == 0 {
		t.Error("the closed connections were not counted")
	}
}

// TestListenerEndsUselessConnections checks that a connection which is idle, or whose client
// does not read, is ended when another client needs its slot.
func TestListenerEndsUselessConnections(t *testing.T) {
	t.Parallel()
	for name, sent := range map[string]string{
		"part of an announce":           "GET /announce HTTP/1.1\r\nHost",
		"part of a request for a page":  "GET /page HTTP/1.1\r\nHost",
		"a large page that is not read": "GET /large HTTP/1.1\r\nHost: x\r\n\r\n",
		"idle after an announce":        announceText(1),
		"idle after a page":             "GET /page HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clock := newClock()
			o := testOptions()
			o.MaxConns, o.Now = 1, clock.now
			addr, _ := serve(t, o)
			useless := dial(t, addr)
			io.WriteString(useless, sent)
			deadline := time.Now().Add(patience)
			for n := 1; o.Counts.Ended.Load() == 0; n++ {
				if time.Now().After(deadline) {
					t.Fatal("no connection was ended")
				}
				if n%5 == 0 { // another connection was accepted first and got the only slot
					useless.Close()
					useless = dial(t, addr)
					io.WriteString(useless, sent)
				}
				clock.advance(connGrace)
				conn := dial(t, addr)
				io.WriteString(conn, announceText(2, "Connection: close\r\n"))
				io.Copy(io.Discard, conn)
				conn.Close()
			}
			useless.SetReadDeadline(time.Now().Add(patience))
			if _, err := io.Copy(io.Discard, useless); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the connection is still open")
			}
		})
	}
}

// TestListenerKeepsBusyConnections checks that a connection whose request is being answered
// keeps its slot although nothing is sent.
func TestListenerKeepsBusyConnections(t *testing.T) {
	t.Parallel()
	clock := newClock()
	o := testOptions()
	o.MaxConns, o.Now = 1, clock.now
	addr, waiting := serve(t, o)
	busy := dial(t, addr)
	io.WriteString(busy, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
	<-waiting
	for range 5 {
		clock.advance(time.Minute)
		conn := dial(t, addr)
		io.WriteString(conn, announceText(2))
		if n, _ := conn.Read(make([]byte, 100)); n > 0 {
			t.Error("another connection was answered")
		}
	}
	if n := o.Counts; n.Ended.Load() != 0 || n.Overflowed.Load() != 5 {
		t.Errorf("%d connections were ended, %d were refused", n.Ended.Load(), n.Overflowed.Load())
	}
}

// TestListenerDropsSlowRequests checks that a connection without a complete request is
// closed after idleLimit.
func TestListenerDropsSlowRequests(t *testing.T) {
	t.Parallel()
	clock := newClock()
	o := testOptions()
	o.Now = clock.now
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	fast, err := o.listenFast(l.(*net.TCPListener))
	if err != nil {
		l.Close()
		t.Skip("only Linux has a fast path")
	}
	defer fast.Close()
	slow := dial(t, fast.Addr().String())
	io.WriteString(slow, "GET /announce HTTP/1.1\r\nHost")
	other := dial(t, fast.Addr().String())
	io.WriteString(other, announceText(1)) // when this request is answered, a reactor has also accepted the slow connection
	if n, err := other.Read(make([]byte, 2000)); n == 0 || err != nil {
		t.Fatal(n, err)
	}
	clock.advance(31 * time.Second) // longer than idleLimit
	slow.SetReadDeadline(time.Now().Add(patience))
	if n, err := slow.Read(make([]byte, 10)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the connection is still open: %d %v", n, err)
	}
}

// TestProxyProtocol checks that the header of the PROXY protocol gives the address of the
// client, and that a connection with an invalid header gets no answer.
func TestProxyProtocol(t *testing.T) {
	t.Parallel()
	o := testOptions()
	o.ProxyProtocol = true
	o.IsProxy = func(a netip.Addr) bool { return a.IsLoopback() }
	addr, _ := serve(t, o)
	v2 := "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x07\x7f\x00\x00\x01\x12\x34\x00\x50"
	for header, want := range map[string]string{
		"PROXY TCP4 192.0.2.7 127.0.0.1 4660 80\r\n": "192.0.2.7",
		"PROXY TCP6 2001:db8::7 ::1 4660 80\r\n":     "2001:db8::7",
		"PROXY UNKNOWN\r\n":                          "127.0.0.1",
		v2:                                           "192.0.2.7",
		"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00":     "127.0.0.1",
		"":                                           "",
		"PROXY TCP4 x y 1 2\r\n":                     "",
		"PROXY " + strings.Repeat("x", 200):          "",
	} {
		conn := dial(t, addr)
		io.WriteString(conn, header+announceText(1, "Connection: close\r\n"))
		got := ""
		if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil && resp.StatusCode == 200 {
			body, _ := io.ReadAll(resp.Body)
			got, _, _ = strings.Cut(string(body), " asks for /announce?n=1")
		}
		conn.Close()
		if got != want {
			t.Errorf("%q: %q, want %q", header, got, want)
		}
	}
}
