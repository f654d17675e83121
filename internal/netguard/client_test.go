package netguard

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// internet is a network in which every address leads to one server on this machine. It
// records dialled addresses and requests.
type internet struct {
	server *httptest.Server

	mu    sync.Mutex
	dials []string
	asked []string
}

// newInternet returns a network whose server answers /?to=URL with a redirect to URL, and
// other requests with "ok".
func newInternet(t *testing.T) *internet {
	n := &internet{}
	n.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.mu.Lock()
		n.asked = append(n.asked, r.Host+r.URL.Path)
		n.mu.Unlock()
		if to := r.URL.Query().Get("to"); to != "" {
			http.Redirect(w, r, to, http.StatusFound)
			return
		}
		io.WriteString(w, "ok")
	}))
	t.Cleanup(n.server.Close)
	return n
}

func (n *internet) dial(ctx context.Context, network, address string) (net.Conn, error) {
	n.mu.Lock()
	n.dials = append(n.dials, address)
	n.mu.Unlock()
	return new(net.Dialer).DialContext(ctx, network, n.server.Listener.Addr().String())
}

func (n *internet) client(t *testing.T, opt ClientOptions) *Client {
	opt.Dialer.Dial = n.dial
	c := NewClient(opt)
	t.Cleanup(c.Close)
	return c
}

// get requests u and reads the response, so that the connection stays open.
func get(t *testing.T, c *Client, u string, within Reach) (*Answer, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, u, nil)
	if err != nil {
		t.Fatal(err)
	}
	a, err := c.Get(req, within)
	if err != nil {
		return nil, err
	}
	io.Copy(io.Discard, a.Body)
	a.Body.Close()
	return a, nil
}

// hops returns a URL that redirects through hosts to the last one.
func hops(hosts ...string) string {
	u := "http://" + hosts[len(hosts)-1] + "/end"
	for i := len(hosts) - 2; i >= 0; i-- {
		u = "http://" + hosts[i] + "/?to=" + url.QueryEscape(u)
	}
	return u
}

// TestRedirectsLeadOutwards checks that a redirect must not lead nearer to this machine
// than the server that sent it, and that a chain of redirects that has left this machine
// cannot return.
func TestRedirectsLeadOutwards(t *testing.T) {
	t.Parallel()
	const public, other, private, link, local, metadata = "203.0.113.7", "198.51.100.1", "10.0.0.1", "169.254.1.1", "127.0.0.1", "169.254.169.254"
	for _, c := range []struct {
		hosts []string
		asked int // number of hosts that receive a request
	}{
		{[]string{public, other, public}, 3},
		{[]string{public, local}, 1},
		{[]string{public, private}, 1},
		{[]string{public, link}, 1},
		{[]string{public, metadata}, 1},
		{[]string{public, "0.0.0.0"}, 1},
		{[]string{public, "[::ffff:127.0.0.1]"}, 1},
		{[]string{public, "[64:ff9b::7f00:1]"}, 1},
		{[]string{public, "[2002:7f00:1::]"}, 1},
		{[]string{public, "[fd00::1]"}, 1},
		{[]string{public, other, public, local}, 3},
		{[]string{private, private, public, private}, 3},
		{[]string{private, local}, 1},
		{[]string{private, link}, 1},
		{[]string{link, link, private, public}, 4},
		{[]string{link, local}, 1},
		{[]string{local, local, private, public, other}, 5},
		{[]string{local, public, local}, 2},
		{[]string{local, private, local}, 2},
		{[]string{local, metadata}, 1},
		{[]string{metadata}, 0},
	} {
		t.Run(strings.Join(c.hosts, " "), func(t *testing.T) {
			t.Parallel()
			n := newInternet(t)
			_, err := get(t, n.client(t, ClientOptions{}), hops(c.hosts...), ToChosen)
			var forbidden *AddressError
			if whole := c.asked == len(c.hosts); whole != (err == nil) || !whole && !errors.As(err, &forbidden) || len(n.asked) != c.asked {
				t.Errorf("the hosts %q got a request, %v, want %d hosts", n.asked, err, c.asked)
			}
			if len(n.dials) > c.asked {
				t.Errorf("the client dialled %q, want at most %d addresses", n.dials, c.asked)
			}
			var failed *url.Error
			if err != nil && (!errors.As(err, &failed) || !strings.HasPrefix(failed.URL, "http://"+c.hosts[c.asked]+"/")) {
				t.Errorf("%v does not name the URL that failed", err)
			}
		})
	}
}

