package proxy

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// TestParse checks which URLs of proxies are accepted, and that no error and no text for people contains the
// password.
func TestParse(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 256)
	for in, want := range map[string]string{
		"socks5://h":                       "socks5://h:1080",
		"SOCKS5H://h:9050/":                "socks5://h:9050",
		"socks5://me:s3cret@h":             "socks5://h:1080",
		"socks5://me:s3cret@[::1]:1":       "socks5://[::1]:1",
		" http://me:s3cret@h\n":            "http://h:8080",
		"socks4://me:s3cret@h":             "",
		"https://me:s3cret@h":              "",
		"socks5://me:s3cret@":              "",
		"socks5://me:s3cret@:1080":         "",
		"socks5://me:s3cret@h:0":           "",
		"socks5://me:s3cret@h:65536":       "",
		"socks5://me:s3cret@h:x":           "",
		"socks5://me:s3cret@h/path":        "",
		"socks5://me:s3cret@h?q":           "",
		"socks5://me:s3cret@h%zz":          "",
		"socks5://me:@h":                   "",
		"socks5://:s3cret@h":               "",
		"socks5://me:s3cret" + long + "@h": "",
		"socks5://" + long + ":s3cret@h":   "",
		"s3cret":                           "",
		"":                                 "",
	} {
		u, err := Parse(in)
		got := ""
		if err == nil {
			got = Show(u)
		}
		if got != want || err != nil && strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q: %q, %v, want %q", in, got, err, want)
		}
	}
}

// serveProxy answers each connection at a port of loopback with answer, and returns the URL of the proxy.
func serveProxy(t *testing.T, scheme string, answer func(nc net.Conn)) *url.URL {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer nc.Close()
				answer(nc)
				io.Copy(io.Discard, nc)
			}()
		}
	}()
	u, err := Parse(scheme + "://" + l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// socksRequest reads a request of SOCKS5 without a password and returns its bytes.
func socksRequest(nc net.Conn, reply []byte) []byte {
	r := bufio.NewReader(nc)
	hello := make([]byte, 2)
	io.ReadFull(r, hello)
	io.CopyN(io.Discard, r, int64(hello[1]))
	nc.Write([]byte{5, 0})
	head := make([]byte, 5)
	io.ReadFull(r, head)
	n := map[byte]int{1: 4 + 1, 3: int(head[4]) + 2, 4: 16 + 1}[head[3]]
	rest := make([]byte, n)
	io.ReadFull(r, rest)
	nc.Write(reply)
	return append(head, rest...)
}

var granted = []byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0}

// TestSOCKS checks the requests, for addresses and names, and that the connection then carries the bytes of both sides.
func TestSOCKS(t *testing.T) {
	t.Parallel()
	for to, want := range map[string]string{
		"192.0.2.1:6881":      "\x05\x01\x00\x01\xc0\x00\x02\x01\x1a\xe1",
		"[2001:db8::1]:80":    "\x05\x01\x00\x04\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x50",
		"[::ffff:1.2.3.4]:80": "\x05\x01\x00\x01\x01\x02\x03\x04\x00\x50",
		"name.example:443":    "\x05\x01\x00\x03\x0cname.example\x01\xbb",
	} {
		asked := make(chan []byte, 1)
		via := serveProxy(t, "socks5", func(nc net.Conn) {
			asked <- socksRequest(nc, append(granted, "hello"...))
		})
		nc, err := Dial(t.Context(), via, netip.Addr{}, to)
		if err != nil {
			t.Fatalf("%s: %v", to, err)
		}
		var got [5]byte
		if _, err := io.ReadFull(nc, got[:]); err != nil || string(got[:]) != "hello" {
			t.Errorf("%s: %q, %v", to, got, err)
		}
		if b := <-asked; string(b) != want {
			t.Errorf("%s: the request is %q, want %q", to, b, want)
		}
		if addr := nc.RemoteAddr().String(); to[0] == '1' && addr != to {
			t.Errorf("%s: the remote address is %s", to, addr)
		}
		nc.Close()
	}
}

