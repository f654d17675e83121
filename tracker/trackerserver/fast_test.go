package trackerserver

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"spate"
	"spate/internal/fairpool"
	"spate/tracker/wire"
)

func TestParseHead(t *testing.T) {
	const ok = " HTTP/1.1\r\nHost: x\r\n\r\n"
	cases := map[string]verdict{
		"": wait, "G": wait, "GET ": wait, "GET /": wait, "GET /ann": wait, "GET /announce": wait, "GET /announce?info_hash=": wait,
		"GET /announce HTTP/1.1\r\n": wait, "GET /announce HTTP/1.1\r\nHost: x\r\n": wait,
		"POST": decline, "GET x": decline, "GET /index.html HTTP": decline, "GET /?": decline, "get /": decline,
		"GET /announce" + ok: take, "GET /announce?a=b" + ok: take, "GET /scrape?x" + ok + "more": take,
		"GET /abc/announce" + ok: take, "GET /announce/abc?" + ok: take, "GET /announce/a/b" + ok: decline,
		"GET /announce HTTP/1.0\r\n\r\n": take, "GET /announce HTTP/2.0\r\n\r\n": decline, "GET /announce\r\n\r\n": decline,
		"GET /announce  HTTP/1.1\r\n\r\n": decline, "GET /announce x HTTP/1.1\r\n\r\n": decline, "GET /announce?\x00" + ok: decline,
		"GET /announce?\xff" + ok: decline, "GET /a%6enounce" + ok: decline, "GET /%61/announce" + ok: decline,
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
		if _, got := new(Server).parseHead([]byte(in)); got != want {
			t.Errorf("%.60q: %d, want %d", in, got, want)
		}
	}
	s := &Server{prefix: []byte("/bt")}
	for path, token := range map[string]string{"/bt/announce": "", "/announce": "", "/bt/tok/announce": "tok", "/bt/announce/tok": "tok", "/btx/announce": "btx"} {
		if h, v := s.parseHead([]byte("GET " + path + ok)); v != take || h.route != routeAnnounce || string(h.token) != token {
			t.Errorf("%s behind /bt: %d, token %q", path, v, h.token)
		}
	}
	const one = "GET /announce/tok?q=1&r HTTP/1.1\r\nHost: x\r\nCONNECTION:  Close \r\n\r\n"
	h, _ := new(Server).parseHead([]byte(one + "GET"))
	if h.keep || string(h.query) != "q=1&r" || string(h.token) != "tok" || h.route != routeAnnounce || h.size != len(one) {
		t.Errorf("%+v %q %q", h, h.query, h.token)
	}
}

// What the fast path takes means the same to net/http: nobody can have one
// request taken for another.
func FuzzParseHead(f *testing.F) {
	f.Add([]byte("GET /announce?info_hash=a&b=c HTTP/1.1\r\nHost: x\r\nUser-Agent: y\r\nConnection: close\r\n\r\nGET"))
	f.Add([]byte("GET /tok/scrape HTTP/1.0\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, v := new(Server).parseHead(b)
		if v != take {
			return
		}
		r := bufio.NewReaderSize(bytes.NewReader(b), len(b)+16)
		req, err := http.ReadRequest(r)
		if err != nil {
			return // net/http is stricter about the rest of the fields; the answer harms nobody
		}
		route, token := routeOf([]byte(req.URL.Path))
		rest, _ := io.ReadAll(r)
		if req.Method != "GET" || route != h.route || !bytes.Equal(token, h.token) || req.URL.RawQuery != string(h.query) ||
			len(b)-len(rest) != h.size || h.keep && req.Close {
			t.Fatalf("%q: %+v but net/http has %v %q, rest %q", b, h, req.URL, req.URL.RawQuery, rest)
		}
	})
}

