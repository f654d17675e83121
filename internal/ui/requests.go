package ui

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"spate/internal/daemon"
	"spate/internal/weburl"
)

// csrfHeader is the header field with the token against cross-site requests.
const csrfHeader = "X-Spate-CSRF"

// safeMethods are the methods that change nothing (RFC 9110, 9.2.1, and RFC 4918 for WebDAV).
var safeMethods = []string{http.MethodGet, http.MethodHead, http.MethodOptions, "PROPFIND"}

// pageUses are the values of Sec-Fetch-Dest of requests that a page of the client makes for content of
// the API: its own requests, pictures, videos and downloads. A file of a torrent is therefore never
// loaded as a script, a style or a worker, although it has the origin of the page.
var pageUses = []string{"", "empty", "document", "image", "audio", "video", "track"}

// foreign returns why r cannot come from a page of the client, or "". Browsers set Origin and
// Sec-Fetch-Site themselves, and pages cannot change them. The Host header was checked before.
func foreign(r *http.Request) string {
	switch site := r.Header.Values("Sec-Fetch-Site"); {
	case len(site) > 1:
		return "the request has several fields Sec-Fetch-Site"
	case len(site) == 1 && site[0] != "same-origin" && site[0] != "none":
		return "requests of pages of other sites are refused"
	}
	switch origin := r.Header.Values("Origin"); {
	case len(origin) > 1:
		return "the request has several fields Origin"
	case len(origin) == 1 && !sameOrigin(r, origin[0]):
		return "requests of pages of other origins are refused"
	}
	return ""
}

// sameOrigin reports whether an Origin is that of the host of r. A proxy may add HTTPS, so that an
// https origin is right for a request without TLS too.
func sameOrigin(r *http.Request, origin string) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Scheme != "https" && (u.Scheme != "http" || r.TLS != nil) || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" {
		return false
	}
	theirs, err := weburl.Host(u.Scheme, u.Host)
	if err != nil {
		return false
	}
	ours, err := weburl.Host(u.Scheme, r.Host)
	return err == nil && ours == theirs
}

// ofBrowser reports whether a browser sent r for a page, or r has a cookie of a session.
func ofBrowser(r *http.Request) bool {
	return len(r.Header["Origin"]) > 0 || len(r.Header["Sec-Fetch-Site"]) > 0 || len(r.CookiesNamed(cookieName(r.Host))) > 0
}

// Admit returns what the session of r may do, or why r is refused. known is false if r neither comes
// from a browser nor has a cookie, so that it may have a token. It is for [daemon.APIAccess].
func (s *Sessions) Admit(r *http.Request) (access daemon.Access, no *daemon.Refusal, known bool) {
	if !ofBrowser(r) {
		return daemon.Access{}, nil, false
	}
	_, access, no = s.admit(r)
	if no == nil && !slices.Contains(pageUses, strings.ToLower(r.Header.Get("Sec-Fetch-Dest"))) {
		return daemon.Access{}, &daemon.Refusal{Why: "a page may not load this as a part of itself"}, true
	}
	return access, no, true
}

// admit returns the session of r and what it may do, or why r is refused.
func (s *Sessions) admit(r *http.Request) (*session, daemon.Access, *daemon.Refusal) {
	if why := foreign(r); why != "" {
		return nil, daemon.Access{}, &daemon.Refusal{Why: why}
	}
	one, access := s.find(r)
	switch {
	case one == nil:
		return nil, daemon.Access{}, &daemon.Refusal{Why: "this browser is not signed in", Login: true}
	case r.Header.Get("Upgrade") != "":
		return nil, daemon.Access{}, &daemon.Refusal{Why: "a session cannot open a WebSocket"}
	case !slices.Contains(safeMethods, r.Method) && !one.hasCSRF(r):
		return nil, daemon.Access{}, &daemon.Refusal{Why: "the header field " + csrfHeader + " is missing or wrong"}
	}
	return one, access, nil
}