// TestAnswerHasReachOfItsServer checks the reach of the links in a response.
func TestAnswerHasReachOfItsServer(t *testing.T) {
	t.Parallel()
	n := newInternet(t)
	c := n.client(t, ClientOptions{})
	for u, want := range map[string]Reach{
		hops("203.0.113.7"): ToPublic, hops("10.0.0.1"): ToPrivate, hops("127.0.0.1"): ToChosen, hops("127.0.0.1", "10.0.0.1"): ToPrivate,
	} {
		if a, err := get(t, c, u, ToChosen); err != nil || a.Reach != want {
			t.Errorf("Get of %s returned %+v, %v, want the reach %v", u, a, err, want)
		}
	}
	if a, err := get(t, c, hops("127.0.0.1"), ToMachine); err != nil || a.Reach != ToMachine {
		t.Errorf("Get with the reach ToMachine returned %+v, %v, want the same reach", a, err)
	}
}

// TestKeptConnectionIsChecked checks that a request may not use an open connection to an
// address outside its own reach, and that the address of an open connection limits
// redirects.
func TestKeptConnectionIsChecked(t *testing.T) {
	t.Parallel()
	n := newInternet(t)
	c := n.client(t, ClientOptions{})
	for range 2 {
		if _, err := get(t, c, hops("127.0.0.1"), ToChosen); err != nil {
			t.Fatal(err)
		}
	}
	if len(n.dials) != 1 {
		t.Fatalf("dialled %q: no connection was kept", n.dials)
	}
	for _, within := range []Reach{ToPublic, ToPrivate} {
		if _, err := get(t, c, hops("127.0.0.1"), within); !errors.Is(err, ErrForbidden) {
			t.Errorf("a request with the reach %v over the open connection returned %v, want ErrForbidden", within, err)
		}
	}
	for range 2 { // the second request uses the connection of the first
		if _, err := get(t, c, hops("203.0.113.7", "127.0.0.1"), ToChosen); !errors.Is(err, ErrForbidden) {
			t.Errorf("a redirect from a public server to the open connection returned %v, want ErrForbidden", err)
		}
	}
	if got := strings.Join(n.dials, " "); got != "127.0.0.1:80 203.0.113.7:80" {
		t.Errorf("the client dialled %s, want each host once", got)
	}
}

// TestWithinLimitsRedirects checks that Within limits each redirect by its URL.
func TestWithinLimitsRedirects(t *testing.T) {
	t.Parallel()
	n := newInternet(t)
	c := n.client(t, ClientOptions{Within: func(u *url.URL) Reach {
		if strings.HasPrefix(u.Path, "/end") {
			return ToPrivate
		}
		return ToMachine
	}})
	if _, err := get(t, c, "http://127.0.0.1/?to=/end", ToMachine); !errors.Is(err, ErrForbidden) || len(n.asked) != 1 {
		t.Errorf("the hosts %q got a request, %v, want one host and ErrForbidden", n.asked, err)
	}
	if _, err := get(t, c, "http://127.0.0.1/?to=/other", ToMachine); err != nil {
		t.Errorf("a redirect that Within allows: %v", err)
	}
}

