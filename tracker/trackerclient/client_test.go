package trackerclient_test

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"spate"
	"spate/internal/netguard/guardtest"
	"spate/tracker"
	"spate/tracker/trackerclient"
	"spate/tracker/wire"
)

// patience is how long a test waits for an event that normally takes milliseconds. It
// detects hangs only, so that tests pass on a busy machine.
const patience = 5 * time.Minute

func newClient(t *testing.T, o trackerclient.Options) *trackerclient.Client {
	t.Helper()
	if o.Timeout == 0 {
		o.Timeout = patience
	}
	c, err := trackerclient.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func request() *tracker.AnnounceRequest {
	return &tracker.AnnounceRequest{
		InfoHash: spate.InfoHash([]byte("a hash & 20 bytes %+")), PeerID: spate.PeerID([]byte("-Sp0100-0123456789ab")),
		Port: 6881, Uploaded: 1, Downloaded: 2, Left: 3, Event: tracker.EventStarted, NumWant: 50, Key: 0xdeadbeef,
	}
}

// serve starts an HTTP server that handles all requests with f, and returns its URL.
func serve(t *testing.T, f http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	return s.URL
}

func TestHTTPAnnounce(t *testing.T) {
	var got tracker.AnnounceRequest
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if err := wire.ParseAnnounceQuery([]byte(r.URL.RawQuery), &got); err != nil {
			t.Errorf("query %q: %v", r.URL.RawQuery, err)
		}
		if pass, _ := wire.QueryValue([]byte(r.URL.RawQuery), "pass", 10); string(pass) != "x" {
			t.Error("the URL's own query was lost")
		}
		w.Write(wire.AppendAnnounceReply(nil, &wire.AnnounceReply{
			Interval: 1800, MinInterval: 900, Complete: 3, Incomplete: 4, Downloaded: 5, Warning: "mind the \x1b[31mgap",
			Peers4:     spate.AppendCompact(nil, netip.MustParseAddrPort("192.0.2.1:1")),
			Peers6:     spate.AppendCompact(nil, netip.MustParseAddrPort("[2001:db8::1]:2")),
			ExternalIP: netip.MustParseAddr("192.0.2.9"),
		}))
	})
	c := newClient(t, trackerclient.Options{})
	resp, err := c.Announce(t.Context(), base+"/announce?pass=x", request())
	if err != nil {
		t.Fatal(err)
	}
	if got != *request() {
		t.Errorf("the tracker saw %+v", got)
	}
	want := tracker.AnnounceResponse{
		Interval: 30 * time.Minute, MinInterval: 15 * time.Minute, Complete: 3, Incomplete: 4, Downloaded: 5, Warning: "mind the .[31mgap",
		Peers:      []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:1"), netip.MustParseAddrPort("[2001:db8::1]:2")},
		ExternalIP: netip.MustParseAddr("192.0.2.9"),
	}
	if fmt.Sprint(*resp) != fmt.Sprint(want) {
		t.Errorf("got  %+v\nwant %+v", *resp, want)
	}
}

func TestHTTPScrape(t *testing.T) {
	h := request().InfoHash
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/scrape" {
			t.Errorf("path %s", r.URL.Path)
		}
		hashes, err := wire.ParseScrapeQuery(nil, []byte(r.URL.RawQuery), 10)
		if err != nil || len(hashes) != 1 || hashes[0] != h {
			t.Errorf("%v %v", hashes, err)
		}
		b := wire.AppendScrapeStart(nil)
		b = wire.AppendScrapeEntry(b, h, 1, 2, 3)
		w.Write(wire.AppendScrapeEnd(b, 60))
	})
	c := newClient(t, trackerclient.Options{})
	got, err := c.Scrape(t.Context(), base+"/announce", []spate.InfoHash{h})
	if err != nil || len(got) != 1 || got[0] != (tracker.ScrapeEntry{InfoHash: h, Complete: 1, Downloaded: 2, Incomplete: 3}) {
		t.Errorf("%+v %v", got, err)
	}
	var bad *trackerclient.URLError
	if _, err := c.Scrape(t.Context(), base+"/announcement/x", []spate.InfoHash{h}); !errors.As(err, &bad) {
		t.Errorf("a URL without scrape: %v", err)
	}
}

