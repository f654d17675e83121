// Package site serves the public web site of a publisher: an index of the releases, a page
// for each release, its .torrent file, and the data over HTTP. The data is also the web
// seed of the swarm (BEP 19).
//
// The server renders the pages. They need no JavaScript and have at most [MaxPage] bytes.
// The site changes no state of the publisher.
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
	"spate/internal/lang"
	"spate/internal/weburl"
	"spate/publish"
)

// Swarm holds the tracker's numbers of peers for an info-hash.
type Swarm struct {
	Seeders   int
	Leechers  int
	Completed int // number of finished downloads
}

// Sent describes what the publisher's seed has sent of a torrent to peers.
type Sent struct {
	Bytes int64
	Rate  float64 // present rate in bytes per second
}

// Options are the options of a [Site]. The zero value is valid.
type Options struct {
	// Title is the name of the site; "" selects "spate".
	Title string
	// BaseURL is the public URL of the site, which may have a path. If it is nil, links
	// contain the address that the visitor used, if it is an IP address or a name of this
	// machine.
	BaseURL *url.URL
	// Hosts are names of this machine that a Host header may contain, besides localhost
	// and the host name. It has no effect if BaseURL is set.
	Hosts []string
	// Swarm returns the tracker's numbers for an info-hash, and whether the tracker knows
	// it; nil means that there is no tracker. It must return quickly and allow concurrent
	// calls.
	Swarm func(spate.InfoHash) (Swarm, bool)
	// Common returns the tracker's numbers of the peers that are in the swarms of both
	// info-hashes, the publisher's seed included, by their role in the first one; nil means that this is unknown. It must
	// return quickly and allow concurrent calls.
	Common func(a, b spate.InfoHash) Swarm
	// Origin returns the amount of data that the publisher's seed has sent of an info-hash,
	// and whether it seeds it; nil means that this is unknown. It must return quickly and
	// allow concurrent calls.
	Origin func(spate.InfoHash) (Sent, bool)
	// State returns the present state of a release; nil means that it is unknown. It must
	// return quickly and allow concurrent calls.
	State func(context.Context, *publish.Release) publish.State
	// Spread says who in the swarm of a release has the n bytes from off of file i, for the
	// client at addr, and false if that is unknown; nil means that it is unknown for all. The
	// site does not send a BitTorrent client what other peers can send it. Spread must return
	// quickly and allow concurrent calls.
	Spread func(r *publish.Release, i int, off, n int64, addr netip.Addr) (Spread, bool)
	// Sending is called before a BitTorrent client is sent a range of file i that begins at off.
	// The result is called with the number of bytes sent so far, which grows, so that the seed
	// sends other pieces to its peers; nil: no such calls. Both must return quickly.
	Sending func(r *publish.Release, i int, off int64) func(sent int64)
	// StatsPath is the path of the tracker's statistics, for a link; "" omits the link.
	StatsPath string
	// WebSocketPath is the path of a WebSocket tracker of this host, through which the pages of
	// releases find peers; "" for none.
	WebSocketPath string
	// STUNPort is the UDP port of this host that answers STUN requests, from which pages learn
	// their public address; 0 for none.
	STUNPort uint16
	// Theme contains files that replace the embedded ones in templates/ and static/.
	Theme fs.FS

	// Open opens file i of a release; nil: [publish.Release.Content], which opens only
	// files in directories. Set it to [publish.Publisher.Open] if releases are published
	// from a storage.
	Open func(ctx context.Context, r *publish.Release, i int) (*publish.Content, error)

	// Begun is called with the main info-hash of a release when the site begins to send data of it to
	// a visitor who saves the data; nil: no call. Requests without data and previews cause no call. It
	// must return quickly.
	Begun func(spate.InfoHash)
	// Direct is called with the main info-hash of a release after a visitor has downloaded
	// a complete file of it; nil: no call. It must return quickly.
	Direct func(spate.InfoHash)
	// Archive is called in the same way after a visitor has downloaded a complete archive of all
	// files of a release.
	Archive func(spate.InfoHash)

	// ClientAddr returns the address of the visitor who sent a request, or the zero Addr if
	// it is unknown; nil selects the address of the connection. The limits below are shared
	// fairly between networks. A network is a /24 of IPv4 or a /48 of IPv6.
	ClientAddr func(*http.Request) netip.Addr
	// MaxDownloads is the maximum number of direct downloads at the same time. If all slots
	// are in use, a new download takes the slot of a download that transfers nothing or
	// very little. If there is no such download, the response is 503. 0: 256.
	MaxDownloads int
	// Wait is the maximum time that a visitor waits for a download slot. 0: ten seconds;
	// negative: no waiting.
	Wait time.Duration
	// DownloadRate is the maximum rate of all direct downloads in bytes per second. It
	// also limits their number, so that each gets a useful rate. 0: no limit.
	DownloadRate int64
	// Paused reports whether no data is sent at present, whatever the release. nil: data is always sent.
	Paused func() bool
	// Uplink returns a limit for a direct download, in addition to DownloadRate, or nil for
	// none. Other senders can share it and are served first. nil: no such limit.
	Uplink func(*http.Request) SendLimit
	// MaxLive is the maximum number of visitors who watch live numbers. If all slots are
	// in use, a new visitor takes the slot of the one who has watched longest. 0: 1,000.
	MaxLive int
	// Stall is the time without progress after which a direct download ends. 0: four
	// minutes.
	Stall time.Duration
	// Tick is the time between two live numbers. 0: two seconds.
	Tick time.Duration

	// Log receives errors of the site; nil: they are discarded.
	Log *slog.Logger

	// Tests set these fields. loopbackCounts treats loopback addresses like others; grace
	// replaces readGrace, and hold replaces holdTime.
	loopbackCounts bool
	grace, hold    time.Duration
}

