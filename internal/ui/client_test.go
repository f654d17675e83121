package ui

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"spate/internal/apitoken"
	"spate/internal/daemon"
)

// rig is a client with a clock, at the host 127.0.0.1:6970. Its API answers "api" to those whom it
// admits.
type rig struct {
	*testing.T
	client *Client
	access daemon.APIAccess
	net    http.Handler
	socket http.Handler
	now    time.Time
	tokens map[string]daemon.Access
}

const rigHost = "127.0.0.1:6970"

func newRig(t *testing.T) *rig {
	g := &rig{T: t, now: time.Unix(1e9, 0), tokens: map[string]daemon.Access{
		"good": {Name: "laptop", ID: "1", Scopes: apitoken.Admin}, "reader": {Name: "tablet", ID: "2", Scopes: apitoken.Read},
	}}
	var err error
	if g.client, err = New(Options{Now: func() time.Time { return g.now }}); err != nil {
		t.Fatal(err)
	}
	g.access = daemon.APIAccess{
		Token: func(b []byte) (daemon.Access, bool) { a, ok := g.tokens[string(b)]; return a, ok },
		TokenByID: func(id string) (daemon.Access, bool) {
			for _, a := range g.tokens {
				if a.ID == id {
					return a, true
				}
			}
			return daemon.Access{}, false
		},
		Hosts:   []string{"files.example"},
		Session: g.client.Sessions().Admit,
	}
	answer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, no := g.access.Identify(r); no != nil {
			http.Error(w, no.Why, http.StatusForbidden)
			return
		}
		io.WriteString(w, "api")
	})
	g.net = g.client.Handler(g.access, answer)
	g.socket = g.client.SocketHandler(func(context.Context) (string, error) { return "http://" + rigHost, nil }, answer)
	return g
}

// send sends a request with the fields of header, which are "Name: value" in lines.
func (g *rig) send(method, target, header, body string) *http.Response {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Host, r.RemoteAddr = rigHost, "192.0.2.7:999"
	for line := range strings.Lines(header) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		if name == "Host" {
			r.Host = value
		} else if name != "" {
			r.Header.Add(name, value)
		}
	}
	w := httptest.NewRecorder()
	g.net.ServeHTTP(w, r)
	return w.Result()
}

// page are the fields that a browser sends with requests of a page of the client.
const page = "Origin: http://" + rigHost + "\nSec-Fetch-Site: same-origin\nSec-Fetch-Dest: empty\n"

// signIn signs in with a body, and returns the session and the field with its cookie.
func (g *rig) signIn(body, header string) (Session, string) {
	g.Helper()
	resp := g.send("POST", "/session", page+"Content-Type: application/json\n"+header, body)
	var s Session
	if resp.StatusCode != 200 || json.NewDecoder(resp.Body).Decode(&s) != nil || len(resp.Cookies()) != 1 {
		g.Fatalf("signing in: %v", resp)
	}
	return s, "Cookie: " + resp.Cookies()[0].Name + "=" + resp.Cookies()[0].Value + "\n"
}

// link asks the socket for a link, and returns the parameters of its fragment.
func (g *rig) link(ask string) (fragment url.Values) {
	g.Helper()
	w := httptest.NewRecorder()
	g.socket.ServeHTTP(w, httptest.NewRequest("POST", daemon.LinkPath, strings.NewReader(ask)))
	var l daemon.Link
	if err := json.Unmarshal(w.Body.Bytes(), &l); err != nil || w.Code != 200 {
		g.Fatalf("a link: %d %s", w.Code, w.Body)
	}
	base, rest, _ := strings.Cut(l.URL, "#")
	fragment, err := url.ParseQuery(rest)
	if err != nil || base != "http://"+rigHost+"/" || l.Page != base {
		g.Fatalf("the link is %q", l.URL)
	}
	return fragment
}

func text(resp *http.Response) string {
	b, _ := io.ReadAll(resp.Body)
	return string(b)
}

