package ui

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestOtherSitesCannotDriveTheClient sends what pages of other sites can make a browser send, with the
// cookie of a session although SameSite would hold it back, and what a page of the client sends.
func TestOtherSitesCannotDriveTheClient(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	one, cookie := g.signIn(`{"token":"good"}`, "")
	csrf := csrfHeader + ": " + one.CSRF + "\n"
	for _, c := range []struct {
		what, method, target, header string
		want                         int
	}{
		{"the page", "POST", "/v1/torrents", page + csrf, 200},
		{"the page without JavaScript's Origin", "GET", "/v1/torrents", "Sec-Fetch-Site: same-origin\n", 200},
		{"a download that the user opens", "GET", "/v1/torrents/x/files/a", "Sec-Fetch-Site: none\nSec-Fetch-Dest: document\n", 200},
		{"a video in the page", "GET", "/v1/torrents/x/files/a", "Sec-Fetch-Site: same-origin\nSec-Fetch-Dest: video\n", 200},
		{"a program with the cookie", "GET", "/v1/torrents", "", 200},
		{"a mount with the cookie", "PROPFIND", "/dav/", "", 200},

		{"no CSRF token", "POST", "/v1/torrents", page, 403},
		{"an empty CSRF token", "POST", "/v1/torrents", page + csrfHeader + ": \n", 403},
		{"a wrong CSRF token", "POST", "/v1/torrents", page + csrfHeader + ": " + strings.Repeat("A", len(one.CSRF)), 403},
		{"a program without the CSRF token", "DELETE", "/v1/torrents/x", "", 403},
		{"an unknown method", "BREW", "/v1/torrents", page, 403},
		{"WebDAV that writes", "PUT", "/dav/x", page, 403},
		{"an override of the method", "POST", "/v1/torrents/x", page + "X-HTTP-Method-Override: GET\n", 403},

		{"a form of another site", "POST", "/v1/torrents", "Origin: http://evil.example\nSec-Fetch-Site: cross-site\nContent-Type: application/x-www-form-urlencoded\n", 403},
		{"a form with the CSRF token", "POST", "/v1/torrents", "Origin: http://evil.example\nSec-Fetch-Site: cross-site\n" + csrf, 403},
		{"an old browser's form", "POST", "/v1/torrents", "Origin: http://evil.example\n" + csrf, 403},
		{"fetch with credentials", "GET", "/v1/torrents", "Origin: http://evil.example\nSec-Fetch-Site: cross-site\nSec-Fetch-Mode: cors\n", 403},
		{"a preflight", "OPTIONS", "/v1/torrents", "Origin: http://evil.example\nSec-Fetch-Site: cross-site\nAccess-Control-Request-Method: DELETE\n", 403},
		{"a picture of another site", "GET", "/v1/status", "Sec-Fetch-Site: cross-site\nSec-Fetch-Dest: image\n", 403},
		{"a link of another site", "GET", "/v1/torrents/x/files/a", "Sec-Fetch-Site: cross-site\nSec-Fetch-Dest: document\nSec-Fetch-Mode: navigate\n", 403},
		{"SSE of another site", "GET", "/v1/events", "Origin: http://evil.example\nSec-Fetch-Site: cross-site\nAccept: text/event-stream\n", 403},
		{"a WebSocket of another site", "GET", "/v1/events", "Origin: http://evil.example\nConnection: Upgrade\nUpgrade: websocket\nSec-WebSocket-Version: 13\n", 403},
		{"a WebSocket of the page", "GET", "/v1/events", "Origin: http://" + rigHost + "\nConnection: Upgrade\nUpgrade: websocket\n", 403},
		{"another port of this machine", "GET", "/v1/torrents", "Origin: http://127.0.0.1:8000\nSec-Fetch-Site: same-site\n", 403},
		{"another port without an Origin", "GET", "/v1/torrents", "Sec-Fetch-Site: same-site\n", 403},
		{"another address of this machine", "POST", "/v1/torrents", "Origin: http://127.0.0.2:6970\n" + csrf, 403},
		{"an opaque origin", "POST", "/v1/torrents", "Origin: null\nSec-Fetch-Site: cross-site\n" + csrf, 403},
		{"two origins", "POST", "/v1/torrents", "Origin: http://" + rigHost + "\nOrigin: http://evil.example\n" + csrf, 403},
		{"two sites", "GET", "/v1/torrents", "Sec-Fetch-Site: same-origin\nSec-Fetch-Site: cross-site\n", 403},
		{"an origin with a user", "POST", "/v1/torrents", "Origin: http://" + rigHost + "@evil.example\n" + csrf, 403},
		{"an extension", "POST", "/v1/torrents", "Origin: moz-extension://0a1b\n" + csrf, 403},
		{"a token in a request of a page", "GET", "/v1/torrents", "Origin: http://evil.example\nAuthorization: Bearer good\n", 403},

		{"a file of a torrent as a script", "GET", "/v1/torrents/x/files/a.js", "Sec-Fetch-Site: same-origin\nSec-Fetch-Dest: script\n", 403},
		{"a file of a torrent as a worker", "GET", "/v1/torrents/x/files/a.js", "Sec-Fetch-Site: same-origin\nSec-Fetch-Dest: serviceworker\n", 403},
		{"a file of a torrent as a style", "GET", "/v1/torrents/x/files/a.css", "Sec-Fetch-Site: same-origin\nSec-Fetch-Dest: style\n", 403},

		{"DNS rebinding", "GET", "/v1/torrents", "Host: evil.example:6970\nOrigin: http://evil.example:6970\nSec-Fetch-Site: same-origin\n", 421},
		{"DNS rebinding of the page", "GET", "/", "Host: evil.example\n", 421},
		{"DNS rebinding of the session", "GET", "/session", "Host: evil.example\n", 421},
		{"a name that was configured", "GET", "/", "Host: files.example:6970\n", 200},
		{"the session", "GET", "/session", "Origin: http://evil.example\nSec-Fetch-Site: cross-site\n", 403},
		{"the list of sessions", "GET", "/sessions", "Sec-Fetch-Site: same-site\n", 403},
		{"a sign-out", "DELETE", "/session", "Origin: http://evil.example\n" + csrf, 403},
		{"a sign-out without the CSRF token", "DELETE", "/session", page, 403},
		{"the end of a session without the CSRF token", "DELETE", "/sessions/x", page, 403},
	} {
		if resp := g.send(c.method, c.target, c.header+cookie, ""); resp.StatusCode != c.want {
			t.Errorf("%s: %d, want %d: %s", c.what, resp.StatusCode, c.want, text(resp))
		}
	}
}