// TestHTTPErrors checks that each kind of bad response gives a typed error that does
// not show the passkey in the URL.
func TestHTTPErrors(t *testing.T) {
	var failure *tracker.FailureError
	var answer *trackerclient.AnswerError
	var silence *trackerclient.SilenceError
	cases := map[string]struct {
		f    http.HandlerFunc
		want any
	}{
		"refusal": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(403)
			w.Write(wire.AppendFailure(nil, &wire.FailureReply{Reason: "not here", Interval: 60, MinInterval: 30, RetryIn: 5}))
		}, &failure},
		"garbage":   {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "d8:intervali-") }, &answer},
		"no answer": {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "d3:fooi1ee") }, &answer},
		"list":      {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "le") }, &answer},
		"empty":     {func(http.ResponseWriter, *http.Request) {}, &answer},
		"partial peers": {func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "d8:intervali60e5:peers5:abcdee")
		}, &answer},
		"page":  {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "<html>", http.StatusBadGateway) }, &answer},
		"large": {func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, wire.MaxAnswer+1)) }, &answer},
		"bomb": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			z.Write(make([]byte, 64<<20))
			z.Close()
		}, &answer},
		"circle": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/announce", http.StatusFound) }, &answer},
		"file": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
		}, &answer},
		"silence": {func(w http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
		}, &silence},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			o := trackerclient.Options{}
			if name == "silence" {
				o.Timeout = 50 * time.Millisecond
			}
			_, err := newClient(t, o).Announce(t.Context(), serve(t, c.f)+"/announce?passkey=SECRET", request())
			if err == nil || !errors.As(err, c.want) {
				t.Fatalf("error %T %v", err, err)
			}
			if strings.Contains(err.Error(), "SECRET") {
				t.Errorf("the error shows the passkey: %v", err)
			}
		})
	}
	if failure.Reason != "not here" || failure.RetryIn != 5*time.Minute || failure.MinInterval != 30*time.Second {
		t.Errorf("%+v", failure)
	}
}

// TestConnectionRefused checks that a closed port gives an error of package net without
// the path of the URL.
func TestConnectionRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	c := newClient(t, trackerclient.Options{})
	for _, scheme := range []string{"http", "udp"} {
		_, err := c.Announce(t.Context(), scheme+"://"+l.Addr().String()+"/announce?passkey=SECRET", request())
		var op *net.OpError
		if !errors.As(err, &op) || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: %T %v", scheme, err, err)
		}
	}
}

// TestForbiddenURLs checks that URLs in a torrent cannot make the client connect to
// services that are not trackers.
func TestForbiddenURLs(t *testing.T) {
	asked := false
	base := serve(t, func(http.ResponseWriter, *http.Request) { asked = true })
	c := newClient(t, trackerclient.Options{Resolver: guardtest.Names(map[string][]string{"localhost": {"127.0.0.1"}, "tracker.invalid": {"203.0.113.7"}})})
	for _, u := range []string{
		base + "/", base + "/admin?x=/announce", base + "/announcer", base + "/x/announce",
		strings.Replace(base, "127.0.0.1", "localhost", 1) + "/admin",
		strings.Replace(base, "127.0.0.1", "[::ffff:127.0.0.1]", 1) + "/admin",
		"http://0.0.0.0:1/announce", "http://169.254.169.254/announce", "http://[fd00:ec2::254]/announce",
		base + "/announce/../admin", base + "/announce/%2e%2e/admin", base + "/announce/%2E%2e/admin", base + "/announce/%252e%252e/admin",
		base + `/announce\..\admin`, base + "/announce/%5c..%5cadmin", base + "/announce/..;/admin", base + "/announce;/../admin",
		base + "/announce/./x", base + "/announce%2f..%2fadmin", base + "/announce/%00", base + "/scrape/../admin",
		"http://168.63.129.16/announce", "http://100.100.100.200/announce", "http://169.254.1.1/announce", "http://[2002:a9fe:a9fe::]/announce",
		"http://127.1:1/announce", "http://2130706433/announce", "http://0x7f.1/announce", "http://127.0.0.1./announce", "udp://127.1:80/announce", "udp://0x7f000001:80",
		"http://tracker.invalid:25/announce", "https://tracker.invalid:22/announce", "http://203.0.113.7:6667/announce", "http://127.0.0.1:25/announce", "udp://203.0.113.7:0",
		"http://[::]:1/announce", "http://224.0.0.1/announce", "http://[64:ff9b::a9fe:a9fe]/announce", "udp://169.254.169.254:80",
	} {
		if _, err := c.Announce(t.Context(), u, request()); !errors.Is(err, trackerclient.ErrForbiddenAddress) {
			t.Errorf("%s: %v", u, err)
		}
	}
	for _, u := range []string{"file:///etc/passwd", "ftp://127.0.0.1/announce", "", "http://", "udp://127.0.0.1", "http://%zz/", "//x/announce"} {
		var bad *trackerclient.URLError
		if _, err := c.Announce(t.Context(), u, request()); !errors.As(err, &bad) {
			t.Errorf("%s: %v", u, err)
		}
	}
	if asked {
		t.Error("a forbidden URL was requested")
	}
	if _, err := c.Announce(t.Context(), base+"/announce/0123456789abcdef?x=/../y", request()); errors.Is(err, trackerclient.ErrForbiddenAddress) || !asked {
		t.Errorf("a passkey in the path: %v", err)
	}
}

