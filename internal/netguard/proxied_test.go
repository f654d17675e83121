package netguard

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"

	"spate/internal/proxy"
)

// recordingProxy is an HTTP proxy that records what it is asked for. It answers requests itself, and connects tunnels to
// the address at.
type recordingProxy struct {
	at string

	mu    sync.Mutex
	asked []string // guarded by mu
}

func (p *recordingProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.asked = append(p.asked, r.Method+" "+r.RequestURI)
	p.mu.Unlock()
	switch {
	case r.Header.Get("Proxy-Authorization") == "":
		w.WriteHeader(http.StatusProxyAuthRequired)
	case r.Method != http.MethodConnect:
		if to := r.URL.Query().Get("to"); to != "" {
			http.Redirect(w, r, to, http.StatusFound)
			return
		}
		io.WriteString(w, "by the proxy")
	default:
		there, err := net.Dial("tcp", p.at)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		nc, _, _ := w.(http.Hijacker).Hijack()
		io.WriteString(nc, "HTTP/1.1 200 OK\r\n\r\n")
		go io.Copy(nc, there)
		io.Copy(there, nc)
	}
}

func (p *recordingProxy) all() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.asked, ", ")
}

// viaProxy returns a client whose requests go through a proxy, whose names nobody resolves here.
func viaProxy(t *testing.T, login *url.Userinfo) (*Client, *recordingProxy) {
	t.Helper()
	p := &recordingProxy{}
	s := httptest.NewServer(p)
	t.Cleanup(s.Close)
	via, err := proxy.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	via.User = login
	c := NewClient(ClientOptions{Dialer: Dialer{
		Proxy: proxy.All(via).Chooser(), Resolver: &net.Resolver{PreferGo: true, Dial: proxy.NoNames().Dial},
	}})
	t.Cleanup(c.Close)
	return c, p
}

// TestProxyGetsNames checks that an HTTP proxy gets requests for http URLs with names that only it resolves, and a tunnel
// for others.
func TestProxyGetsNames(t *testing.T) {
	t.Parallel()
	c, p := viaProxy(t, url.UserPassword("me", "s3cret"))
	site := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(site.Close)
	p.at = site.Listener.Addr().String()
	c.opt.Transport = func() *http.Transport { return site.Client().Transport.(*http.Transport).Clone() }
	for _, u := range []string{"http://name.example/a?b", "https://example.com/"} {
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, u, nil)
		answer, err := c.Get(r, ToMachine)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.Reach&(1<<Private) != 0 {
			t.Errorf("%s: links in the answer reach %b", u, answer.Reach)
		}
	}
	if want := "GET http://name.example/a?b, CONNECT example.com:443"; p.all() != want {
		t.Errorf("the proxy was asked for %s, want %s", p.all(), want)
	}
}

// TestProxyIsAskedForNothingLocal checks that the proxy gets no request for local names and forbidden addresses in the
// URLs of strangers, nor in redirects, and that a user may type them.
func TestProxyIsAskedForNothingLocal(t *testing.T) {
	t.Parallel()
	c, p := viaProxy(t, url.UserPassword("me", "s3cret"))
	for _, to := range []string{
		"http://localhost/", "http://a.localhost/", "http://nas/", "http://nas.local/", "http://router.lan./", "http://x.home.arpa/", "http://127.0.0.1/",
		"http://169.254.169.254/", "http://[::1]/", "http://10.1.2.3/", "http://127.1/", "http://a.example:25/", "https://nas.local/", "https://10.1.2.3/",
	} {
		for _, u := range []string{to, "http://a.example/?to=" + url.QueryEscape(to)} {
			r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, u, nil)
			if answer, err := c.Get(r, ToPublic); !errors.Is(err, ErrForbidden) && (err == nil || !strings.Contains(err.Error(), "redirect")) {
				t.Errorf("%s: %v, %v", u, answer, err)
			}
		}
	}
	if s := p.all(); strings.Contains(strings.ReplaceAll(s, "a.example/?to=", ""), "//nas") || strings.Contains(s, "CONNECT") || strings.Contains(s, "GET http://localhost") {
		t.Errorf("the proxy was asked for %s", s)
	}
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://nas.local/", nil)
	answer, err := c.Get(r, ToChosen)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
}

// TestProxyWithoutPasswordIsNamed checks that the answer 407 is an error about the proxy.
func TestProxyWithoutPasswordIsNamed(t *testing.T) {
	t.Parallel()
	c, _ := viaProxy(t, nil)
	for _, u := range []string{"http://a.example/", "https://a.example/"} {
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, u, nil)
		_, err := c.Get(r, ToPublic)
		if e := proxy.Failed(err); e == nil || e.Kind != proxy.Denied {
			t.Errorf("%s: %v", u, err)
		}
	}
}

// TestProxyIsNeverPassed checks that requests fail while the proxy does not run, and that UDP is not sent.
func TestProxyIsNeverPassed(t *testing.T) {
	t.Parallel()
	site := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the site was reached") }))
	t.Cleanup(site.Close)
	for _, scheme := range []string{"socks5", "http"} {
		d := Dialer{Proxy: proxy.All(&url.URL{Scheme: scheme, Host: "127.0.0.1:1"}).Chooser()}
		c := NewClient(ClientOptions{Dialer: d})
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, site.URL, nil)
		if _, err := c.Get(r, ToChosen); proxy.Failed(err) == nil {
			t.Errorf("%s: %v", scheme, err)
		}
		if _, err := d.DialContext(t.Context(), ToChosen, "udp", "127.0.0.1:9"); !errors.Is(err, proxy.ErrUDP) {
			t.Errorf("%s, UDP: %v", scheme, err)
		}
		if _, err := d.DialContext(t.Context(), ToChosen, "tcp", site.Listener.Addr().String()); proxy.Failed(err) == nil {
			t.Errorf("%s, TCP: %v", scheme, err)
		}
	}
}

// TestSOCKSProxyGetsNames checks that a SOCKS5 proxy gets the name of a host for requests to http URLs too.
func TestSOCKSProxyGetsNames(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	asked := make(chan string, 1)
	go func() {
		nc, err := l.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		r := bufio.NewReader(nc)
		io.CopyN(io.Discard, r, 3)
		nc.Write([]byte{5, 0})
		io.CopyN(io.Discard, r, 4)
		n, _ := r.ReadByte()
		name := make([]byte, int(n)+2)
		io.ReadFull(r, name)
		asked <- string(name[:n])
		nc.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
		if _, err := http.ReadRequest(r); err == nil {
			io.WriteString(nc, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
	}()
	d := Dialer{Proxy: proxy.All(&url.URL{Scheme: "socks5", Host: l.Addr().String()}).Chooser(), LocalAddr: netip.AddrFrom4([4]byte{127, 0, 0, 1}), OnlyLoopback: true}
	c := NewClient(ClientOptions{Dialer: d})
	t.Cleanup(c.Close)
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://name.example/", nil)
	answer, err := c.Get(r, ToPublic)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if name := <-asked; name != "name.example" {
		t.Errorf("the proxy was asked for %q", name)
	}
}
