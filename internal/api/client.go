package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"spate/internal/doctor"
	"spate/internal/reach"
	"spate/publish"
)

// maxLine limits the size of an answer and of a line of a stream, in bytes.
const maxLine = 64 << 20

// Time limits of the daemon's answers. A daemon that hangs accepts connections but never answers.
const (
	readLimit   = 30 * time.Second // for an answer, and for the start of a stream
	changeLimit = 2 * time.Minute  // for a change, which may announce "stopped" and delete files
	backupLimit = time.Hour
	lineLimit   = 10 * time.Minute // between two lines of a stream; the daemon may hash a large file
)

// Client is a client of a daemon. It is safe for concurrent use.
type Client struct {
	base  string   // the URL without a slash at its end
	local *sockets // nil for a daemon on the network
	token string
	http  *http.Client
	limit time.Duration // replaces all time limits in tests; 0 does not
}

// New returns a client of the daemon with a state directory. With more directories, it is a client
// of the first daemon that can be connected to.
func New(state string, more ...string) *Client {
	s := &sockets{}
	for _, dir := range append([]string{state}, more...) {
		s.paths = append(s.paths, filepath.Join(dir, SocketName))
	}
	return &Client{base: "http://spate", local: s, http: &http.Client{Transport: &http.Transport{DialContext: s.dial, MaxIdleConns: 1}}}
}

// NewRemote returns a client of a daemon that answers on the network, at an http or https
// URL.
func NewRemote(base, token string) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%q is not an http or https URL", base)
	}
	// The daemon never redirects, and another server must not get the token.
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	direct := &http.Transport{ForceAttemptHTTP2: true} // without the proxy of the environment, which must not get the token either
	return &Client{base: strings.TrimRight(base, "/"), token: token, http: &http.Client{Transport: direct, CheckRedirect: stay}}, nil
}

// Status returns the state of the daemon.
func (c *Client) Status(ctx context.Context) (s Status, err error) {
	return s, c.call(ctx, http.MethodGet, "/v1/status", nil, &s)
}

// Check makes the daemon check its machine and its ports.
func (c *Client) Check(ctx context.Context) (r doctor.Report, err error) {
	return r, c.call(ctx, http.MethodPost, "/v1/check", nil, &r)
}

// List selects the releases that [Client.Releases] returns. The zero List selects all versions
// and variants.
type List struct {
	Text   string // words that the name must contain
	Group  string
	Latest bool // only the newest version of each slug, in its first variant
	Offset int
	Limit  int // maximum number of releases; 0: no limit
}

// Releases returns releases, newest first.
func (c *Client) Releases(ctx context.Context, l List) (r Releases, err error) {
	q := url.Values{}
	for k, v := range map[string]string{"q": l.Text, "group": l.Group} {
		if v != "" {
			q.Set(k, v)
		}
	}
	for k, n := range map[string]int{"offset": l.Offset, "limit": l.Limit} {
		if n != 0 {
			q.Set(k, strconv.Itoa(n))
		}
	}
	if l.Latest {
		q.Set("latest", "true")
	}
	return r, c.call(ctx, http.MethodGet, "/v1/releases?"+q.Encode(), nil, &r)
}

func releasePath(ref string) string { return "/v1/releases/" + url.PathEscape(ref) }

// Release returns the release ref, or its newest version if ref names none.
func (c *Client) Release(ctx context.Context, ref string) (r publish.ReleaseInfo, err error) {
	return r, c.call(ctx, http.MethodGet, releasePath(ref), nil, &r)
}

// Peers returns the connections of a release.
func (c *Client) Peers(ctx context.Context, ref string) (p []Peer, err error) {
	return p, c.call(ctx, http.MethodGet, releasePath(ref)+"/peers", nil, &p)
}

// Withdraw withdraws a release, or all versions and variants of a slug.
func (c *Client) Withdraw(ctx context.Context, ref string) error {
	return c.call(ctx, http.MethodDelete, releasePath(ref), nil, nil)
}

// Change changes a release, or all versions and variants of a slug.
func (c *Client) Change(ctx context.Context, ref string, ch Change) error {
	return c.call(ctx, http.MethodPatch, releasePath(ref), ch, nil)
}

// Backup makes the daemon write a copy of its catalog to path.
func (c *Client) Backup(ctx context.Context, path string) error {
	return c.call(ctx, http.MethodPost, "/v1/backup", Backup{path}, nil)
}

