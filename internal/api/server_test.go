package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"spate/internal/apitoken"
	"spate/internal/daemon"
	"spate/internal/doctor"
	"spate/internal/eventstream"
	"spate/internal/fileserver"
	"spate/internal/httpcontent/contenttest"
	"spate/internal/schedule"
	"spate/publish"
)

// fake is a daemon that records its calls.
type fake struct {
	windows []schedule.Window
	Backend
	did []string
	hub *eventstream.Hub
}

func (f *fake) Events() *eventstream.Hub { return f.hub }

func (f *fake) Status(context.Context) (Status, error) { return Status{PID: 7}, nil }
func (f *fake) Check(context.Context) (*doctor.Report, error) {
	return &doctor.Report{Findings: []doctor.Finding{{Check: "disk", Level: doctor.Fail}}}, nil
}
func (f *fake) Releases(context.Context, List) (Releases, error) { return Releases{}, nil }
func (f *fake) Release(_ context.Context, ref string) (publish.ReleaseInfo, error) {
	return publish.ReleaseInfo{Ref: ref}, nil
}
func (f *fake) Peers(context.Context, string) ([]Peer, error) { return []Peer{{}}, nil }
func (f *fake) Withdraw(_ context.Context, ref string) error {
	f.did = append(f.did, "withdraw "+ref)
	return nil
}
func (f *fake) Change(_ context.Context, ref string, c Change) error {
	if ref == "a" {
		f.did = append(f.did, "change "+ref)
		return nil
	}
	return &Error{Code: NotFound, Message: "no release " + ref}
}
func (f *fake) Torrents(context.Context, daemon.TorrentList) (Torrents, error) {
	return Torrents{}, nil
}
func (f *fake) Torrent(context.Context, string) (daemon.TorrentDetails, error) {
	return daemon.TorrentDetails{}, nil
}
func (f *fake) TorrentPeers(context.Context, string) ([]Peer, error) { return []Peer{}, nil }
func (f *fake) AddTorrent(_ context.Context, a AddTorrent) (daemon.TorrentInfo, error) {
	f.did = append(f.did, "add "+a.Source)
	return daemon.TorrentInfo{Name: a.Source}, nil
}
func (f *fake) ChangeTorrent(_ context.Context, ref string, c daemon.TorrentChange) error {
	f.did = append(f.did, "change "+ref)
	return nil
}
func (f *fake) ImportTorrent(context.Context, ImportTorrent) (daemon.Imported, error) {
	return daemon.Imported{}, nil
}
func (f *fake) RemoveTorrent(_ context.Context, ref string, data bool) error {
	f.did = append(f.did, "remove "+ref)
	return nil
}
func (f *fake) Snapshot(context.Context) (Snapshot, error) { return Snapshot{}, nil }
func (f *fake) Publish(_ context.Context, p Publish, each func(Event)) error {
	each(Event{Event: "published", Path: p.Paths[0], Release: &publish.ReleaseInfo{Ref: "a~1"}})
	return errors.New("the second failed")
}

// tokens returns a check that knows one token with scopes.
func tokens(good string, s apitoken.Scopes) func([]byte) (daemon.Access, bool) {
	return func(b []byte) (daemon.Access, bool) { return daemon.Access{Scopes: s}, string(b) == good }
}