// Site serves the site as an [http.Handler], which is safe for concurrent use. Mount the
// handler at the root of a server, or at the path of BaseURL.
type Site struct {
	opts      Options
	catalog   publish.Catalog
	mux       *http.ServeMux
	pages     map[pageKey]*template.Template
	languages *lang.Languages
	markdown  goldmark.Markdown
	assets    map[string]asset
	modules   string          // label of the modules of the download in a page
	prefix    string          // encoded path of BaseURL without a slash at the end
	hosts     map[string]bool // names that a Host header may contain

	visits   *visits // set by an export, otherwise nil
	budget   budget
	known    figures // recent numbers of swarms
	shared   documents
	crcs     crcs       // checksums of the files of archives
	zips     layouts    // of archives
	outlines outlines   // of releases with many files
	first    swarmFirst // BitTorrent clients that ask for data over HTTP

	done      chan struct{} // closed by Close
	closing   sync.Once
	downloads *slotPool    // slots for direct downloads
	watchers  *slotPool    // slots for live numbers
	held      *slotPool    // places of requests that wait in hold
	searches  *slotPool    // slots for requests that look at all files or releases
	sentAll   atomic.Int64 // bytes of direct downloads
	sentPages atomic.Int64 // those that scripts of pages asked for
	sent      sync.Map     // info-hash -> *atomic.Int64: bytes of direct downloads
}