// ReadBackup writes a copy of the daemon's catalog to w. The daemon may run as another user, and in a
// sandbox, so that it cannot write to the files of this process.
func (c *Client) ReadBackup(ctx context.Context, w io.Writer) error {
	ctx, wait := c.watch(ctx, backupLimit)
	defer wait.end()
	resp, err := c.do(ctx, http.MethodGet, "/v1/backup", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(w, resp.Body)
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return c.bad(err)
}

// DialBack makes the daemon ask connected peers to connect to it, which takes up to about twelve
// seconds, and returns what came of it. The daemon repeats a result of the last minute.
func (c *Client) DialBack(ctx context.Context) (d reach.DialBack, err error) {
	return d, c.call(ctx, http.MethodPost, "/v1/dialback", nil, &d)
}

// Publish makes the daemon publish, and calls each for every event. It returns the first error
// of each, or the error of the release that failed.
func (c *Client) Publish(ctx context.Context, p Publish, each func(Event) error) error {
	return c.stream(ctx, http.MethodPost, "/v1/releases", p, func(line []byte) error {
		var e Event
		if err := json.Unmarshal(line, &e); err != nil {
			return err
		}
		if e.Event == "error" && e.Error != nil {
			return e.Error
		}
		return each(e)
	})
}

// Watch calls each with a snapshot at once and after every interval. It ends when ctx ends or
// each returns an error, and returns that error. An interval below 100 ms means one second.
func (c *Client) Watch(ctx context.Context, interval time.Duration, each func(Snapshot) error) error {
	if interval < 100*time.Millisecond {
		interval = time.Second
	}
	return c.stream(ctx, http.MethodGet, "/v1/watch?every="+interval.String(), nil, func(line []byte) error {
		var s Snapshot
		if err := json.Unmarshal(line, &s); err != nil {
			return err
		}
		return each(s)
	})
}

// call makes a request with in as its body, and reads the answer into out.
func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	limit := readLimit
	switch {
	case path == "/v1/backup", strings.HasPrefix(path, "/v1/torrents/") && strings.HasSuffix(path, "/move"):
		limit = backupLimit
	case method != http.MethodGet && path != "/v1/dialback" && path != "/v1/check":
		limit = changeLimit
	}
	ctx, wait := c.watch(ctx, limit)
	defer wait.end()
	resp, err := c.do(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if out == nil {
		return nil
	}
	err = json.NewDecoder(io.LimitReader(resp.Body, maxLine)).Decode(out)
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return c.bad(err)
}

// stream makes a request and calls each with every line of the answer.
func (c *Client) stream(ctx context.Context, method, path string, in any, each func([]byte) error) error {
	ctx, wait := c.watch(ctx, lineLimit)
	defer wait.end()
	resp, err := c.do(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		wait.timer.Stop()
		if ctx.Err() != nil {
			break // the line is cut
		}
		if err := each(lines.Bytes()); err != nil {
			return err
		}
		wait.timer.Reset(wait.limit)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return c.bad(lines.Err())
}

// waiting limits the wait for an answer.
type waiting struct {
	limit  time.Duration
	timer  *time.Timer
	cancel context.CancelCauseFunc
}

func (w *waiting) end() {
	w.timer.Stop()
	w.cancel(nil)
}

// watch returns a context that ends with a [*SilenceError] after limit.
func (c *Client) watch(ctx context.Context, limit time.Duration) (context.Context, *waiting) {
	if c.limit > 0 {
		limit = c.limit
	}
	w := &waiting{limit: limit}
	ctx, w.cancel = context.WithCancelCause(ctx)
	w.timer = time.AfterFunc(limit, func() { w.cancel(&SilenceError{c.where(), limit}) })
	return ctx, w
}

// bad adds the address of the daemon to an error about its answer.
func (c *Client) bad(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("the answer of %s: %w", c.where(), err)
}

func (c *Client) where() string {
	if c.local != nil {
		return c.local.chosen()
	}
	return c.base
}

// do makes a request. It returns an error if the status of the answer is not 2xx.
func (c *Client) do(ctx context.Context, method, path string, in any) (*http.Response, error) {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	var none *NoDaemonError
	switch {
	case errors.As(err, &none):
		return nil, none
	case err != nil && ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", c.where(), err)
	case resp.StatusCode >= 200 && resp.StatusCode < 300:
		return resp, nil
	}
	defer resp.Body.Close()
	var answer struct {
		Error *Error `json:"error"`
	}
	if json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&answer) != nil || answer.Error == nil {
		return nil, fmt.Errorf("%s answered %s", c.where(), resp.Status)
	}
	return nil, answer.Error
}
