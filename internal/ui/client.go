// Package ui is the Go side of the graphical client of a daemon: the pages, which are embedded, and
// the sessions of the browsers that are signed in. The pages use the HTTP API of the same origin;
// package ui does not know it.
package ui

import (
	"io/fs"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"spate/internal/daemon"
)

// policy is the content security policy of all answers of the client.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self'; " +
	"connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// Options configure a [Client].
type Options struct {
	Now func() time.Time // nil: time.Now
	Log *slog.Logger     // logs who signs in and who fails to; nil discards it
}

// Client is the graphical client of a daemon. All its listeners share the sessions. It is safe for
// concurrent use.
type Client struct {
	sessions *Sessions
	assets   *assets
	log      *slog.Logger
}

// New returns a client.
func New(o Options) (*Client, error) {
	static, err := fs.Sub(embedded, "static")
	if err != nil {
		return nil, err
	}
	a, err := loadAssets(static)
	if err != nil {
		return nil, err
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Client{newSessions(o.Now), a, o.Log}, nil
}

// Sessions returns the sessions of the client.
func (c *Client) Sessions() *Sessions { return c.sessions }

// Handler returns a handler that serves the client at /, and passes requests of the API on to answer,
// which checks them with access itself. access must have the sessions of the client.
func (c *Client) Handler(access daemon.APIAccess, answer http.Handler) http.Handler {
	p := pages{c, access}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", p.index)
	mux.HandleFunc("GET /static/{name...}", p.static)
	mux.HandleFunc("GET /favicon.ico", p.static)
	mux.HandleFunc("GET /session", p.session)
	mux.HandleFunc("POST /session", p.signIn)
	mux.HandleFunc("DELETE /session", p.signOut)
	mux.HandleFunc("GET /sessions", p.list)
	mux.HandleFunc("DELETE /sessions/{id}", p.end)
	mux.HandleFunc("GET /offers/{id}", p.offer)
	mux.Handle("/", answer)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		setHeaders(w.Header())
		if !access.KnowsHost(r.Host) {
			fail(w, http.StatusMisdirectedRequest, "forbidden", "the Host header is neither an address nor a name of this machine", "")
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// setHeaders sets the headers that keep pages of other sites away from an answer. The API replaces
// some of them.
func setHeaders(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
}

// pages answers the requests of the client at one listener.
type pages struct {
	*Client
	access daemon.APIAccess
}

// index answers / with the client, or with the page to sign in.
func (p pages) index(w http.ResponseWriter, r *http.Request) {
	name := "index.html"
	if _, _, no := p.sessions.admit(r); no != nil {
		name = "signin.html"
	}
	w.Header().Set("Cache-Control", "no-store")
	p.assets.serve(w, r, name)
}

// static answers the path of an asset, which everybody may load: it is a part of the program.
func (p pages) static(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	if r.URL.Path == "/favicon.ico" {
		name = "icon.svg"
	}
	if !p.assets.serve(w, r, name) {
		fail(w, http.StatusNotFound, "not_found", "the client has no file "+strings.ToValidUTF8(name, "?"), "")
	}
}
