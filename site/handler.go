// Package site is what a publisher's visitors see: an index of the releases, a
// page for each, its .torrent, and the data itself over HTTP, which is the web
// seed of the swarm too (BEP 19).
//
// Pages are rendered on the server, need no JavaScript, and stay under
// [MaxPage] bytes. GET changes nothing, and nothing here administers anything.
package site

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/yuin/goldmark"

	"spate"
	"spate/internal/fairpool"
	"spate/publish"
)

// Swarm counts the peers of one info-hash, as the tracker knows them.
type Swarm struct {
	Seeders   int
	Leechers  int
	Completed int // downloads that were finished, ever
}

// Sent is what the publisher's own seed has sent of one release to peers.
type Sent struct {
	Bytes int64
	Rate  float64 // bytes a second, now
}

// Options are the settings of a [Site]. The zero Options will do.
type Options struct {
	// Title names the site; "" means spate.
	Title string
	// BaseURL is how others reach the site, and may have a path. Without it,
	// absolute links are made from the address that a visitor used, as far as
	// that can be believed.
	BaseURL *url.URL
	// Hosts are names, beside localhost and this machine's own, that a visitor's
	// Host header may have. It does not count where BaseURL is set.
	Hosts []string
	// Swarm looks up an info-hash on the tracker; nil, or a false result: not
	// known. It is called often, and must be safe for concurrent use and quick.
	Swarm func(spate.InfoHash) (Swarm, bool)
	// Origin looks up what the own seed has sent, in the same way.
	Origin func(spate.InfoHash) (Sent, bool)
	// StatsPath is where the tracker's statistics are linked to; "": nowhere.
	StatsPath string
	// Theme has files that replace the embedded templates/ and static/ ones.
	Theme fs.FS

	// Open opens file i of a release; nil: only files in directories. Use
	// [publish.Publisher.Open] if releases are published from a storage.
	Open func(ctx context.Context, r *publish.Release, i int) (*publish.Content, error)

	// Direct is called when a file was downloaded whole, with the main info-hash
	// of its release; nil: nobody counts. It must be quick.
	Direct func(spate.InfoHash)

	// ClientAddr returns the address of the visitor behind a request, an invalid one if
	// that is not known; nil: it is that of the connection. Visitors share the places
	// below by network, a /24 or a /48.
	ClientAddr func(*http.Request) netip.Addr
	// MaxDownloads is how many direct downloads may run at once. Past it one that takes
	// nothing, or next to nothing, makes room; if there is none, a visitor is asked to
	// come again (503). 0: 256.
	MaxDownloads int
	// Wait is how long a visitor waits for a place among the downloads before that.
	// 0: ten seconds; negative: not at all.
	Wait time.Duration
	// DownloadRate is what direct downloads may take together, in bytes a second;
	// it also bounds how many run at once, so that each gets on. 0: any.
	DownloadRate int64
	// MaxLive is how many visitors may watch live numbers at once. Past it those who
	// have watched the longest make room. 0: 1,000.
	MaxLive int
	// Stall ends a direct download whose reader has taken nothing for that long.
	// 0: four minutes.
	Stall time.Duration
	// Tick is the time between live numbers. 0: two seconds.
	Tick time.Duration

	// Log has what went wrong on this side; nil: nowhere.
	Log *slog.Logger

	// For tests: loopback addresses have networks as others have, and readGrace.
	loopbackCounts bool
	grace          time.Duration
}

// Site answers the public's requests. It is an [http.Handler], safe for
// concurrent use, for the root of a server or of the path in its BaseURL.
type Site struct {
	opts     Options
	catalog  publish.Catalog
	mux      *http.ServeMux
	pages    map[string]*template.Template
	markdown goldmark.Markdown
	assets   map[string]asset
	prefix   string          // the path in BaseURL, without a slash at its end
	hosts    map[string]bool // names that a Host header may have

	visits visits // where the site is written to files
	budget budget
	known  figures // what pages show of swarms

	done      chan struct{} // closed by Close
	closing   sync.Once
	downloads *places      // that run
	watchers  *places      // of live numbers
	sentAll   atomic.Int64 // bytes of direct downloads
	sent      sync.Map     // info-hash -> *atomic.Int64: bytes of direct downloads
}