// New returns a site for the releases in catalog.
func New(catalog publish.Catalog, opts Options) (*Site, error) {
	if catalog == nil {
		return nil, errors.New("site: the catalog is missing")
	}
	if opts.MaxDownloads < 0 || opts.DownloadRate < 0 || opts.MaxLive < 0 || opts.Stall < 0 || opts.Tick < 0 {
		return nil, errors.New("site: a limit or a time is negative")
	}
	setDefault(&opts.Title, "spate")
	setDefault(&opts.MaxDownloads, 256)
	setDefault(&opts.MaxLive, 1000)
	setDefault(&opts.Stall, 4*time.Minute)
	setDefault(&opts.Tick, 2*time.Second)
	setDefault(&opts.Wait, 10*time.Second)
	setDefault(&opts.grace, readGrace)
	setDefault(&opts.hold, holdTime)
	if opts.Open == nil {
		opts.Open = func(_ context.Context, r *publish.Release, i int) (*publish.Content, error) { return r.Content(i) }
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	languages, err := lang.Load(messageFiles)
	if err != nil {
		return nil, fmt.Errorf("site: %w", err)
	}
	s := &Site{languages: languages, opts: opts, catalog: catalog, budget: newBudget(opts.DownloadRate, opts.MaxDownloads), markdown: notesMarkdown(), hosts: map[string]bool{"localhost": true}, done: make(chan struct{})}
	s.downloads = newSlotPool(readers(s.budget.most, opts.grace))
	s.held = newSlotPool(fairpool.Options{Slots: maxHeld})                           // without Grace, any place may go to another network
	s.searches = newSlotPool(fairpool.Options{Slots: maxSearches, Grace: time.Hour}) // nobody loses a slot, because a search is short
	s.watchers = newSlotPool(fairpool.Options{Slots: opts.MaxLive, Grace: liveTurn})
	if opts.BaseURL != nil {
		base, err := weburl.Base(opts.BaseURL)
		if err != nil {
			return nil, fmt.Errorf("site: the base URL: %w", err)
		}
		s.opts.BaseURL, s.prefix = base, base.EscapedPath()
	}
	for _, h := range opts.Hosts {
		s.hosts[strings.ToLower(h)] = true
	}
	if h, err := os.Hostname(); err == nil && h != "" {
		s.hosts[strings.ToLower(h)] = true
		s.hosts[strings.ToLower(h)+".local"] = true
	}
	files := layered{opts.Theme, embedded}
	if s.assets, err = loadAssets(files); err != nil {
		return nil, fmt.Errorf("site: %w", err)
	}
	s.modules = moduleLabel(s.assets)
	if s.pages, err = s.parse(files); err != nil {
		return nil, fmt.Errorf("site: %w", err)
	}
	s.mux = http.NewServeMux()
	for pattern, h := range s.routes() {
		s.mux.HandleFunc(pattern, h)
	}
	return s, nil
}

// Close ends the responses with live numbers, because [http.Server.Shutdown] would wait for
// them. Pass it to [http.Server.RegisterOnShutdown]. Other requests are still answered.
func (s *Site) Close() { s.closing.Do(func() { close(s.done) }) }

func setDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// routes returns the handlers of all paths, by pattern.
func (s *Site) routes() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"GET /{$}":                            s.index,
		"GET /r/{name}":                       s.release,
		"GET /r/{name}/{$}":                   s.toRelease,
		"GET /r/{name}/files":                 s.files,
		"GET /r/{name}/inpage":                s.inPage,
		"GET /r/{name}/notes.txt":             s.notes,
		"GET /r/{name}/live":                  s.live,
		"GET /r/{name}/qr.svg":                s.qrCode,
		"GET /r/{name}/badge.svg":             s.badge,
		"GET /r/{name}/release.json":          s.oneJSON,
		"GET /r/{name}/SHA256SUMS":            s.sums,
		"GET /r/{name}/SHA256SUMS.minisig":    s.sumsSignature,
		"GET /r/{name}/minisign.pub":          s.publicKey,
		"GET /m/{file}":                       s.meta4,
		"GET /index.json":                     s.indexJSON,
		"GET /feed.xml":                       s.rss,
		"GET /atom.xml":                       s.atom,
		"GET /robots.txt":                     s.robots,
		"GET /sitemap.xml":                    s.sitemap,
		"GET /t/{file}":                       s.torrent,
		"GET /t1/{file}":                      s.twin,
		"GET /d/{name}":                       s.download,
		"GET /d/{name}/{path...}":             s.download,
		"GET /w/{name}":                       s.webSeed,
		"GET /w/{name}/{path...}":             s.webSeed,
		"GET /v/{name}":                       s.view,
		"GET /v/{name}/{path...}":             s.view,
		"GET /z/{file}":                       s.zip,
		"GET /static/{file}":                  s.static,
		"GET /static/download/{label}/{file}": s.module,
		"GET /favicon.ico":                    s.favicon,
		"OPTIONS /":                           s.preflight,
		"/":                                   s.noPage,
	}
}