// TestClientBoundToLoopback checks that a client with a local address on loopback asks only
// trackers on this machine, and resolves no names.
func TestClientBoundToLoopback(t *testing.T) {
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Write(wire.AppendAnnounceReply(nil, &wire.AnnounceReply{Interval: 60}))
	})
	resolver := guardtest.Resolver(func(name string) []string {
		t.Errorf("%s was resolved", name)
		return nil
	})
	c := newClient(t, trackerclient.Options{LocalAddr: netip.MustParseAddr("127.0.0.1"), Resolver: resolver})
	for _, u := range []string{"http://tracker.test/announce", "udp://tracker.test:80/announce", "http://10.0.0.1/announce", "https://203.0.113.7/announce", "udp://203.0.113.7:80"} {
		if _, err := c.Announce(t.Context(), u, request()); err == nil {
			t.Errorf("%s was asked", u)
		}
	}
	if _, err := c.Announce(t.Context(), base+"/announce", request()); err != nil {
		t.Error(err)
	}
}

// TestRedirectOnThisMachine checks that a tracker on this machine cannot redirect the client
// to a path of this machine that is not /announce or /scrape.
func TestRedirectOnThisMachine(t *testing.T) {
	var asked []string
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Path)
		if r.URL.Path == "/announce" {
			http.Redirect(w, r, r.URL.Query().Get("to"), http.StatusFound)
			return
		}
		w.Write(wire.AppendAnnounceReply(nil, &wire.AnnounceReply{Interval: 60}))
	})
	c := newClient(t, trackerclient.Options{})
	for to, allowed := range map[string]bool{"/announce/other": true, "/scrape": true, "/admin": false, "/announce/../admin": false, "/announce/%2e%2e/admin": false, "/announce/..;/admin": false} {
		asked = nil
		_, err := c.Announce(t.Context(), base+"/announce?to="+url.QueryEscape(to), request())
		if errors.Is(err, trackerclient.ErrForbiddenAddress) == allowed || (len(asked) == 2) != allowed {
			t.Errorf("to %s: asked %q, %v", to, asked, err)
		}
	}
}

// TestRedirectToLocal checks that a public tracker cannot redirect the client to a
// private network or to this machine. The dial function pretends to connect to public
// addresses.
func TestRedirectToLocal(t *testing.T) {
	asked := ""
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked += r.Host
		if r.Host == "tracker.example" {
			http.Redirect(w, r, "http://"+r.URL.Query().Get("to")+"/announce", http.StatusFound)
		}
	})
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		var d net.Dialer
		conn, err := d.DialContext(ctx, network, strings.TrimPrefix(base, "http://"))
		if err != nil {
			return nil, err
		}
		return publicConn{conn, address}, nil
	}
	c := newClient(t, trackerclient.Options{Dial: dial})
	for _, to := range []string{"127.0.0.1:80", "10.0.0.1", "[::1]:80", "192.168.1.1", "[fd00::1]"} {
		asked = ""
		_, err := c.Announce(t.Context(), "http://tracker.example/announce?to="+to, request())
		if !errors.Is(err, trackerclient.ErrForbiddenAddress) || asked != "tracker.example" {
			t.Errorf("to %s: asked %q, %v", to, asked, err)
		}
	}
}

// publicConn is a connection that pretends to lead to a public address.
type publicConn struct {
	net.Conn
	address string
}

func (e publicConn) RemoteAddr() net.Addr {
	if ap, err := netip.ParseAddrPort(e.address); err == nil {
		return net.TCPAddrFromAddrPort(ap)
	}
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort("198.51.100.1:80"))
}