// TestSOCKSPassword checks that the password is sent if the proxy asks for it.
func TestSOCKSPassword(t *testing.T) {
	t.Parallel()
	for verdict, kind := range map[byte]Kind{0: Target, 1: Denied} {
		login := make(chan string, 1)
		via := serveProxy(t, "socks5", func(nc net.Conn) {
			b := make([]byte, 4)
			io.ReadFull(nc, b)
			nc.Write([]byte{5, 2})
			b = make([]byte, 1+1+2+1+6)
			io.ReadFull(nc, b)
			login <- string(b)
			nc.Write([]byte{1, verdict, 5, 2, 0, 1}) // "not allowed by the rules" follows
		})
		via.User = url.UserPassword("me", "s3cret")
		_, err := Dial(t.Context(), via, netip.Addr{}, "192.0.2.1:1")
		var e *Error
		if !errors.As(err, &e) || e.Kind != kind || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("verdict %d: %v", verdict, err)
		}
		if got := <-login; got != "\x01\x02me\x06s3cret" {
			t.Errorf("the login is %q", got)
		}
	}
}

// TestConnect checks the request to an HTTP proxy.
func TestConnect(t *testing.T) {
	t.Parallel()
	asked := make(chan *http.Request, 1)
	via := serveProxy(t, "http", func(nc net.Conn) {
		r, err := http.ReadRequest(bufio.NewReader(nc))
		if err == nil {
			asked <- r
		}
		io.WriteString(nc, "HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n")
		io.Copy(nc, nc)
	})
	via.User = url.UserPassword("me", "s3cret")
	nc, err := Dial(t.Context(), via, netip.Addr{}, "name.example:443")
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	r := <-asked
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte("me:s3cret"))
	if r.Method != http.MethodConnect || r.Host != "name.example:443" || r.Header.Get("Proxy-Authorization") != want {
		t.Errorf("the request is %s %s %v", r.Method, r.Host, r.Header)
	}
	fmt.Fprint(nc, "ping")
	var got [4]byte
	if _, err := io.ReadFull(nc, got[:]); err != nil || string(got[:]) != "ping" {
		t.Errorf("%q, %v", got, err)
	}
}

// answers are what hostile, broken and unwilling proxies answer, and the kind of the error that follows.
var answers = []struct {
	name, scheme, answer string
	kind                 Kind
	is                   error
}{
	{"nothing", "socks5", "", Down, nil},
	{"a web server", "socks5", "HTTP/1.1 400 Bad Request\r\n\r\n", Odd, nil},
	{"SOCKS4", "socks5", "\x00\x5a\x00\x00\x00\x00\x00\x00", Odd, nil},
	{"a method that was not offered", "socks5", "\x05\x01", Odd, nil},
	{"a password without one", "socks5", "\x05\x02", Odd, nil},
	{"no method", "socks5", "\x05\xff", Denied, nil},
	{"the end after the method", "socks5", "\x05\x00", Down, nil},
	{"another version in the reply", "socks5", "\x05\x00\x04\x00\x00\x01", Odd, nil},
	{"refused", "socks5", "\x05\x00\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00", Target, syscall.ECONNREFUSED},
	{"no route", "socks5", "\x05\x00\x05\x04\x00\x01\x00\x00\x00\x00\x00\x00", Target, syscall.EHOSTUNREACH},
	{"no network", "socks5", "\x05\x00\x05\x03\x00\x01\x00\x00\x00\x00\x00\x00", Target, syscall.ENETUNREACH},
	{"rules", "socks5", "\x05\x00\x05\x02\x00\x01\x00\x00\x00\x00\x00\x00", Target, nil},
	{"an unknown reply", "socks5", "\x05\x00\x05\xfe\x00\x01\x00\x00\x00\x00\x00\x00", Target, nil},
	{"an unknown type of address", "socks5", "\x05\x00\x05\x00\x00\x09", Odd, nil},
	{"a cut address", "socks5", "\x05\x00\x05\x00\x00\x04\x00", Down, nil},
	{"a cut name", "socks5", "\x05\x00\x05\x00\x00\x03\xffabc", Down, nil},
	{"nothing", "http", "", Down, nil},
	{"garbage", "http", "\x00\x01\x02garbage\n\n", Odd, nil},
	{"SOCKS5", "http", "\x05\x00\x05\x00", Odd, nil},
	{"407", "http", "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n", Denied, nil},
	{"403", "http", "HTTP/1.1 403 Filtered\r\n\r\n", Target, nil},
	{"a cut header", "http", "HTTP/1.1 200 OK\r\nA: b", Down, nil},
	{"data at once", "http", "HTTP/1.1 200 OK\r\n\r\nsurprise", Odd, nil},
	{"an endless header", "http", "HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", maxAnswer), Odd, nil},
	{"an endless line", "http", "HTTP/1.1 200 " + strings.Repeat("a", 2*maxAnswer), Odd, nil},
}

