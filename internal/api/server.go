package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"spate/internal/daemon"
	"spate/internal/doctor"
	"spate/internal/fileserver"
	"spate/internal/httpcontent"
	"spate/internal/reach"
	"spate/publish"
)

// Backend is the daemon that a [Server] gives access to. Its methods are called concurrently.
// The server sends an [*Error] unchanged, and other errors with the code [Failed].
type Backend interface {
	Status(ctx context.Context) (Status, error)
	// Check checks the machine and the ports of the daemon now.
	Check(ctx context.Context) (*doctor.Report, error)
	Releases(ctx context.Context, l List) (Releases, error)
	Release(ctx context.Context, ref string) (publish.ReleaseInfo, error)
	Peers(ctx context.Context, ref string) ([]Peer, error)
	Snapshot(ctx context.Context) (Snapshot, error)
	// Publish calls each for every event.
	Publish(ctx context.Context, p Publish, each func(Event)) error
	Change(ctx context.Context, ref string, c Change) error
	Withdraw(ctx context.Context, ref string) error
	// Backup writes a copy of the catalog to a new file of the daemon's user.
	Backup(ctx context.Context, path string) error
	// OpenBackup returns a copy of the catalog and its size. The caller closes it.
	OpenBackup(ctx context.Context) (io.ReadCloser, int64, error)
	DialBack(ctx context.Context) reach.DialBack
	// Files returns the files of all releases and added torrents.
	Files() fileserver.Source
	TorrentBackend
}

// maxBody limits the size of a request, in bytes.
const maxBody = 1 << 20

// ServerOptions define who may use the API. The zero value is for a unix socket, which is
// protected by its permissions.
type ServerOptions struct {
	// Token reports whether a token is valid. If it is nil, requests need no token. If it is
	// set, the Host header must be an address, localhost, or one of Hosts, and requests
	// with an Origin, which web pages make, are refused.
	Token func(token []byte) bool
	Hosts []string
	Log   *slog.Logger // logs the errors with the code Failed; nil discards them
}

// Server answers requests of the API. It is an [http.Handler].
type Server struct {
	backend Backend
	opt     ServerOptions
	mux     *http.ServeMux
}

// NewServer returns a server for b.
func NewServer(b Backend, opt ServerOptions) *Server {
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{backend: b, opt: opt, mux: http.NewServeMux()}
	for pattern, h := range s.routes() {
		s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if err := h(w, r); err != nil {
				s.fail(w, r, err)
			}
		})
	}
	dav := fileserver.NewWebDAV(b.Files(), davPath)
	s.mux.Handle(davPath+"/", dav)
	s.mux.Handle(davPath, dav) // cadaver and davfs2 follow no redirect
	return s
}

// routes returns the handlers of all requests, by pattern.
func (s *Server) routes() map[string]func(http.ResponseWriter, *http.Request) error {
	return map[string]func(http.ResponseWriter, *http.Request) error{
		"GET /v1/status":               s.status,
		"GET /v1/releases":             s.list,
		"POST /v1/releases":            s.publish,
		"GET /v1/releases/{ref}":       s.release,
		"PATCH /v1/releases/{ref}":     s.change,
		"DELETE /v1/releases/{ref}":    s.withdraw,
		"GET /v1/releases/{ref}/peers": s.peers,
		"GET /v1/watch":                s.watch,
		"GET /v1/backup":               s.sendBackup,
		"POST /v1/backup":              s.backup,
		"POST /v1/check":               s.check,
		"POST /v1/dialback":            s.dialBack,
		"/":                            s.nothing,

		"GET /v1/torrents":                       s.torrents,
		"POST /v1/torrents":                      s.addTorrent,
		"POST /v1/import":                        s.importTorrent,
		"GET /v1/torrents/{ref}":                 s.torrent,
		"PATCH /v1/torrents/{ref}":               s.changeTorrent,
		"DELETE /v1/torrents/{ref}":              s.removeTorrent,
		"GET /v1/torrents/{ref}/peers":           s.torrentPeers,
		"GET /v1/torrents/{ref}/files/{path...}": s.file,
		"GET /v1/torrents/{ref}/playlist.m3u8":   s.playlist,
		"POST /v1/torrents/{ref}/move":           s.moveTorrent,
		"POST /v1/torrents/{ref}/recheck":        s.recheckTorrent,
		"POST /v1/torrents/{ref}/reannounce":     s.reannounceTorrent,
	}
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if err := s.admit(r); err != nil {
		s.fail(w, r, err)
		return
	}
	s.mux.ServeHTTP(w, r)
}