// TestSession signs in with a token, uses the API, lists the sessions, ends another one, and signs out.
func TestSession(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	if got := text(g.send("GET", "/", "", "")); !strings.Contains(got, "Sign in") {
		t.Errorf("without a session / is %s", got)
	}
	one, cookie := g.signIn(`{"token":"good"}`, "User-Agent: Firefox\n")
	if one.Name != "laptop" || strings.Join(one.Scopes, " ") != "admin" || one.CSRF == "" || !one.Expires.After(g.now) {
		t.Errorf("the session is %+v", one)
	}
	if got := text(g.send("GET", "/", cookie, "")); strings.Contains(got, "Sign in") {
		t.Errorf("with a session / is %s", got)
	}
	if got := text(g.send("GET", "/v1/status", cookie+page, "")); got != "api" {
		t.Errorf("the API with a session: %s", got)
	}
	other, theirs := g.signIn(`{"token":"reader"}`, "")
	var list struct{ Sessions []Info }
	json.NewDecoder(g.send("GET", "/sessions", cookie, "").Body).Decode(&list)
	if len(list.Sessions) != 2 || list.Sessions[0].Current == list.Sessions[1].Current {
		t.Fatalf("an administrator sees %+v", list.Sessions)
	}
	ids := map[string]string{}
	for _, i := range list.Sessions {
		ids[i.Name] = i.ID
	}
	json.NewDecoder(g.send("GET", "/sessions", theirs, "").Body).Decode(&list)
	if len(list.Sessions) != 1 || list.Sessions[0].Name != "tablet" {
		t.Errorf("a reader sees %+v", list.Sessions)
	}
	if resp := g.send("DELETE", "/sessions/"+ids["laptop"], theirs+page+csrfHeader+": "+other.CSRF, ""); resp.StatusCode != 404 {
		t.Errorf("a reader ends the session of an administrator: %d", resp.StatusCode)
	}
	if resp := g.send("DELETE", "/sessions/"+ids["tablet"], cookie+page+csrfHeader+": "+one.CSRF, ""); resp.StatusCode != 204 {
		t.Errorf("an administrator ends a session: %d", resp.StatusCode)
	}
	if resp := g.send("GET", "/session", theirs, ""); resp.StatusCode != 401 || resp.Header.Get("WWW-Authenticate") != "" {
		t.Errorf("an ended session: %v", resp)
	}
	resp := g.send("DELETE", "/session", cookie+page+csrfHeader+": "+one.CSRF, "")
	if c := resp.Cookies(); resp.StatusCode != 204 || len(c) != 1 || c[0].MaxAge >= 0 {
		t.Errorf("signing out: %v", resp)
	}
	if resp := g.send("GET", "/session", cookie, ""); resp.StatusCode != 401 {
		t.Errorf("after signing out: %d", resp.StatusCode)
	}
}

// TestSessionsEnd checks that a session ends with its token, after idleLimit without a request and
// after lifeLimit in any case, and that the number of sessions is bounded.
func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	status := func(cookie string) int { return g.send("GET", "/session", cookie, "").StatusCode }
	_, revoked := g.signIn(`{"token":"reader"}`, "")
	delete(g.tokens, "reader")
	if got := status(revoked); got != 401 {
		t.Errorf("a session of a revoked token: %d", got)
	}
	_, idle := g.signIn(`{"token":"good"}`, "")
	_, busy := g.signIn(`{"token":"good"}`, "")
	start := g.now
	for ; g.now.Before(start.Add(lifeLimit)); g.now = g.now.Add(idleLimit / 2) {
		if got := status(busy); got != 200 {
			t.Fatalf("a session in use ended after %v: %d", g.now.Sub(start), got)
		}
	}
	if status(idle) != 401 || status(busy) != 401 {
		t.Errorf("a session did not end: idle %d, busy %d", status(idle), status(busy))
	}
	_, first := g.signIn(`{"token":"good"}`, "")
	for range maxSessions {
		g.now = g.now.Add(time.Second)
		g.signIn(`{"token":"good"}`, "")
	}
	if n := len(g.client.sessions.by); n != maxSessions || status(first) != 401 {
		t.Errorf("there are %d sessions, and the oldest has %d", n, status(first))
	}
}