// TestRefusesBadRedirects checks redirects that no server may send: other schemes, invalid
// URLs, circles, and more than MaxRedirects.
func TestRefusesBadRedirects(t *testing.T) {
	t.Parallel()
	n := newInternet(t)
	c := n.client(t, ClientOptions{})
	for _, to := range []string{
		"ftp://203.0.113.8/x", "file:///etc/passwd", "http:///x", "http://%zz/", "javascript:alert(1)", "data:,x", "udp://203.0.113.8:80",
		chain(MaxRedirects),
	} {
		_, err := get(t, c, "http://203.0.113.7/?to="+url.QueryEscape(to), ToChosen)
		var redirect *RedirectError
		if !errors.As(err, &redirect) || redirect.Status != http.StatusFound || redirect.Magnet != "" {
			t.Errorf("a redirect to %s returned %v, want a RedirectError", to, err)
		}
	}
	if _, err := get(t, c, "http://203.0.113.7"+chain(MaxRedirects), ToChosen); err != nil {
		t.Errorf("%d redirects returned %v, want success", MaxRedirects, err)
	}
	if _, err := get(t, c, "ftp://203.0.113.7/", ToChosen); err == nil {
		t.Error("a request for an ftp URL succeeded")
	}
}

// chain returns a path that redirects n times.
func chain(n int) string {
	to := "/end"
	for range n {
		to = "/?to=" + url.QueryEscape(to)
	}
	return to
}

// TestRedirectStatusesAndLocations checks which statuses are redirects, that relative
// locations and fragments are resolved, and that the Range header is kept.
func TestRedirectStatusesAndLocations(t *testing.T) {
	t.Parallel()
	asked := ""
	c, base := serverOf(t, ClientOptions{}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/a/start" {
			w.Header().Set("Location", r.URL.Query().Get("to"))
			status := 0
			fmt.Sscan(r.URL.Query().Get("status"), &status)
			w.WriteHeader(status)
			return
		}
		if r.Header.Get("Authorization") != "" {
			t.Errorf("%s got a password of a Location", r.URL)
		}
		asked = r.URL.RequestURI() + " " + r.Header.Get("Range")
	})
	ask := func(status int, to string) (*Answer, error) {
		asked = ""
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("%s/a/start?status=%d&to=%s", base, status, url.QueryEscape(to)), nil)
		req.Header.Set("Range", "bytes=5-9")
		a, err := c.Get(req, ToMachine)
		if err == nil {
			a.Body.Close()
		}
		return a, err
	}
	for _, status := range []int{301, 302, 303, 307, 308} {
		if a, err := ask(status, "/x"); err != nil || a.StatusCode != 200 || asked != "/x bytes=5-9" {
			t.Errorf("status %d: %+v, %v, asked %q", status, a, err, asked)
		}
	}
	for _, status := range []int{300, 304, 305, 306} {
		if a, err := ask(status, "/x"); err != nil || a.StatusCode != status || asked != "" {
			t.Errorf("status %d: %+v, %v, asked %q, want no redirect", status, a, err, asked)
		}
	}
	for to, want := range map[string]string{
		"b": "/a/b", "../b": "/b", "/b?c=d": "/b?c=d", "./b#part": "/a/b", "//" + strings.TrimPrefix(base, "http://") + "/h": "/h", "b%20c": "/a/b%20c",
		"b c": "/a/b%20c", "caf\xe9": "/a/caf%E9", "/\u00fc?q=\u00fc": "/%C3%BC?q=\u00fc", " /x\t": "/x", "/x#%20": "/x", "/x?a%zz": "/x?a%zz",
		strings.Replace(base, "http", "HTTP", 1) + "/x": "/x", strings.Replace(base, "//", "//me:secret@", 1) + "/x": "/x", "/a//b/../c": "/a//c", "/.": "/",
	} {
		_, err := ask(302, to)
		if got, _, _ := strings.Cut(asked, " "); err != nil || got != want {
			t.Errorf("Location %q led to %q, %v, want %q", to, got, err, want)
		}
	}
	var redirect *RedirectError
	for _, to := range []string{"", " ", "\t", "/%zz", "http://[::1/", "http://h:port/", ":", "http://"} {
		if _, err := ask(302, to); !errors.As(err, &redirect) {
			t.Errorf("Location %q: %v, want a RedirectError", to, err)
		}
	}
	const magnet = "magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567&dn=a%20b"
	if _, err := ask(302, magnet); !errors.As(err, &redirect) || redirect.Magnet != magnet {
		t.Errorf("redirect to a magnet link: %v", err)
	}
}