// TestAdmission checks that the API refuses requests without a token, from web pages, and with
// a foreign host name (DNS rebinding).
func TestAdmission(t *testing.T) {
	f := &fake{}
	s := NewServer(f, ServerOptions{Access: daemon.APIAccess{Token: tokens("good", apitoken.Admin), Hosts: []string{"files.example"}}})
	for what, c := range map[string]struct {
		host   string
		header [2]string
		auth   string
		status int
	}{
		"a token":            {"127.0.0.1:80", [2]string{}, "Bearer good", 204},
		"a name of its own":  {"Files.example", [2]string{}, "Bearer good", 204},
		"IPv6":               {"[::1]:6970", [2]string{}, "Bearer good", 204},
		"none":               {"127.0.0.1", [2]string{}, "", 401},
		"a bad token":        {"127.0.0.1", [2]string{}, "Bearer bad", 401},
		"a password":         {"127.0.0.1", [2]string{}, "Basic YW55Omdvb2Q=", 204},
		"a bad password":     {"127.0.0.1", [2]string{}, "Basic YW55OmJhZA==", 401},
		"another scheme":     {"127.0.0.1", [2]string{}, "Basic good", 401},
		"a web page":         {"127.0.0.1", [2]string{"Origin", "http://127.0.0.1"}, "Bearer good", 403},
		"a web page's image": {"127.0.0.1", [2]string{"Sec-Fetch-Site", "cross-site"}, "Bearer good", 403},
		"rebound DNS":        {"evil.example", [2]string{}, "Bearer good", 403},
	} {
		f.did = nil
		r := httptest.NewRequest("DELETE", "/v1/releases/a~1", nil)
		r.Host = c.host
		if c.header[0] != "" {
			r.Header.Set(c.header[0], c.header[1])
		}
		if c.auth != "" {
			r.Header.Set("Authorization", c.auth)
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != c.status || (len(f.did) > 0) != (c.status == 204) {
			t.Errorf("%s: %d %s, did %q", what, w.Code, w.Body, f.did)
		}
		if c.status > 204 {
			checkProblem(t, w, c.status, map[int]string{401: Unauthorized, 403: Forbidden}[c.status])
		}
		challenge := w.Header().Get("WWW-Authenticate")
		if (challenge != "") != (c.status == 401) || strings.Contains(challenge, "invalid_token") != (c.status == 401 && c.auth != "") {
			t.Errorf("%s: %d asks for %q", what, c.status, challenge)
		}
	}
}

// TestChallenge checks that a page whose session has ended is not asked for a password by its browser.
func TestChallenge(t *testing.T) {
	t.Parallel()
	s := NewServer(&fake{}, ServerOptions{Access: daemon.APIAccess{Token: tokens("x", apitoken.Admin), Session: func(r *http.Request) (daemon.Access, *daemon.Refusal, bool) {
		return daemon.Access{}, &daemon.Refusal{Why: "this browser is not signed in", Login: true}, r.Header.Get("Sec-Fetch-Site") != ""
	}}})
	for site, want := range map[string]string{"": `Bearer realm="spate", Basic realm="spate"`, "same-origin": `Bearer realm="spate"`} {
		r := httptest.NewRequest("GET", "http://127.0.0.1/v1/status", nil)
		if site != "" {
			r.Header.Set("Sec-Fetch-Site", site)
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		checkProblem(t, w, http.StatusUnauthorized, Unauthorized)
		if got := w.Header().Get("WWW-Authenticate"); got != want {
			t.Errorf("a request from %q is asked for %s", site, got)
		}
	}
}

// checkProblem checks that an answer is an error with all its members (RFC 9457), of which the members
// of an Error are there twice.
func checkProblem(t *testing.T, w *httptest.ResponseRecorder, status int, code string) {
	t.Helper()
	var p struct {
		Type, Title, Detail string
		Status              int
		Error
		Nested Error `json:"error"`
	}
	err := json.Unmarshal(w.Body.Bytes(), &p)
	if err != nil || w.Code != status || p.Status != status || p.Code != code || p.Message == "" || p.Detail != p.Message || p.Nested != p.Error || p.Title == "" || p.Type != errorPath+code {
		t.Errorf("want %d %s, got %d %s", status, code, w.Code, w.Body)
	}
	if kind := w.Header().Get("Content-Type"); kind != "application/problem+json" {
		t.Errorf("the media type is %s", kind)
	}
}

// TestScopes checks that each route refuses a token without its scope, and that the scope is enough.
func TestScopes(t *testing.T) {
	t.Parallel()
	for pattern, route := range NewServer(&fake{}, ServerOptions{}).routes() {
		method, path, _ := strings.Cut(pattern, " ")
		if pattern == "/" {
			method, path = "GET", "/v1/nothing"
		}
		path = strings.NewReplacer("{ref}", "a", "{path...}", "film.mkv", "{code}", NotFound).Replace(path)
		for _, has := range []apitoken.Scopes{0, apitoken.Read, apitoken.Torrents, apitoken.Publish, apitoken.Admin} {
			ctx, cancel := context.WithCancel(t.Context())
			cancel() // streams end at once
			s := NewServer(&fake{hub: eventstream.New(nil, eventstream.Options{})}, ServerOptions{Access: daemon.APIAccess{Token: tokens("x", has)}})
			r := httptest.NewRequestWithContext(ctx, method, "http://127.0.0.1"+path, strings.NewReader("x"))
			r.Header.Set("Authorization", "Bearer x")
			w := httptest.NewRecorder()
			func() {
				defer func() { recover() }() // the fake does not have all
				s.ServeHTTP(w, r)
			}()
			if refused := w.Code == http.StatusForbidden; refused == has.Has(route.scope) {
				t.Errorf("%s with the scope %q: %d %s", pattern, has, w.Code, w.Body)
			} else if refused {
				checkProblem(t, w, http.StatusForbidden, Forbidden)
			}
		}
	}
	if davScope != apitoken.Read {
		t.Error("WebDAV needs another scope than files")
	}
}

// TestAllRoutes checks the methods, headers and conditional requests of every GET request. It
// fails if a route has no example.
func TestAllRoutes(t *testing.T) {
	s := NewServer(&fake{}, ServerOptions{})
	examples := map[string]string{"GET /v1/status": "/v1/status", "GET /v1/releases": "/v1/releases", "GET /v1/releases/{ref}": "/v1/releases/a%2Fb",
		"GET /v1/releases/{ref}/peers": "/v1/releases/a/peers", "GET /v1/torrents": "/v1/torrents", "GET /v1/schedule": "/v1/schedule", "GET /v1/feeds": "/v1/feeds", "GET /v1/feeds/{id}": "/v1/feeds/a", "GET /v1/torrents/{ref}": "/v1/torrents/a", "GET /v1/torrents/{ref}/peers": "/v1/torrents/a/peers",
		"GET /v1/uploads": "/v1/uploads", "GET /v1/uploads/{id}": "/v1/uploads/a", "GET /v1/browse": "/v1/browse", "GET /v1/limits": "/v1/limits", "GET /v1/releases/{ref}/health": "/v1/releases/a/health",
		"GET /v1/torrents/{ref}/files/{path...}": "/v1/torrents/a/files/film.mkv", "GET /v1/torrents/{ref}/playlist.m3u8": "/v1/torrents/a/playlist.m3u8",
		"GET /v1/torrents/{ref}/pieces": "/v1/torrents/a/pieces", "GET /v1/torrents/{ref}/history": "/v1/torrents/a/history", "GET /v1/folders": "/v1/folders",
		"GET /v1/errors": "/v1/errors", "GET /v1/errors/{code}": "/v1/errors/busy"}
	for pattern := range s.routes() {
		path := examples[pattern]
		if strings.HasPrefix(pattern, "GET ") && path == "" && pattern != "GET /v1/watch" && pattern != "GET /v1/events" && pattern != "GET /v1/backup" { // endless streams, and a copy made for each request
			t.Errorf("the route %s has no example in this test", pattern)
		} else if path != "" {
			contenttest.Content(t, s, path, contenttest.Exempt{Method: !strings.HasPrefix(path, "/v1/status")})
		}
	}
}

// TestBadRequests checks that invalid requests get an error and change nothing.
func TestBadRequests(t *testing.T) {
	f := &fake{}
	s := NewServer(f, ServerOptions{})
	for _, c := range []struct {
		method, path, body string
		status             int
		code               string
	}{
		{"POST", "/v1/releases", `{"paths":[]}`, 400, BadRequest},
		{"POST", "/v1/releases", `{"paths":["/a"],"colour":"red"}`, 400, BadRequest},
		{"POST", "/v1/releases", `{"paths":["/a"]}{}`, 400, BadRequest},
		{"POST", "/v1/releases", `{"paths":["` + strings.Repeat("a", maxBody) + `"]}`, 413, TooLarge},
		{"PATCH", "/v1/releases/x%2Fy", `{"paused":true}`, 404, NotFound},
		{"GET", "/v1/watch?every=1ns", "", 400, BadRequest},
		{"GET", "/v1/releases?limit=-1", "", 400, BadRequest},
		{"GET", "/v2/status", "", 404, NotFound},
		{"POST", "/v1/torrents", `{}`, 400, BadRequest},
		{"POST", "/v1/torrents", `{"source":"a","torrent":"ZA=="}`, 400, BadRequest},
		{"POST", "/v1/torrents", `{"path":"/etc/passwd"}`, 400, BadRequest},
		{"DELETE", "/v1/torrents/a?data=yes", "", 400, BadRequest},
		{"GET", "/v1/torrents/a/move", "", 405, BadMethod},
		{"GET", "/v1/releases/../../status", "", 0, ""},
		{"PUT", "/v1/status", "", 405, BadMethod},
		{"PUT", "/v1/backup", "", 405, BadMethod},
	} {
		r := httptest.NewRequest(c.method, c.path, strings.NewReader(c.body))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if c.status != 0 {
			checkProblem(t, w, c.status, c.code)
		}
	}
	r := httptest.NewRequest("POST", "/v1/releases", strings.NewReader(`{"paths":["/a"]}`))
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	checkProblem(t, w, 415, BadType)
	if len(f.did) > 0 {
		t.Errorf("did %q", f.did)
	}
}

// TestClient checks the client with a server over a connection.
func TestClient(t *testing.T) {
	ts := httptest.NewServer(NewServer(&fake{}, ServerOptions{Access: daemon.APIAccess{Token: tokens("good", apitoken.Admin)}}))
	defer ts.Close()
	c, err := NewRemote(ts.URL, "good")
	if err != nil {
		t.Fatal(err)
	}
	if r, err := c.Check(t.Context()); err != nil || len(r.Findings) != 1 || r.Findings[0].Level != doctor.Fail {
		t.Errorf("Check returned %+v, %v", r, err)
	}
	if s, err := c.Status(t.Context()); err != nil || s.PID != 7 {
		t.Errorf("%+v %v", s, err)
	}
	if err := c.Change(t.Context(), "a b~1", Change{}); !errors.Is(err, &Error{Code: NotFound}) || err.Error() != "no release a b~1" {
		t.Errorf("%v", err)
	}
	var events []string
	err = c.Publish(t.Context(), Publish{Paths: []string{"/a"}}, func(e Event) error { events = append(events, e.Release.Ref); return nil })
	if err == nil || err.Error() != "the second failed" || len(events) != 1 || events[0] != "a~1" {
		t.Errorf("%q %v", events, err)
	}
	n, stop := 0, errors.New("enough")
	err = c.Watch(t.Context(), 100*time.Millisecond, func(Snapshot) error {
		n++
		if n == 2 {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) {
		t.Errorf("%v", err)
	}
	bad, _ := NewRemote(ts.URL, "bad")
	if _, err := bad.Status(t.Context()); !errors.Is(err, &Error{Code: Unauthorized}) {
		t.Errorf("%v", err)
	}
	var none *NoDaemonError
	if _, err := New(t.TempDir()).Status(t.Context()); !errors.As(err, &none) {
		t.Errorf("%v", err)
	}
	if _, err := NewRemote("ftp://x", ""); err == nil {
		t.Error("NewRemote accepted an FTP URL")
	}
}

func (f *fake) Schedule(context.Context) (daemon.Schedule, error) {
	return daemon.Schedule{Windows: f.windows}, nil
}
func (f *fake) SetSchedule(_ context.Context, w []schedule.Window) error {
	f.windows = w
	return nil
}
func (f *fake) Feeds(context.Context) (Feeds, error) { return Feeds{Feeds: []daemon.FeedInfo{}}, nil }
func (f *fake) Feed(context.Context, string) (daemon.FeedInfo, error) {
	return daemon.FeedInfo{}, nil
}
func (f *fake) AddFeed(context.Context, daemon.AddFeed) (daemon.FeedInfo, error) {
	return daemon.FeedInfo{}, nil
}
func (f *fake) ChangeFeed(context.Context, string, daemon.FeedChange) error { return nil }
func (f *fake) RemoveFeed(context.Context, string) error                    { return nil }
func (f *fake) CheckFeed(context.Context, string) (daemon.FeedInfo, error) {
	return daemon.FeedInfo{}, nil
}
func (f *fake) PreviewFeed(context.Context, daemon.PreviewFeed) (daemon.FeedPreview, error) {
	return daemon.FeedPreview{}, nil
}
func (f *fake) Files() fileserver.Source { return oneFile{} }

// oneFile is a source with one torrent of one file.
type oneFile struct{}

func (oneFile) Torrents(context.Context) ([]fileserver.Torrent, error) {
	return []fileserver.Torrent{{ID: "a", Name: "film.mkv", Single: true, Size: 4}}, nil
}

func (oneFile) Torrent(context.Context, string) (fileserver.Torrent, error) {
	return fileserver.Torrent{ID: "a", Name: "film.mkv", Single: true, Size: 4}, nil
}

func (oneFile) Files(context.Context, string) ([]fileserver.FileInfo, error) { return nil, nil }

func (oneFile) Open(_ context.Context, _, path string) (io.ReadSeekCloser, error) {
	if path != "film.mkv" {
		return nil, fs.ErrNotExist
	}
	return struct {
		io.ReadSeeker
		io.Closer
	}{strings.NewReader("film"), io.NopCloser(nil)}, nil
}