// TestHostileProxies checks the errors for proxies that answer anything.
func TestHostileProxies(t *testing.T) {
	t.Parallel()
	for _, c := range answers {
		h := handshake{via: &url.URL{Scheme: c.scheme, Host: "proxy:1"}, to: "name.example:443"}
		nc := struct {
			io.Reader
			io.Writer
		}{strings.NewReader(c.answer), io.Discard}
		var err error
		if c.scheme == "http" {
			err = h.connectHTTP(nc)
		} else {
			err = h.connectSOCKS(nc, "name.example", 443)
		}
		var e *Error
		if !errors.As(err, &e) || e.Kind != c.kind || c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%s, %s: %v", c.scheme, c.name, err)
		} else if (Failed(err) != nil) != (c.kind != Target) {
			t.Errorf("%s, %s: Failed returns %v for %v", c.scheme, c.name, Failed(err), err)
		}
	}
}

// TestSilentProxy checks that a proxy that sends a byte now and then, or nothing, costs no more than the
// limit of a dial, and that a context that ends stops at once.
func TestSilentProxy(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"socks5", "http"} {
		via := serveProxy(t, scheme, func(nc net.Conn) { nc.Write([]byte{5}) })
		ctx, cancel := context.WithCancel(t.Context())
		cancelled := make(chan error, 1)
		go func() {
			_, err := Dial(ctx, via, netip.Addr{}, "192.0.2.1:1")
			cancelled <- err
		}()
		cancel()
		if err := <-cancelled; !errors.Is(err, context.Canceled) {
			t.Errorf("%s, cancelled: %v", scheme, err)
		}
		short, stop := context.WithTimeout(t.Context(), 20*time.Millisecond)
		_, err := Dial(short, via, netip.Addr{}, "192.0.2.1:1")
		stop()
		if err == nil {
			t.Errorf("%s: a silent proxy connects", scheme)
		}
	}
	synctest.Test(t, func(t *testing.T) { // the deadline holds for all bytes together
		ours, theirs := net.Pipe()
		ours.SetDeadline(time.Now().Add(DialTime))
		var drip sync.WaitGroup
		defer drip.Wait()
		defer ours.Close()
		drip.Go(func() { io.Copy(io.Discard, theirs) })
		drip.Go(func() {
			for _, b := range []byte("\x05\x00\x05\x00\x00\x03\xff" + strings.Repeat("x", 300)) {
				if _, err := theirs.Write([]byte{b}); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		})
		began := time.Now()
		h := handshake{via: &url.URL{Scheme: "socks5", Host: "proxy:1"}, to: "h:1"}
		err := h.connectSOCKS(ours, "h", 1)
		if took := time.Since(began); err == nil || took > DialTime {
			t.Errorf("a proxy that sends a byte a second: %v after %v", err, took)
		}
	})
}