// TestNobodyIsSignedInFromOutside checks that a page of another site cannot sign a browser in, neither
// by its own request nor by a form with text that is JSON.
func TestNobodyIsSignedInFromOutside(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	for what, c := range map[string]struct {
		header string
		want   int
	}{
		"a form":             {"Content-Type: text/plain\n", 415},
		"no type":            {"", 415},
		"another origin":     {"Content-Type: application/json\nOrigin: http://evil.example\n", 403},
		"another site":       {"Content-Type: application/json\nSec-Fetch-Site: cross-site\n", 403},
		"another port":       {"Content-Type: application/json\nSec-Fetch-Site: same-site\nOrigin: http://127.0.0.1:1\n", 403},
		"DNS rebinding":      {"Content-Type: application/json\nHost: evil.example\nOrigin: http://evil.example\nSec-Fetch-Site: same-origin\n", 421},
		"the page, to check": {"Content-Type: application/json\n" + page, 200},
	} {
		resp := g.send("POST", "/session", c.header, `{"token":"good"}`)
		if resp.StatusCode != c.want || (len(resp.Cookies()) > 0) != (c.want == 200) {
			t.Errorf("%s: %v", what, resp)
		}
	}
	for _, body := range []string{"", "{", "[]", `{"token":""}`, `{"token":"good","once":"x"}`, `{"token":"good","x":1}`, `"good"`, strings.Repeat(" ", maxSignIn) + `{"token":"good"}`} {
		if resp := g.send("POST", "/session", page+"Content-Type: application/json\n", body); resp.StatusCode != 400 {
			t.Errorf("%.40q: %d", body, resp.StatusCode)
		}
	}
}

// TestSessionFixation checks that a cookie that somebody planted never becomes a session, that signing
// in makes a new cookie and ends the old session, and the attributes of the cookie.
func TestSessionFixation(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	planted := "Cookie: spate_session_6970=planted\n"
	_, cookie := g.signIn(`{"token":"good"}`, planted)
	if strings.Contains(cookie, "planted") || g.send("GET", "/session", planted, "").StatusCode != 401 {
		t.Error("a planted cookie became a session")
	}
	_, renewed := g.signIn(`{"token":"good"}`, cookie)
	if renewed == cookie || g.send("GET", "/session", cookie, "").StatusCode != 401 {
		t.Error("signing in again kept the old session")
	}
	// A server at another port can plant a second cookie of this name, which hides nothing.
	if got := g.send("GET", "/session", planted+renewed, "").StatusCode; got != 200 {
		t.Errorf("with a planted cookie beside the own one: %d", got)
	}
	resp := g.send("POST", "/session", page+"Content-Type: application/json\n", `{"token":"good"}`)
	if c := resp.Cookies()[0]; !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Domain != "" || c.Secure || len(c.Value) < 22 {
		t.Errorf("the cookie is %v", c)
	}
}