// admit returns an error if the sender of r may not use the API.
func (s *Server) admit(r *http.Request) error {
	access := daemon.APIAccess{Token: s.opt.Token, Hosts: s.opt.Hosts}
	if no := access.Refuse(r); no != nil {
		return &Error{Code: Unauthorized, Message: no.Why}
	}
	return nil
}

// statusOf maps the codes of errors to status codes of HTTP.
var statusOf = map[string]int{
	BadMethod: http.StatusMethodNotAllowed, NotFound: http.StatusNotFound, Exists: http.StatusConflict, BadRequest: http.StatusBadRequest, BadData: http.StatusUnprocessableEntity,
	DiskFull: http.StatusInsufficientStorage, Unauthorized: http.StatusForbidden, Failed: http.StatusInternalServerError,
}

// asError converts err to an [*Error].
func asError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Code: Failed, Message: err.Error()}
}

func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	e := asError(err)
	if e.Code == Failed && r.Context().Err() == nil {
		s.opt.Log.Error("api: a request failed", "path", r.URL.EscapedPath(), "err", err)
	}
	status := statusOf[e.Code]
	if e.Code == Unauthorized && r.Header.Get("Authorization") == "" && r.Header.Get("Origin") == "" {
		status = http.StatusUnauthorized
		w.Header().Set("WWW-Authenticate", `Bearer, Basic realm="spate"`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]*Error{"error": e})
}

// send answers with v, or returns err if it is not nil.
func send(w http.ResponseWriter, r *http.Request, v any, err error) error {
	if err != nil {
		return err
	}
	data, err := json.Marshal(v)
	if err == nil {
		w.Header().Set("Cache-Control", "private, no-cache")
		httpcontent.Send(w, r, "application/json", append(data, '\n'))
	}
	return err
}

// done answers without content, or returns err if it is not nil.
func done(w http.ResponseWriter, err error) error {
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
	}
	return err
}

// read decodes the body of a request: one JSON object with known fields, of at most maxBody bytes.
func read(r *http.Request, v any) error { return readUpTo(r, v, maxBody) }

// readUpTo is read for a request of at most most bytes.
func readUpTo(r *http.Request, v any, most int64) error {
	if kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); kind != "application/json" {
		return &Error{Code: BadRequest, Message: "the request's Content-Type is not application/json"}
	}
	d := json.NewDecoder(io.LimitReader(r.Body, most))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return &Error{Code: BadRequest, Message: "the request: " + err.Error()}
	}
	if d.More() {
		return &Error{Code: BadRequest, Message: "the body has more than one object"}
	}
	return nil
}

// methods are the methods of the API's requests.
var methods = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPatch, http.MethodDelete}

// nothing answers a request for which there is no handler. If there is one for another method,
// the error says which.
func (s *Server) nothing(w http.ResponseWriter, r *http.Request) error {
	var allowed []string
	for _, method := range methods {
		with := *r
		with.Method = method
		if _, pattern := s.mux.Handler(&with); pattern != "/" {
			allowed = append(allowed, method)
		}
	}
	if len(allowed) > 0 {
		list := strings.Join(allowed, ", ")
		w.Header().Set("Allow", list)
		return &Error{Code: BadMethod, Message: r.URL.EscapedPath() + " has only the methods " + list}
	}
	return &Error{Code: NotFound, Message: "the API has no " + r.Method + " " + r.URL.EscapedPath()}
}

func (s *Server) status(w http.ResponseWriter, r *http.Request) error {
	v, err := s.backend.Status(r.Context())
	return send(w, r, v, err)
}

func (s *Server) check(w http.ResponseWriter, r *http.Request) error {
	v, err := s.backend.Check(r.Context())
	return send(w, r, v, err)
}

func (s *Server) list(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	l := List{Text: q.Get("q"), Group: q.Get("group"), Latest: q.Get("latest") == "true"}
	if err := readPage(q, &l.Offset, &l.Limit); err != nil {
		return err
	}
	v, err := s.backend.Releases(r.Context(), l)
	return send(w, r, v, err)
}