// TestLink checks links with and without something to add, and that their codes work once, for a
// minute, and for one user only if the system tells whose a connection is.
func TestLink(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	const magnet = "magnet:?xt=urn:btih:0123456789012345678901234567890123456789&dn=a b+c"
	asked, err := json.Marshal(daemon.LinkRequest{Add: magnet, User: -1})
	if err != nil {
		t.Fatal(err)
	}
	f := g.link(string(asked))
	if f.Get("add") != magnet {
		t.Errorf("the link adds %q", f.Get("add"))
	}
	once := `{"once":"` + f.Get("once") + `"}`
	one, cookie := g.signIn(once, "")
	if one.Name != linkName || strings.Join(one.Scopes, " ") != "admin" {
		t.Errorf("the session is %+v", one)
	}
	const head = page + "Content-Type: application/json\n"
	if resp := g.send("POST", "/session", head, once); resp.StatusCode != 403 {
		t.Errorf("the code a second time: %d", resp.StatusCode)
	}
	late := `{"once":"` + g.link(`{}`).Get("once") + `"}`
	g.now = g.now.Add(codeLife)
	if resp := g.send("POST", "/session", head, late); resp.StatusCode != 403 {
		t.Errorf("the code after %v: %d", codeLife, resp.StatusCode)
	}
	id, ok := strings.CutPrefix(g.link(`{"torrent":"ZGF0YQ=="}`).Get("add"), "offer:")
	if resp := g.send("GET", "/offers/"+id, cookie, ""); !ok || text(resp) != "data" || !strings.Contains(resp.Header.Get("Content-Security-Policy"), "sandbox") {
		t.Errorf("the file: %v", resp)
	}
	if resp := g.send("GET", "/offers/"+id, "", ""); resp.StatusCode != 401 {
		t.Errorf("the file without a session: %d", resp.StatusCode)
	}
	for range maxCodes - 1 { // the one of the file is unused too
		g.link(`{}`)
	}
	w := httptest.NewRecorder()
	g.socket.ServeHTTP(w, httptest.NewRequest("POST", daemon.LinkPath, strings.NewReader(`{}`)))
	if w.Code != 429 {
		t.Errorf("more than %d codes: %d", maxCodes, w.Code)
	}
}

// TestLinkIsForOneUser checks that a process of another user cannot use a code, and uses it up.
func TestLinkIsForOneUser(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		uid   int
		known bool
		want  bool
	}{{1000, true, true}, {1001, true, false}, {0, false, true}} {
		s := newSessions(time.Now)
		s.owner = func(remote, local netip.AddrPort) (int, bool) {
			if remote.String() != "127.0.0.1:50000" || local.String() != "127.1.2.3:80" {
				t.Errorf("asked for %v and %v", remote, local)
			}
			return c.uid, c.known
		}
		code, _, err := s.newCode(1000)
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest("POST", "/session", nil)
		r.RemoteAddr = "127.0.0.1:50000"
		r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, net.TCPAddrFromAddrPort(netip.MustParseAddrPort("127.1.2.3:80"))))
		if got := s.redeem(r, code); got != c.want || s.redeem(r, code) {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

// TestOwnerOf checks that the system tells whose a connection is, on Linux.
func TestOwnerOf(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Log(err)
			continue
		}
		defer l.Close()
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		uid, ok := ownerOf(netip.MustParseAddrPort(c.LocalAddr().String()), netip.MustParseAddrPort(l.Addr().String()))
		_, err = os.Stat("/proc/net/tcp")
		if linux := err == nil; ok != linux || ok && uid != os.Getuid() {
			t.Errorf("%s: the owner of an own connection is %d, %v", addr, uid, ok)
		}
	}
}

// TestAssets checks the URLs of assets, how long they are cached, and their compression.
func TestAssets(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	html := text(g.send("GET", "/", "", ""))
	_, rest, _ := strings.Cut(html, `src="`)
	path, _, _ := strings.Cut(rest, `"`)
	resp := g.send("GET", path, "Accept-Encoding: gzip", "")
	if resp.StatusCode != 200 || !strings.Contains(resp.Header.Get("Cache-Control"), "immutable") || resp.Header.Get("Content-Encoding") != "gzip" || resp.Header.Get("ETag") == "" {
		t.Errorf("%s: %v", path, resp)
	}
	plain := "/static/" + path[strings.LastIndexByte(path, '/')+1:]
	if resp := g.send("GET", plain, "", ""); resp.StatusCode != 200 || resp.Header.Get("Cache-Control") != "no-cache" || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/javascript") {
		t.Errorf("%s: %v", plain, resp)
	}
	for _, none := range []string{"/static/", "/static/x.js", "/static/" + g.client.assets.label, "/static/../client.go", "/static/0000/signin.js"} {
		if resp := g.send("GET", none, "", ""); resp.StatusCode == 200 {
			t.Errorf("%s: %d", none, resp.StatusCode)
		}
	}
	for name, f := range g.client.assets.files {
		if strings.HasSuffix(name, ".html") && (strings.Contains(string(f.data), "<style") || strings.Contains(string(f.data), "<script>") || strings.Contains(string(f.data), " style=")) {
			t.Errorf("%s has an inline script or style, which the policy forbids", name)
		}
	}
}

// TestLinkWithoutListener checks the error if no listener for the client can be opened.
func TestLinkWithoutListener(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	h := g.client.SocketHandler(func(context.Context) (string, error) { return "", errors.New("no port is free") }, http.NotFoundHandler())
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("POST", daemon.LinkPath, strings.NewReader(`{}`)))
	if w.Code != 500 || !strings.Contains(w.Body.String(), "no port is free") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }
