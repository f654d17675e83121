package ui

import (
	"encoding/json"
	"io"
	"math"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"spate/internal/apitoken"
	"spate/internal/daemon"
)

// maxSignIn limits the body of a request to sign in, in bytes.
const maxSignIn = 4 << 10

// linkName is the name of sessions that began with a one-time code.
const linkName = "spate open"

// Session describes the session of a browser: the answer of GET /session and POST /session.
type Session struct {
	Name    string    `json:"name"`   // of the token, or "spate open"
	CSRF    string    `json:"csrf"`   // goes into the header field X-Spate-CSRF
	Scopes  []string  `json:"scopes"` // of the API
	Expires time.Time `json:"expires"`
}

// SignIn is the body of POST /session. It has one of both members.
type SignIn struct {
	Token string `json:"token,omitempty"` // of the API
	Once  string `json:"once,omitempty"`  // of a link that spate open made
}

// fail answers with an error as problem details (RFC 9457), and with the members of the errors of the
// API.
func fail(w http.ResponseWriter, status int, code, detail, hint string) {
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	type apiError struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Hint    string `json:"hint,omitempty"`
	}
	json.NewEncoder(w).Encode(struct {
		Type   string   `json:"type"`
		Title  string   `json:"title"`
		Status int      `json:"status"`
		Detail string   `json:"detail"`
		Code   string   `json:"code"`
		Hint   string   `json:"hint,omitempty"`
		Error  apiError `json:"error"`
	}{"about:blank", http.StatusText(status), status, detail, code, hint, apiError{code, detail, hint}})
}

// refuse answers a request that no session allows.
func refuse(w http.ResponseWriter, no *daemon.Refusal) {
	if no.Login {
		fail(w, http.StatusUnauthorized, "unauthorized", no.Why, "sign in with a token of the API, or run spate open")
		return
	}
	fail(w, http.StatusForbidden, "forbidden", no.Why, "")
}

// send answers with v.
func send(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	json.NewEncoder(w).Encode(v)
}

// describe answers with a session.
func describe(w http.ResponseWriter, one *session, access daemon.Access, expires time.Time) {
	send(w, Session{access.Name, one.csrf, access.Scopes.Names(), expires.UTC()})
}

// session answers GET /session.
func (p pages) session(w http.ResponseWriter, r *http.Request) {
	one, access, no := p.sessions.admit(r)
	if no != nil {
		refuse(w, no)
		return
	}
	describe(w, one, access, p.sessions.expiry(one))
}

// signIn answers POST /session. A page of another site cannot sign a browser in: its request has
// another Origin, and its forms cannot send JSON.
func (p pages) signIn(w http.ResponseWriter, r *http.Request) {
	if why := foreign(r); why != "" {
		refuse(w, &daemon.Refusal{Why: why})
		return
	}
	var in SignIn
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/json" {
		fail(w, http.StatusUnsupportedMediaType, "bad_type", "the request's Content-Type is not application/json", "")
		return
	}
	d := json.NewDecoder(io.LimitReader(r.Body, maxSignIn))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil || (in.Token == "") == (in.Once == "") {
		fail(w, http.StatusBadRequest, "bad_request", "the request is not an object with one of the members token and once", "")
		return
	}
	if wait := p.sessions.attempt(r); wait > 0 {
		p.log.Warn("too many attempts to sign in", "address", addressOf(r))
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
		fail(w, http.StatusTooManyRequests, "busy", "there were too many attempts to sign in", "wait "+wait.Round(time.Second).String())
		return
	}
	grant := func() (daemon.Access, bool) { return daemon.Access{Name: linkName, Scopes: apitoken.Admin}, true }
	ok, why := false, "the link was used before, or is older than a minute"
	if in.Once != "" {
		ok = p.sessions.redeem(r, in.Once)
	} else {
		var access daemon.Access
		access, ok = p.access.Token([]byte(strings.TrimSpace(in.Token)))
		grant = func() (daemon.Access, bool) { return p.access.TokenByID(access.ID) } // so that the session ends with its token
		why = "the token is not valid"
	}
	if !ok {
		p.log.Warn("an attempt to sign in failed", "address", addressOf(r), "why", why)
		fail(w, http.StatusForbidden, "forbidden", why, "spate open makes a new link, and spate serve token a token")
		return
	}
	p.sessions.succeeded(r)
	one, cookie := p.sessions.begin(r, grant)
	access, _ := grant()
	p.log.Info("signed in", "address", addressOf(r), "name", access.Name)
	p.setCookie(w, r, cookie, 0)
	describe(w, one, access, p.sessions.expiry(one))
}

// setCookie sets the cookie of the session. The browser forgets it when it is closed. A negative
// maxAge makes the browser forget it now.
func (p pages) setCookie(w http.ResponseWriter, r *http.Request, value string, maxAge int) {
	http.SetCookie(w, &http.Cookie{
		Name: cookieName(r.Host), Value: value, Path: "/", MaxAge: maxAge, HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteStrictMode,
	})
}

// signOut answers DELETE /session.
func (p pages) signOut(w http.ResponseWriter, r *http.Request) {
	one, access, no := p.sessions.admit(r)
	if no != nil {
		refuse(w, no)
		return
	}
	p.sessions.end(one.id, access)
	p.setCookie(w, r, "", -1)
	w.WriteHeader(http.StatusNoContent)
}

// list answers GET /sessions.
func (p pages) list(w http.ResponseWriter, r *http.Request) {
	one, access, no := p.sessions.admit(r)
	if no != nil {
		refuse(w, no)
		return
	}
	send(w, map[string][]Info{"sessions": p.sessions.list(one, access)})
}

// end answers DELETE /sessions/{id}.
func (p pages) end(w http.ResponseWriter, r *http.Request) {
	_, access, no := p.sessions.admit(r)
	switch {
	case no != nil:
		refuse(w, no)
	case !p.sessions.end(r.PathValue("id"), access):
		fail(w, http.StatusNotFound, "not_found", "there is no such session", "")
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

// offer answers GET /offers/{id} with a .torrent file that spate open handed over.
func (p pages) offer(w http.ResponseWriter, r *http.Request) {
	if _, no, known := p.sessions.Admit(r); no != nil || !known {
		if no == nil {
			no = &daemon.Refusal{Why: "this browser is not signed in", Login: true}
		}
		refuse(w, no)
		return
	}
	data := p.sessions.offered(r.PathValue("id"))
	if data == nil {
		fail(w, http.StatusNotFound, "not_found", "the file is not here any more", "run spate open with the file again")
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/x-bittorrent")
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	h.Set("Cache-Control", "no-store")
	w.Write(data)
}