// New returns the site of the releases in catalog.
func New(catalog publish.Catalog, opts Options) (*Site, error) {
	if catalog == nil {
		return nil, errors.New("site: a catalog is needed")
	}
	if opts.MaxDownloads < 0 || opts.DownloadRate < 0 || opts.MaxLive < 0 || opts.Stall < 0 || opts.Tick < 0 {
		return nil, errors.New("site: a limit is negative")
	}
	setDefault(&opts.Title, "spate")
	setDefault(&opts.MaxDownloads, 256)
	setDefault(&opts.MaxLive, 1000)
	setDefault(&opts.Stall, 4*time.Minute)
	setDefault(&opts.Tick, 2*time.Second)
	setDefault(&opts.Wait, 10*time.Second)
	setDefault(&opts.grace, readGrace)
	if opts.Open == nil {
		opts.Open = func(_ context.Context, r *publish.Release, i int) (*publish.Content, error) { return r.Content(i) }
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	s := &Site{opts: opts, catalog: catalog, budget: newBudget(opts.DownloadRate, opts.MaxDownloads), markdown: notesMarkdown(), hosts: map[string]bool{"localhost": true}, done: make(chan struct{})}
	s.downloads = newPlaces(readers(s.budget.most, opts.grace))
	s.watchers = newPlaces(fairpool.Options{Slots: opts.MaxLive, Grace: liveTurn})
	if opts.BaseURL != nil {
		s.prefix = strings.TrimRight(opts.BaseURL.EscapedPath(), "/")
	}
	for _, h := range opts.Hosts {
		s.hosts[strings.ToLower(h)] = true
	}
	if h, err := os.Hostname(); err == nil && h != "" {
		s.hosts[strings.ToLower(h)] = true
		s.hosts[strings.ToLower(h)+".local"] = true
	}
	files := layered{opts.Theme, embedded}
	var err error
	if s.assets, err = loadAssets(files); err != nil {
		return nil, fmt.Errorf("site: %w", err)
	}
	if s.pages, err = s.parse(files); err != nil {
		return nil, fmt.Errorf("site: %w", err)
	}
	s.routes()
	return s, nil
}

// Close ends the live connections, which [http.Server.Shutdown] would wait for
// otherwise; pass it to [http.Server.RegisterOnShutdown]. The rest goes on.
func (s *Site) Close() { s.closing.Do(func() { close(s.done) }) }

func setDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

func (s *Site) routes() {
	s.mux = http.NewServeMux()
	for pattern, h := range map[string]http.HandlerFunc{
		"GET /{$}":                         s.index,
		"GET /r/{name}":                    s.release,
		"GET /r/{name}/{$}":                s.toRelease,
		"GET /r/{name}/files":              s.files,
		"GET /r/{name}/notes.txt":          s.notes,
		"GET /r/{name}/live":               s.live,
		"GET /r/{name}/qr.svg":             s.qrCode,
		"GET /r/{name}/badge.svg":          s.badge,
		"GET /r/{name}/release.json":       s.oneJSON,
		"GET /r/{name}/SHA256SUMS":         s.sums,
		"GET /r/{name}/SHA256SUMS.minisig": s.sumsSignature,
		"GET /r/{name}/minisign.pub":       s.publicKey,
		"GET /m/{file}":                    s.meta4,
		"GET /index.json":                  s.indexJSON,
		"GET /feed.xml":                    s.rss,
		"GET /atom.xml":                    s.atom,
		"GET /robots.txt":                  s.robots,
		"GET /sitemap.xml":                 s.sitemap,
		"GET /t/{file}":                    s.torrent,
		"GET /t1/{file}":                   s.twin,
		"GET /d/{name}":                    s.download,
		"GET /d/{name}/{path...}":          s.download,
		"GET /w/{name}/{path...}":          s.webSeed,
		"GET /static/{file}":               s.static,
		"GET /favicon.ico":                 s.favicon,
		"OPTIONS /":                        s.preflight,
		"/":                                s.noPage,
	} {
		s.mux.HandleFunc(pattern, h)
	}
}

// policy allows a page what is embedded, and nothing inline.
const policy = "default-src 'none'; style-src 'self'; img-src 'self' data:; script-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// ServeHTTP implements [http.Handler].
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	if r.TLS != nil || s.opts.BaseURL != nil && s.opts.BaseURL.Scheme == "https" {
		h.Set("Cross-Origin-Opener-Policy", "same-origin") // browsers complain of it over plain HTTP
	}
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")

	// A proxy may leave the path of the base URL on, or take it off.
	if s.prefix != "" && strings.HasPrefix(r.URL.EscapedPath(), s.prefix+"/") {
		http.StripPrefix(s.opts.BaseURL.Path[:len(strings.TrimRight(s.opts.BaseURL.Path, "/"))], s.mux).ServeHTTP(w, r)
		return
	}
	s.mux.ServeHTTP(w, r)
}

// find looks up the release of the request, or answers that there is none.
func (s *Site) find(w http.ResponseWriter, r *http.Request, name string) *publish.Release {
	rel, err := s.catalog.Get(r.Context(), name)
	switch {
	case errors.Is(err, publish.ErrNotFound):
		s.fail(w, r, http.StatusNotFound, "No such release", "Nothing is published here under that name. It may have been withdrawn.")
	case err != nil:
		s.broken(w, r, err)
	default:
		return rel
	}
	return nil
}

// broken answers a request that failed for a reason of our own.
func (s *Site) broken(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return // nobody is left to be told
	}
	s.opts.Log.Error("site: request failed", "path", r.URL.EscapedPath(), "err", err)
	s.fail(w, r, http.StatusInternalServerError, "Something broke", "The site could not answer. The reason is in its log.")
}

func (s *Site) noPage(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD, OPTIONS")
		s.fail(w, r, http.StatusMethodNotAllowed, "Not that way", "This site is read only.")
		return
	}
	s.fail(w, r, http.StatusNotFound, "No such page", "There is nothing at this address.")
}

func (s *Site) toRelease(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Location", s.prefix+publish.PagePath(r.PathValue("name")))
	w.WriteHeader(http.StatusPermanentRedirect)
}

// fail answers with a status and why: as a page to a browser, as two lines of
// text to anything else.
func (s *Site) fail(w http.ResponseWriter, r *http.Request, status int, title, detail string) {
	h := w.Header()
	for _, name := range []string{"Content-Length", "Content-Disposition", "Etag", "Last-Modified", "Repr-Digest"} {
		h.Del(name)
	}
	h.Set("Cache-Control", "no-store")
	h.Add("Vary", "Accept")
	if !strings.Contains(r.Header.Get("Accept"), "text/html") {
		h.Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(status)
		fmt.Fprintf(w, "%s\n%s\n", title, detail)
		return
	}
	h.Set("Content-Security-Policy", policy)
	s.render(w, r, status, "error.html", errorPage{Status: status, Title: title, Detail: detail})
}