// FuzzHandshake checks that no answer of a proxy makes the client panic or read more than its limit.
func FuzzHandshake(f *testing.F) {
	for _, c := range answers {
		f.Add([]byte(c.answer), c.scheme == "http")
	}
	f.Fuzz(func(t *testing.T, answer []byte, web bool) {
		h := handshake{via: &url.URL{Scheme: "socks5", Host: "proxy:1", User: url.UserPassword("me", "s3cret")}, to: "h:1"}
		r := bytes.NewReader(answer)
		nc := struct {
			io.Reader
			io.Writer
		}{r, io.Discard}
		var err error
		if web {
			err = h.connectHTTP(nc)
		} else {
			err = h.connectSOCKS(nc, "h", 1)
		}
		if read := len(answer) - r.Len(); read > maxAnswer {
			t.Errorf("read %d bytes", read)
		}
		var e *Error
		if err != nil && (!errors.As(err, &e) || strings.Contains(err.Error(), "s3cret")) {
			t.Errorf("the error is %v", err)
		}
	})
}

// TestPeersHaveNoOtherWay checks that connections that the proxy cannot carry are errors, and that the errors of a proxy
// that does not run are not those of the peer.
func TestPeersHaveNoOtherWay(t *testing.T) {
	t.Parallel()
	closed := &url.URL{Scheme: "socks5", Host: "127.0.0.1:1"}
	p := Peers{Via: closed}
	if _, err := p.Listen(t.Context(), "tcp", ":0"); err == nil {
		t.Error("Peers listens")
	}
	if _, err := p.DialContext(t.Context(), "udp", "127.0.0.1:9"); !errors.Is(err, ErrUDP) {
		t.Errorf("UDP: %v", err)
	}
	if _, err := p.DialContext(t.Context(), "tcp", "127.0.0.1:9"); Failed(err) == nil || errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("without a proxy: %v", err)
	}
	p.Via = &url.URL{Scheme: "http", Host: "127.0.0.1:1"}
	if _, err := p.DialContext(t.Context(), "tcp", "127.0.0.1:9"); !errors.Is(err, ErrPeers) {
		t.Errorf("an HTTP proxy: %v", err)
	}
	if _, err := NoNames().LookupHost(t.Context(), "name.example"); err == nil || !strings.Contains(err.Error(), ErrNames.Error()) {
		t.Errorf("a name: %v", err)
	}
}

// TestEnvironment checks which URLs the variables send through which proxy.
func TestEnvironment(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ environ, to, want string }{
		{"", "http://a.example/", ""},
		{"no_proxy=a.example", "http://a.example/", ""},
		{"http_proxy=p", "http://a.example/", "http://p:8080"},
		{"http_proxy=p", "https://a.example/", ""},
		{"HTTPS_PROXY=http://u:s3cret@p:3128", "https://a.example/", "http://p:3128"},
		{"https_proxy=socks5://p", "wss://a.example/", "socks5://p:1080"},
		{"http_proxy=q all_proxy=socks5h://p", "https://a.example/", "socks5://p:1080"},
		{"http_proxy=q all_proxy=socks5h://p", "http://a.example/", "http://q:8080"},
		{"all_proxy=socks5://p", "udp://a.example:1/", ""},
		{"all_proxy=socks5://p", "http://127.0.0.1/", ""},
		{"all_proxy=socks5://p", "http://localhost:1/", ""},
		{"all_proxy=p no_proxy=.example", "http://a.example/", ""},
		{"all_proxy=p no_proxy=10.0.0.0/8", "http://10.1.2.3/", ""},
		{"all_proxy=p NO_PROXY=*", "http://a.example/", ""},
		{"all_proxy=socks4://u:s3cret@p", "http://a.example/", "error"},
		{"https_proxy=p:0", "https://a.example/", "error"},
	} {
		o := Environment(func(name string) string {
			for _, v := range strings.Fields(c.environ) {
				if k, v, _ := strings.Cut(v, "="); k == name {
					return v
				}
			}
			return ""
		})
		got := ""
		if choose := o.Chooser(); choose != nil {
			to, _ := url.Parse(c.to)
			switch via, err := choose(to); {
			case err != nil:
				got = "error"
				if strings.Contains(err.Error(), "s3cret") {
					t.Errorf("%s: the error is %v", c.environ, err)
				}
			case via != nil:
				got = Show(via)
			}
		}
		if got != c.want || o.Only() != nil {
			t.Errorf("%s: %s goes through %q, want %q", c.environ, c.to, got, c.want)
		}
	}
}