// serverOf returns a client and the URL of a server with a handler.
func serverOf(t *testing.T, opt ClientOptions, h http.HandlerFunc) (*Client, string) {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	c := NewClient(opt)
	t.Cleanup(c.Close)
	return c, s.URL
}

// TestCirclesEnd checks that the client follows each redirect of a circle once.
func TestCirclesEnd(t *testing.T) {
	t.Parallel()
	for start, asked := range map[string]int{"/self": 1, "/fragment": 1, "/one": 2, "/in": 3} {
		n := 0
		c, base := serverOf(t, ClientOptions{}, func(w http.ResponseWriter, r *http.Request) {
			n++
			w.Header().Set("Location", map[string]string{"/self": "/self", "/fragment": "#x", "/in": "/one", "/one": "/two", "/two": "/one"}[r.URL.Path])
			w.WriteHeader(http.StatusFound)
		})
		var redirect *RedirectError
		if _, err := get(t, c, base+start, ToMachine); !errors.As(err, &redirect) || n != asked {
			t.Errorf("%s: %v after %d requests, want %d", start, err, n, asked)
		}
	}
}

// TestRedirectWithRetryAfter checks that a redirect that asks for a long pause is not
// followed at once, and that the error holds the pause.
func TestRedirectWithRetryAfter(t *testing.T) {
	t.Parallel()
	for after, want := range map[string]time.Duration{"": 0, "0": 0, "soon": 0, "600": 10 * time.Minute, "9999999999999999999999": MaxRetryAfter} {
		asked := 0
		c, base := serverOf(t, ClientOptions{}, func(w http.ResponseWriter, r *http.Request) {
			asked++
			if r.URL.Path == "/" {
				w.Header().Set("Retry-After", after)
				http.Redirect(w, r, "/x", http.StatusFound)
			}
		})
		_, err := get(t, c, base+"/", ToMachine)
		var redirect *RedirectError
		if want == 0 && (err != nil || asked != 2) || want > 0 && (!errors.As(err, &redirect) || redirect.RetryAfter != want || asked != 1) {
			t.Errorf("Retry-After %q: %v, %d requests", after, err, asked)
		}
	}
}

// TestConnectErrorOnlyWithoutConnection checks that an error is a ConnectError only if there
// was no connection.
func TestConnectErrorOnlyWithoutConnection(t *testing.T) {
	t.Parallel()
	c, base := serverOf(t, ClientOptions{}, func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) })
	var connect *ConnectError
	if _, err := get(t, c, base, ToMachine); err == nil || errors.As(err, &connect) {
		t.Errorf("a connection that was cut: %v", err)
	}
	if _, err := get(t, c, strings.Replace(base, "http:", "https:", 1), ToMachine); !errors.As(err, &connect) {
		t.Errorf("a TLS handshake with an http server: %v", err)
	}
	if _, err := get(t, c, base, ToPublic); !errors.As(err, &connect) || !errors.Is(err, ErrForbidden) {
		t.Errorf("a forbidden address: %v", err)
	}
}

// TestTLSServer checks that the client knows the address of a connection with TLS and
// HTTP/2, and refuses a redirect from https to http.
func TestTLSServer(t *testing.T) {
	t.Parallel()
	for _, two := range []bool{false, true} {
		t.Run(fmt.Sprintf("HTTP/2 %v", two), func(t *testing.T) {
			t.Parallel()
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if to := r.URL.Query().Get("to"); to != "" {
					http.Redirect(w, r, to, http.StatusFound)
				}
				w.Header().Set("X-Protocol", r.Proto)
			}))
			s.EnableHTTP2 = true
			s.StartTLS()
			defer s.Close()
			roots := x509.NewCertPool()
			roots.AddCert(s.Certificate())
			for _, dial := range []func(context.Context, string, string) (net.Conn, error){nil, new(net.Dialer).DialContext} {
				c := NewClient(ClientOptions{Dialer: Dialer{Dial: dial}, Transport: func() *http.Transport {
					return &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: two}
				}})
				defer c.Close()
				for range 2 {
					a, err := get(t, c, s.URL, ToChosen)
					if err != nil || a.Reach != ToChosen || (a.Header.Get("X-Protocol") == "HTTP/2.0") != two {
						t.Errorf("Get over TLS returned %+v, %v, want the reach ToChosen and the right version of HTTP", a, err)
					}
				}
				var redirect *RedirectError
				if _, err := get(t, c, s.URL+"/?to="+url.QueryEscape("http://203.0.113.7/"), ToChosen); !errors.As(err, &redirect) {
					t.Errorf("a redirect from https to http returned %v, want a RedirectError", err)
				}
			}
		})
	}
}