// site starts an http.Server with the tracker and one page on a Listener.
func site(t testing.TB, s *Server) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/file", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, "fast.go") })
	mux.HandleFunc("/large", func(w http.ResponseWriter, r *http.Request) { w.Write(make([]byte, 64<<20)) })
	mux.HandleFunc("/page", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "page for %s", r.RemoteAddr) })
	mux.HandleFunc("/wait", func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte("wait"))
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	hs := &http.Server{Handler: s.Handler(mux), ConnContext: ConnContext}
	wrapped := s.Listener(l)
	done := make(chan error, 1)
	go func() { done <- hs.Serve(wrapped) }()
	t.Cleanup(func() {
		hs.Close()
		if err := <-done; err != http.ErrServerClosed {
			t.Error(err)
		}
	})
	return wrapped.Addr().String()
}

func announceTarget(n int) string {
	req := peer(n)
	return "/announce?" + string(wire.AppendAnnounceQuery(nil, &req))
}

// Announces and pages share a listener, and a connection too.
func TestListenerMixed(t *testing.T) {
	s := newServer(t, Options{})
	addr := site(t, s)
	for _, keepAlive := range []bool{true, false} {
		c := &http.Client{Transport: &http.Transport{DisableKeepAlives: !keepAlive}}
		for n := range 20 {
			target := announceTarget(n)
			if n%5 == 4 {
				target = "/page"
			}
			resp, err := c.Get("http://" + addr + target)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || resp.StatusCode != 200 || resp.Header.Get("Date") == "" {
				t.Fatalf("%s: %v %v %v", target, resp.Status, resp.Header, err)
			}
			if target == "/page" {
				if !strings.HasPrefix(string(body), "page for 127.0.0.1:") {
					t.Errorf("page: %q", body)
				}
			} else if r, err := wire.ParseAnnounceAnswer(body); err != nil || r.ExternalIP != netip.MustParseAddr("127.0.0.1") {
				t.Errorf("announce: %+v %v", r, err)
			}
		}
		c.CloseIdleConnections()
	}
	if got := s.Counts().Announces[HTTP]; got != 32 {
		t.Errorf("%d announces", got)
	}
}

// Files go out whole over a connection that was handed on.
func TestListenerFile(t *testing.T) {
	resp, err := http.Get("http://" + site(t, newServer(t, Options{})) + "/file")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	want, _ := os.ReadFile("fast.go")
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes of %d, %v", len(got), len(want), err)
	}
	http.DefaultClient.CloseIdleConnections()
}

// Requests may come in pieces, or several at once.
func TestListenerPieces(t *testing.T) {
	s := newServer(t, Options{})
	addr := site(t, s)
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
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
	request := func(target string) string { return "GET " + target + " HTTP/1.1\r\nHost: x\r\n\r\n" }
	for _, b := range []byte(request(announceTarget(1))) {
		conn.Write([]byte{b})
	}
	read("8:interval")
	many := ""
	for n := range 100 {
		many += request(announceTarget(n))
	}
	half := len(request(announceTarget(0))) * 3 / 2
	io.WriteString(conn, many[:half])
	read("8:interval")
	io.WriteString(conn, many[half:])
	for range 99 {
		read("8:interval")
	}
	io.WriteString(conn, request(announceTarget(1))+request("/page")+request(announceTarget(2))+request("/none"))
	read("8:interval")
	read("page for")
	read("8:interval")
	read("not found")
}

// Connections beyond the limit are closed at once, and places come free again.
func TestListenerMaxConns(t *testing.T) {
	s := newServer(t, Options{MaxConns: 3})
	addr := site(t, s)
	works := func(conn net.Conn) bool {
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", announceTarget(1))
		conn.SetReadDeadline(time.Now().Add(patience))
		n, _ := conn.Read(make([]byte, 4096))
		return n > 0
	}
	var conns []net.Conn
	for n := range 4 {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conns = append(conns, conn)
		if got := works(conn); got != (n < 3) {
			t.Errorf("connection %d works: %v", n, got)
		}
	}
	conns[0].Close()
	for deadline := time.Now().Add(patience); ; {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if works(conn) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("no place came free")
		}
	}
	if s.Counts().Overflowed == 0 {
		t.Error("nothing was counted")
	}
}

// A connection that is of no use to its client makes room for another, whatever it is that it
// does not do.
func TestListenerMakesRoom(t *testing.T) {
	for name, says := range map[string]string{
		"half an announce":           "GET /announce HTTP/1.1\r\nHost",
		"half a request of a page":   "GET /page HTTP/1.1\r\nHost",
		"a large page, not read":     "GET /large HTTP/1.1\r\nHost: x\r\n\r\n",
		"an announce, and then idle": "GET " + announceTarget(1) + " HTTP/1.1\r\nHost: x\r\n\r\n",
		"a page, and then idle":      "GET /page HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var later atomic.Int64
			start := time.Now()
			s := newServer(t, Options{MaxConns: 1, Now: func() time.Time { return start.Add(time.Duration(later.Load())) }})
			addr := site(t, s)
			hog, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer hog.Close()
			io.WriteString(hog, says)
			for deadline := time.Now().Add(time.Minute); s.Counts().MadeRoom == 0; {
				if time.Now().After(deadline) {
					t.Fatal("it does not make room")
				}
				later.Add(int64(connGrace))
				conn, err := net.Dial("tcp", addr)
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", announceTarget(2))
				io.Copy(io.Discard, conn)
				conn.Close()
			}
			hog.SetReadDeadline(time.Now().Add(time.Minute))
			if _, err := io.Copy(io.Discard, hog); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("it is still connected")
			}
		})
	}
}

// A connection whose request is being answered keeps its place, however little it is sent.
func TestListenerKeepsBusyConnections(t *testing.T) {
	t.Parallel()
	var later atomic.Int64
	start := time.Now()
	s := newServer(t, Options{MaxConns: 1, Now: func() time.Time { return start.Add(time.Duration(later.Load())) }})
	addr := site(t, s)
	busy, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	io.WriteString(busy, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
	if _, err := http.ReadResponse(bufio.NewReader(busy), nil); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		later.Add(int64(time.Minute))
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", announceTarget(2))
		if n, _ := conn.Read(make([]byte, 100)); n > 0 {
			t.Error("another connection was answered")
		}
		conn.Close()
	}
	if n := s.Counts(); n.MadeRoom != 0 || n.Overflowed != 5 {
		t.Errorf("%d made room, %d were refused", n.MadeRoom, n.Overflowed)
	}
}

// A connection that sends half a request, or none, has half a minute; the rest
// does not notice.
func TestListenerSlow(t *testing.T) {
	var late atomic.Int64
	start := time.Now()
	s := newServer(t, Options{Now: func() time.Time { return start.Add(time.Duration(late.Load())) }})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	fast, err := s.fastListener(l.(*net.TCPListener))
	if err != nil {
		t.Skip("no fast path here")
	}
	defer fast.Close()
	conn, err := net.Dial("tcp", fast.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "GET /announce HTTP/1.1\r\nHost")
	other, err := net.Dial("tcp", fast.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	fmt.Fprintf(other, "GET %s HTTP/1.1\r\n\r\n", announceTarget(1)) // after it, conn's is known
	if n, err := other.Read(make([]byte, 2000)); n == 0 || err != nil {
		t.Fatal(n, err)
	}
	late.Store(int64(idleLimit + time.Second))
	conn.SetReadDeadline(time.Now().Add(patience))
	if n, err := conn.Read(make([]byte, 10)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("still there: %d %v", n, err)
	}
}

// With the PROXY protocol the client's address is the one that counts; a proxy
// that does not speak it gets nothing.
func TestProxyProtocol(t *testing.T) {
	s := newServer(t, Options{Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, ProxyProtocol: true})
	addr := site(t, s)
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
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "%sGET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", header, announceTarget(1))
		got := ""
		if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil {
			body, _ := io.ReadAll(resp.Body)
			if r, err := wire.ParseAnnounceAnswer(body); err == nil {
				got = r.ExternalIP.String()
			}
		}
		conn.Close()
		if got != want {
			t.Errorf("%q: %q, want %q", header, got, want)
		}
	}
}

func FuzzProxyHeader(f *testing.F) {
	f.Add([]byte("PROXY TCP4 192.0.2.7 127.0.0.1 4660 80\r\nGET"))
	f.Add([]byte("\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x07\x7f\x00\x00\x01\x12\x34\x00\x50"))
	f.Fuzz(func(t *testing.T, b []byte) {
		client, size, done, err := parseProxyHeader(b)
		if done && (err != nil || size > len(b) || client.IsValid() && spate.CanonicalAddr(client) != client) {
			t.Fatal(client, size, done, err)
		}
	})
}

