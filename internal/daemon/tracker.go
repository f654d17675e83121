package daemon

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"os"
	"path/filepath"

	"spate/internal/fault"
	"spate/internal/filetrust"
	"spate/tracker/trackerserver"
)

// TrackerConfig configures a [Tracker].
type TrackerConfig struct {
	State             string // the state directory
	Listen            ListenConfig
	PublicURL         *url.URL // nil: guessed
	CertFile, KeyFile string   // of HTTPS; empty: plain HTTP
	Tokens            string   // file of the users' tokens; empty: "tokens" in State
	TrackerNode       TrackerNodeConfig
	Home              http.Handler // handler of all other paths; nil redirects / to the statistics
}

// TokensFile is the file of the users' tokens in the state directory.
const TokensFile = "tokens"

// OpenTokens reads the tokens in the file at the path given or, if given is empty, in the file name
// in the state directory. It renames a damaged file in the state directory and warns. A damaged
// file at the path given is an error.
func (e *Env) OpenTokens(state, name, given string) (*trackerserver.Tokens, error) {
	path := cmp.Or(given, filepath.Join(state, name))
	if err := filetrust.Check(path, filetrust.Power, e.Warnf); err != nil {
		return nil, err
	}
	if given != "" {
		return trackerserver.OpenTokens(given)
	}
	t, damaged, err := trackerserver.RepairTokens(path)
	if damaged != nil {
		e.Warnf("%v", damaged)
	}
	return t, err
}

// Tracker is a tracker node with its own sockets.
type Tracker struct {
	trackerNode *TrackerNode
	lock        *os.File
	sockets     *sockets
	home        http.Handler
	base        *url.URL
	guessed     bool
}

// OpenTracker opens the sockets and the state of a tracker. [Tracker.Close] closes them.
func OpenTracker(ctx context.Context, env *Env, c TrackerConfig) (_ *Tracker, err error) {
	tls, err := env.LoadCertificate(c.CertFile, c.KeyFile)
	if err != nil {
		return nil, err
	}
	t := &Tracker{home: c.Home}
	defer func() {
		if err != nil {
			t.Close()
		}
	}()
	if t.home == nil {
		t.home = toStats()
	}
	if t.sockets, t.lock, err = env.openAndLock(ctx, &c.Listen, c.State); err != nil {
		return nil, err
	}
	if c.TrackerNode.Server.Tokens, err = env.OpenTokens(c.State, TokensFile, c.Tokens); err != nil {
		return nil, fault.WithSetting(fault.WithHint(err, "correct the file"), "tokens")
	}
	if t.trackerNode, err = env.openTrackerNode(&c.TrackerNode, c.State, c.PublicURL); err != nil {
		return nil, err
	}
	t.trackerNode.tls = tls
	t.base, t.guessed = publicURL(c.PublicURL, t.sockets.httpAddr(), tls != nil)
	return t, nil
}

// Run serves until ctx ends, which is not an error.
func (t *Tracker) Run(ctx context.Context) error {
	return t.trackerNode.run(ctx, t.sockets, t.trackerNode.handler(withPrefix(t.trackerNode.prefix, t.home)))
}

// Close closes the parts that OpenTracker opened.
func (t *Tracker) Close() {
	if t.trackerNode != nil {
		t.trackerNode.close()
	}
	if t.sockets != nil {
		t.sockets.close()
	}
	if t.lock != nil {
		t.lock.Close()
	}
}

// Reload is [TrackerNode.Reload].
func (t *Tracker) Reload() { t.trackerNode.Reload() }

// BaseURL returns the URL under which clients reach the tracker, and whether it is a guess.
func (t *Tracker) BaseURL() (u *url.URL, guessed bool) { return t.base, t.guessed }

// AnnounceURLs returns the announce URLs.
func (t *Tracker) AnnounceURLs() []string {
	var urls []string
	for _, tier := range announceURLs(t.base, t.UDPAddr(), t.trackerNode.tls != nil) {
		urls = append(urls, tier...)
	}
	return urls
}

// HTTPAddr returns the address of the HTTP socket.
func (t *Tracker) HTTPAddr() string { return t.sockets.httpAddr().String() }

// UDPAddr returns the address of the UDP socket, or "" if there is none.
func (t *Tracker) UDPAddr() string { return t.sockets.udpAddr() }

// toStats redirects / to the statistics.
func toStats() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "stats") // a relative URL, because the public URL may have a path
		w.WriteHeader(http.StatusSeeOther)
	})
	return mux
}