// TestBothFamilies checks that the client announces over both address families.
func TestBothFamilies(t *testing.T) {
	l6, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Skip("no IPv6 here")
	}
	port := l6.Addr().(*net.TCPAddr).Port
	l4, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Skip(err)
	}
	addrs, err := net.DefaultResolver.LookupNetIP(t.Context(), "ip", "localhost")
	if err != nil || len(addrs) < 2 {
		t.Skipf("localhost is %v here", addrs)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ap := netip.MustParseAddrPort(r.RemoteAddr)
		reply := wire.AnnounceReply{Interval: 60}
		peer := spate.AppendCompact(nil, netip.AddrPortFrom(ap.Addr(), 7))
		if ap.Addr().Is4() {
			reply.Peers4 = peer
		} else {
			reply.Peers6 = peer
		}
		w.Write(wire.AppendAnnounceReply(nil, &reply))
	})}
	defer s.Close()
	go s.Serve(l4)
	go s.Serve(l6)
	c := newClient(t, trackerclient.Options{})
	resp, err := c.Announce(t.Context(), fmt.Sprintf("http://localhost:%d/announce", port), request())
	if err != nil || len(resp.Peers) != 2 {
		t.Errorf("%+v %v", resp, err)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for _, o := range []trackerclient.Options{{Timeout: -1}, {UDPTimeout: -1}, {Concurrent: -1}, {UserAgent: "a\r\nHost: b"}} {
		if _, err := trackerclient.New(o); err == nil {
			t.Errorf("%+v was accepted", o)
		}
	}
}

// TestDeadTrackerDoesNotBlockOthers checks that requests to a tracker that does not respond do
// not block requests to other trackers.
func TestDeadTrackerDoesNotBlockOthers(t *testing.T) {
	waiting := make(chan struct{}, 10)
	dead := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		waiting <- struct{}{}
		<-r.Context().Done()
	})
	alive := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Write(wire.AppendAnnounceReply(nil, &wire.AnnounceReply{Interval: 60}))
	})
	c := newClient(t, trackerclient.Options{Concurrent: 4})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			if _, err := c.Announce(ctx, dead+"/announce", request()); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
	}
	<-waiting
	<-waiting // all slots of one tracker are in use
	if _, err := c.Announce(t.Context(), alive+"/announce", request()); err != nil {
		t.Error(err)
	}
	cancel()
	wg.Wait()
}

// TestCutAnswers checks that an answer that is cut gives the same error wherever the tracker ends
// the connection: before the header, inside it, or inside the body.
func TestCutAnswers(t *testing.T) {
	t.Parallel()
	const whole = "HTTP/1.1 200 OK\r\nServer: a\r\nContent-Length: 27\r\n\r\nd8:intervali1800e5:peers0:e"
	for n := range len(whole) {
		base := serve(t, func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			io.WriteString(conn, whole[:n])
			conn.Close()
		})
		_, err := newClient(t, trackerclient.Options{}).Announce(t.Context(), base+"/announce", request())
		var answer *trackerclient.AnswerError
		if !errors.As(err, &answer) || !strings.Contains(err.Error(), "ended before the response was complete") {
			t.Errorf("%q: %v, want an AnswerError that says that the answer was cut", whole[:n], err)
		}
	}
}

// TestRetryAfter checks that the error about an answer carries the pause that the web server or
// the tracker asks for.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status      int
		after, body string
		want        time.Duration
	}{
		"busy":               {503, "120", "", 2 * time.Minute},
		"too many":           {429, "7", "slow down", 7 * time.Second},
		"no header":          {503, "", "", 0},
		"a malformed header": {503, "soon", "", 0},
		"forbidden":          {403, "60", "", time.Minute},
		"more than a day":    {503, "999999999", "", 24 * time.Hour},
		"a page that is cut": {503, "120", "cut", 2 * time.Minute},
		"a page too long":    {503, "120", strings.Repeat("x", wire.MaxAnswer+1), 2 * time.Minute},
		"a date":             {503, time.Now().Add(48 * time.Hour).UTC().Format(http.TimeFormat), "", 24 * time.Hour},
		"a past date":        {503, "Sun, 22 Nov 1998 11:00:00 GMT", "", 0},
		"negative":           {503, "-5", "", 0},
		"gateway":            {502, "3", "", 3 * time.Second},
		"slow gateway":       {504, "3", "", 3 * time.Second},
		"too early":          {425, "3", "", 3 * time.Second},
		"slow client":        {408, "3", "", 3 * time.Second},
		"a refusal":          {200, "90", "d14:failure reason4:nonee", 90 * time.Second},
		"a refusal, longer":  {200, "90", "d14:failure reason4:none8:retry in1:5e", 5 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if c.after != "" {
					w.Header().Set("Retry-After", c.after)
				}
				if c.body == "cut" {
					w.Header().Set("Content-Length", "1000")
				}
				w.WriteHeader(c.status)
				io.WriteString(w, c.body)
			})
			_, err := newClient(t, trackerclient.Options{}).Announce(t.Context(), base+"/announce", request())
			var answer *trackerclient.AnswerError
			var failure *tracker.FailureError
			got := time.Duration(-1)
			switch {
			case errors.As(err, &answer):
				got = answer.RetryAfter()
			case errors.As(err, &failure):
				got = failure.RetryIn
			}
			if got != c.want {
				t.Errorf("%v: wait %v, want %v", err, got, c.want)
			}
		})
	}
}