// TestCookieOfAnotherPort checks that the session at one port is none at another, because browsers send
// cookies to all ports of a host.
func TestCookieOfAnotherPort(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	_, cookie := g.signIn(`{"token":"good"}`, "")
	if resp := g.send("GET", "/session", cookie+"Host: 127.0.0.1:6971\n", ""); resp.StatusCode != 401 {
		t.Errorf("the cookie of port 6970 at port 6971: %d", resp.StatusCode)
	}
	for host, want := range map[string]string{"127.0.0.1:80": "_80", "[::1]:6970": "_6970", "[::1]": "", "files.example": "", "files.example:": "", "x:1;y": ""} {
		if got := cookieName(host); got != "spate_session"+want {
			t.Errorf("the cookie at %s is %s", host, got)
		}
	}
}

// TestBruteForce checks the limits of attempts to sign in: for an address, for a network of IPv6, and
// for all together. A success does not count.
func TestBruteForce(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	const head = page + "Content-Type: application/json\n"
	for range 3 * addressBurst {
		g.signIn(`{"token":"good"}`, "")
	}
	for i := range addressBurst + 1 {
		resp := g.send("POST", "/session", head, fmt.Sprintf(`{"token":"guess%d"}`, i))
		if want := map[bool]int{true: 403, false: 429}[i < addressBurst]; resp.StatusCode != want || (resp.Header.Get("Retry-After") != "") != (want == 429) {
			t.Errorf("attempt %d: %v", i, resp)
		}
	}
	if resp := g.send("POST", "/session", head, `{"token":"good"}`); resp.StatusCode != 429 {
		t.Errorf("the right token of a blocked address: %d", resp.StatusCode)
	}
	g.now = g.now.Add(addressEvery)
	g.signIn(`{"token":"good"}`, "")

	var a attempts
	now, allowed := time.Unix(0, 0), 0
	for i := range 1000 {
		if a.take(addr(fmt.Sprintf("10.0.%d.%d", i/250, i%250)), now) == 0 {
			allowed++
		}
	}
	if allowed != totalBurst || len(a.by) > totalBurst {
		t.Errorf("%d attempts of 1000 addresses were allowed, and %d are remembered", allowed, len(a.by))
	}
	a = attempts{}
	allowed = 0
	for i := range 100 {
		if a.take(addr(fmt.Sprintf("2001:db8::%x", i)), now) == 0 {
			allowed++
		}
	}
	if allowed != addressBurst {
		t.Errorf("%d attempts of one network were allowed", allowed)
	}
}

// TestHeaders checks the headers against frames, other sites and scripts on every kind of answer.
func TestHeaders(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	_, cookie := g.signIn(`{"token":"good"}`, "")
	for _, target := range []string{"/", "/static/signin.js", "/favicon.ico", "/session", "/sessions", "/v1/status", "/nothing", "/static/nothing"} {
		for _, header := range []string{"", cookie, "Host: evil.example\n"} {
			h := g.send("GET", target, header, "").Header
			for name, want := range map[string]string{
				"Content-Security-Policy": "frame-ancestors 'none'", "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
				"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin", "Access-Control-Allow-Origin": "",
			} {
				if got := h.Get(name); !strings.Contains(got, want) || want == "" && got != "" {
					t.Errorf("%s: %s is %q", target, name, got)
				}
			}
		}
	}
	for _, want := range []string{"default-src 'none'", "script-src 'self'", "require-trusted-types-for 'script'", "trusted-types 'none'", "base-uri 'none'", "form-action 'none'"} {
		if !strings.Contains(policy, want) || strings.Contains(policy, "unsafe") {
			t.Errorf("the policy is %q, without %q", policy, want)
		}
	}
}

// FuzzForeign checks that only the own origin passes.
func FuzzForeign(f *testing.F) {
	f.Add("http://127.0.0.1:6970", "same-origin")
	f.Add("http://127.0.0.1:6970.evil.example", "none")
	f.Add("HTTP://127.0.0.1:06970", "")
	f.Fuzz(func(t *testing.T, origin, site string) {
		r, err := http.NewRequest("GET", "http://"+rigHost+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header["Origin"], r.Header["Sec-Fetch-Site"] = []string{origin}, []string{site}
		if foreign(r) != "" {
			return
		}
		own := strings.ToLower(origin)
		if own != "http://127.0.0.1:6970" && own != "https://127.0.0.1:6970" && own != "http://127.0.0.1:06970" && own != "https://127.0.0.1:06970" || site != "same-origin" && site != "none" {
			t.Errorf("origin %q and site %q pass", origin, site)
		}
	})
}