// When descriptors run out, connections that are of little use end, and no others.
func TestGateRelieves(t *testing.T) {
	s := newServer(t, Options{})
	g := newGate(s)
	now := time.Unix(1e9, 0)
	var all []*endedConn
	var places []*place
	for range 2 * relieved {
		c := &endedConn{}
		all, places = append(all, c), append(places, g.enter(now, netip.MustParseAddr("192.0.2.1"), c, s.shared))
	}
	now = now.Add(connGrace)
	for i, p := range places {
		if i%2 == 1 {
			g.took(now, p, 10_000)
		}
	}
	g.relieve(now, s.shared)
	g.relieve(now, s.shared)
	for i, c := range all {
		if c.ended != (i%2 == 0) {
			t.Errorf("connection %d was ended: %v", i, c.ended)
		}
	}
}

// Behind proxies that speak the PROXY protocol, connections count for the networks of the
// clients; otherwise each counts alone.
func TestGateKnowsClientsOfProxies(t *testing.T) {
	s := newServer(t, Options{Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/32")}, ProxyProtocol: true})
	g := newGate(s)
	ours, theirs := net.Pipe()
	defer theirs.Close()
	from := netip.MustParseAddr("10.0.0.1")
	c := &handedConn{Conn: ours, gate: g}
	c.place = g.enter(time.Now(), from, c, s.shared)
	if n := g.networkOf(from); n != 0 {
		t.Errorf("a proxy is network %d", n)
	}
	go io.WriteString(theirs, "PROXY TCP4 192.0.2.7 127.0.0.1 4660 80\r\n")
	p := &proxyConn{handedConn: c}
	if got := p.RemoteAddr().String(); got != "192.0.2.7:4660" {
		t.Error(got)
	}
	g.mu.Lock()
	held := g.pool.Held(fairpool.Prefix(netip.MustParseAddr("192.0.2.9")))
	g.mu.Unlock()
	if held != 1 {
		t.Errorf("the client's network holds %d places", held)
	}
	p.Close()
	if g.pool.Len() != 0 {
		t.Error("the place is not free again")
	}
}

// endedConn is a connection that notes that it was told to end.
type endedConn struct{ ended bool }

func (c *endedConn) end() { c.ended = true }

// A connection that is not answered anything, or is idle, makes room when its place is
// needed, that of the network with the most first; one that is served does not.
func TestGate(t *testing.T) {
	s := newServer(t, Options{MaxConns: 8, Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/32")}})
	g := newGate(s)
	now := time.Unix(1e9, 0)
	enter := func(from string) (*endedConn, *place) {
		c := &endedConn{}
		now = now.Add(time.Millisecond)
		return c, g.enter(now, netip.MustParseAddr(from), c, s.shared)
	}
	var silent []*endedConn
	for range 5 {
		c, _ := enter("192.0.2.1")
		silent = append(silent, c)
	}
	single, _ := enter("198.51.100.1")
	served, place := enter("192.0.2.9")
	if place == nil {
		t.Fatal("no place is left for a seventh of eight")
	}
	if _, p := enter("192.0.2.77"); p == nil {
		t.Error("a network gets less than a pool has")
	}
	if _, p := enter("2001:db8::1"); p != nil {
		t.Error("a connection made room before its first moment had passed")
	}
	now = now.Add(connGrace)
	g.took(now, place, 500)
	for i := range 2 {
		if _, p := enter("2001:db8::1"); p == nil || !silent[i].ended {
			t.Fatalf("newcomer %d has no place, or not that of the oldest silent connection", i)
		}
	}
	for range 5 {
		if c, p := enter("10.0.0.1"); p == nil || c.ended { // each stands for another client
			t.Fatal("the proxy has no place")
		}
	}
	if !single.ended || served.ended {
		t.Errorf("ended: single %v, served %v", single.ended, served.ended)
	}
	if n := s.Counts(); n.MadeRoom != 7 || n.Overflowed != 1 {
		t.Errorf("%d made room, %d were refused", n.MadeRoom, n.Overflowed)
	}
}