// readPage reads the parameters offset and limit of a list.
func readPage(q url.Values, offset, limit *int) error {
	for name, n := range map[string]*int{"offset": offset, "limit": limit} {
		if q.Get(name) == "" {
			continue
		}
		var err error
		if *n, err = strconv.Atoi(q.Get(name)); err != nil || *n < 0 {
			return &Error{Code: BadRequest, Message: name + " is not a number of 0 or more"}
		}
	}
	return nil
}

func (s *Server) release(w http.ResponseWriter, r *http.Request) error {
	v, err := s.backend.Release(r.Context(), r.PathValue("ref"))
	return send(w, r, v, err)
}

func (s *Server) peers(w http.ResponseWriter, r *http.Request) error {
	v, err := s.backend.Peers(r.Context(), r.PathValue("ref"))
	return send(w, r, v, err)
}

func (s *Server) change(w http.ResponseWriter, r *http.Request) error {
	var c Change
	if err := read(r, &c); err != nil {
		return err
	}
	return done(w, s.backend.Change(r.Context(), r.PathValue("ref"), c))
}

func (s *Server) withdraw(w http.ResponseWriter, r *http.Request) error {
	return done(w, s.backend.Withdraw(r.Context(), r.PathValue("ref")))
}

func (s *Server) backup(w http.ResponseWriter, r *http.Request) error {
	var b Backup
	if err := read(r, &b); err != nil {
		return err
	}
	return done(w, s.backend.Backup(r.Context(), b.Path))
}

// backupTimeout limits the time for sending a copy of the catalog.
const backupTimeout = time.Hour

// sendBackup sends a copy of the catalog. The client finds a cut one by the Content-Length.
func (s *Server) sendBackup(w http.ResponseWriter, r *http.Request) error {
	b, size, err := s.backend.OpenBackup(r.Context())
	if err != nil {
		return err
	}
	defer b.Close()
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(backupTimeout))
	w.Header().Set("Content-Type", "application/vnd.sqlite3")
	w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	if r.Method == http.MethodHead {
		return nil
	}
	if _, err := io.Copy(w, b); err != nil && s.opt.Log != nil {
		s.opt.Log.Error("a copy of the catalog was not sent completely", "err", err)
	}
	return nil
}

func (s *Server) dialBack(w http.ResponseWriter, r *http.Request) error {
	return send(w, r, s.backend.DialBack(r.Context()), nil)
}

// lines writes a stream of JSON objects, one on each line. Only one goroutine may use it.
type lines struct {
	w   http.ResponseWriter
	ctl *http.ResponseController
	enc *json.Encoder
}

// lineTimeout limits the time for writing a line.
const lineTimeout = 30 * time.Second

func newLines(w http.ResponseWriter) *lines {
	ctl := http.NewResponseController(w)
	ctl.SetReadDeadline(time.Time{}) // streams have no time limit
	w.Header().Set("Content-Type", "application/x-ndjson")
	return &lines{w, ctl, json.NewEncoder(w)}
}

func (l *lines) write(v any) error {
	l.ctl.SetWriteDeadline(time.Now().Add(lineTimeout))
	if err := l.enc.Encode(v); err != nil {
		return err
	}
	return l.ctl.Flush()
}

func (s *Server) publish(w http.ResponseWriter, r *http.Request) error {
	var p Publish
	if err := read(r, &p); err != nil {
		return err
	}
	if len(p.Paths) == 0 {
		return &Error{Code: BadRequest, Message: "the request has no paths"}
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	out := newLines(w)
	err := s.backend.Publish(ctx, p, func(e Event) {
		if out.write(e) != nil {
			cancel() // the client has closed the connection
		}
	})
	if err != nil && r.Context().Err() == nil {
		out.write(Event{Event: "error", Error: asError(err)})
	}
	return nil
}

func (s *Server) watch(w http.ResponseWriter, r *http.Request) error {
	every := time.Second
	if t := r.URL.Query().Get("every"); t != "" {
		var err error
		if every, err = time.ParseDuration(t); err != nil || every < 100*time.Millisecond {
			return &Error{Code: BadRequest, Message: "every is not a time of at least 100ms"}
		}
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	out := newLines(w)
	for {
		snap, err := s.backend.Snapshot(r.Context())
		if err != nil || out.write(snap) != nil {
			return nil // end the stream
		}
		select {
		case <-r.Context().Done():
			return nil
		case <-tick.C:
		}
	}
}