// TestPasswordGoesToItsOriginOnly checks that the client sends the user name and password
// of a URL only to the host of that URL, and that errors do not contain the password.
func TestPasswordGoesToItsOriginOnly(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	got := map[string]string{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		_, got[r.Host+r.URL.Path], _ = r.BasicAuth()
		mu.Unlock()
		if to := r.URL.Query().Get("to"); to != "" {
			http.Redirect(w, r, to, http.StatusFound)
		}
	}))
	defer s.Close()
	c := NewClient(ClientOptions{Dialer: Dialer{Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, s.Listener.Addr().String())
	}}})
	defer c.Close()
	u := "http://me:secret@203.0.113.7/a?to=" + url.QueryEscape("/b?to="+url.QueryEscape("http://you:other@203.0.113.8/c"))
	if _, err := get(t, c, u, ToPublic); err != nil {
		t.Fatal(err)
	}
	if got["203.0.113.7/a"] != "secret" || got["203.0.113.7/b"] != "secret" || got["203.0.113.8/c"] != "" || len(got) != 3 {
		t.Errorf("the servers got the passwords %q, want them only on the first host", got)
	}
	s.Close()
	if _, err := get(t, c, u, ToPublic); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("the error contains the password, or there is no error: %v", err)
	}
}

// TestDowngradeOnlyOfCheckedData checks redirects between http and https, and that they
// never carry a password.
func TestDowngradeOnlyOfCheckedData(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		from, to string
		checked  bool
		want     bool
	}{
		{"http", "https", false, true}, {"http", "https", true, true}, {"https", "https", false, true},
		{"https", "http", false, false}, {"https", "http", true, true}, {"https", "ftp", true, false},
	} {
		from := &url.URL{Scheme: c.from, Host: "h", Path: "/x", User: url.UserPassword("me", "secret")}
		resp := &http.Response{StatusCode: http.StatusFound, Header: http.Header{"Location": {c.to + "://mirror/x"}}}
		next, err := (&Client{opt: ClientOptions{Checked: c.checked}}).location(resp, from)
		if (err == nil) != c.want || next != nil && next.User != nil {
			t.Errorf("%+v: %v, %v", c, next, err)
		}
	}
}

// FuzzLocation checks that every accepted Location leads to a host by http or https, that
// https leads only to https, and that a password is kept only for the same host.
func FuzzLocation(f *testing.F) {
	for _, s := range []string{"/x", "http://127.0.0.1/", "//h", "https:x", "?", "\\\\h"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, to string) {
		for _, scheme := range []string{"http", "https"} {
			from := &url.URL{Scheme: scheme, Host: "h", Path: "/x", User: url.UserPassword("me", "secret")}
			resp := &http.Response{StatusCode: http.StatusFound, Header: http.Header{"Location": {to}}}
			next, err := new(Client).location(resp, from)
			if err != nil {
				continue
			}
			if next == nil || next.Hostname() == "" || next.Scheme != "https" && (next.Scheme != "http" || scheme == "https") {
				t.Fatalf("%q leads from %s to %v", to, scheme, next)
			}
			if next.User != nil && (next.Host != "h" || next.Scheme != scheme) {
				t.Fatalf("redirect %q sends the password to %v", to, next)
			}
		}
	})
}