// policy is the content security policy. It allows files of the site and no inline styles or
// scripts.
const policy = "default-src 'none'; style-src 'self'; img-src 'self' data:; media-src 'self'; frame-src 'self'; script-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// ServeHTTP implements [http.Handler].
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	if r.TLS != nil || s.opts.BaseURL != nil && s.opts.BaseURL.Scheme == "https" {
		h.Set("Cross-Origin-Opener-Policy", "same-origin") // browsers log a warning over plain HTTP
	}
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")

	route, to := s.resolve(r)
	if to != "" {
		redirect(w, http.StatusPermanentRedirect, to)
		return
	}
	s.mux.ServeHTTP(w, route)
}

// find returns the release with the reference name. If there is none, it answers the
// request with an error and returns nil.
func (s *Site) find(w http.ResponseWriter, r *http.Request, name string) *publish.Release {
	rel, err := s.catalog.Get(r.Context(), name)
	switch {
	case errors.Is(err, publish.ErrNotFound):
		s.fail(w, r, http.StatusNotFound, "No such release", "No release here has that name. The publisher may have withdrawn it.")
	case err != nil:
		s.broken(w, r, err)
	default:
		return rel
	}
	return nil
}

// broken logs an error of the site and answers the request with status 500.
func (s *Site) broken(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return // the client has closed the connection
	}
	s.opts.Log.Error("site: request failed", "path", r.URL.EscapedPath(), "err", err)
	if errors.As(err, new(*templateError)) {
		http.Error(w, "The site could not make this page because of an error. Its log has the reason.", http.StatusInternalServerError)
		return
	}
	s.fail(w, r, http.StatusInternalServerError, "The site failed", "The site could not answer because of an error. Its log has the reason.")
}

func (s *Site) noPage(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD, OPTIONS")
		s.fail(w, r, http.StatusMethodNotAllowed, "Method not allowed", "This site answers only GET and HEAD requests.")
		return
	}
	s.fail(w, r, http.StatusNotFound, "No such page", "This site has no page at this address.")
}

func (s *Site) toRelease(w http.ResponseWriter, r *http.Request) {
	to := s.path(publish.PagePath(r.PathValue("name")))
	if r.URL.RawQuery != "" {
		to += "?" + r.URL.RawQuery
	}
	redirect(w, http.StatusPermanentRedirect, to)
}

// fail answers with a status and its reason. A browser gets a page in the language of the visitor, other
// programs get two lines of English text. title and detail are messages, and args the values in detail.
func (s *Site) fail(w http.ResponseWriter, r *http.Request, status int, title, detail string, args ...any) {
	h := w.Header()
	for _, name := range []string{"Content-Length", "Content-Disposition", "Etag", "Last-Modified", "Repr-Digest"} {
		h.Del(name)
	}
	h.Set("Cache-Control", "no-store")
	h.Add("Vary", "Accept")
	if !strings.Contains(r.Header.Get("Accept"), "text/html") {
		answer(w, status, "text/plain; charset=utf-8", fmt.Appendf(nil, "%s\n%s\n", title, s.languages.English().T(detail, args...)))
		return
	}
	h.Set("Content-Security-Policy", policy)
	l := s.in(r)
	s.render(w, r, status, "error.html", errorPage{Status: status, Title: l.T(title), Detail: l.T(detail, args...)})
}
