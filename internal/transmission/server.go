package transmission

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"spate/internal/apitoken"
	"spate/internal/daemon"
)

// Limits of a request.
const (
	maxBody  = 32 << 20 // bytes
	maxBatch = 100      // requests in one batch
)

// Path is where the protocol is served.
const Path = "/transmission/rpc"

// sessionHeader is the header with the id of the session, which protects from requests of web pages.
const sessionHeader = "X-Transmission-Session-Id"

// Options configure a [Server].
type Options struct {
	// Admit returns what the sender of a request may do, or the status and the reason for which the
	// request is refused. It checks the user and the Host header.
	Admit func(*http.Request) (who daemon.Access, status int, why string)
	Now   func() time.Time
}

// Server answers the protocol. It is an [http.Handler] for [Path].
type Server struct {
	torrents Torrents
	session  Session
	opt      Options
	ids      *ids
	id       string // of the session
	// addPaused says that added torrents do not start, as the last session_set asked.
	addPaused atomic.Bool
	methods   map[string]method
}

// method answers requests of one method. The keys are those of 4.1.
type method func(context.Context, params) (object, error)

// NewServer returns a server for the torrents of a daemon.
func NewServer(t Torrents, session Session, opt Options) *Server {
	s := &Server{torrents: t, session: session, opt: opt, ids: newIDs(), id: rand.Text()}
	first := func(int, int) int { return 0 }
	last := func(_, n int) int { return n - 1 }
	s.methods = map[string]method{
		"torrent_start": s.torrentStart, "torrent_start_now": s.torrentStartNow, "torrent_stop": s.torrentStop, "torrent_verify": s.torrentVerify, "torrent_reannounce": s.torrentReannounce,
		"torrent_set": s.torrentSet, "torrent_add": s.torrentAdd, "torrent_remove": s.torrentRemove, "torrent_set_location": s.torrentSetLocation,
		"session_get": s.sessionGet, "session_set": s.sessionSet, "session_stats": s.sessionStats, "free_space": s.freeSpace, "port_test": s.portTest,
		"queue_move_top": s.queueMove(true, first), "queue_move_bottom": s.queueMove(false, last),
		"queue_move_up":   s.queueMove(false, func(at, _ int) int { return at - 1 }),
		"queue_move_down": s.queueMove(true, func(at, _ int) int { return at + 1 }),
		"group_get":       func(context.Context, params) (object, error) { return object{"group": []object{}}, nil },
	}
	for name, why := range map[string]string{
		"torrent_rename_path": "files keep the names in the torrent", "blocklist_update": "the filters are files that spate.toml names, and are read again when they change",
		"session_close": "stop the service of the daemon", "group_set": "there are no groups of torrents with a common limit",
	} {
		s.methods[name] = func(context.Context, params) (object, error) { return nil, unsupported(name, why) }
	}
	return s
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	who, status, why := s.opt.Admit(r)
	if status != 0 {
		if status == http.StatusUnauthorized {
			h.Set("WWW-Authenticate", `Basic realm="spate"`)
		}
		http.Error(w, why, status)
		return
	}
	h.Set(sessionHeader, s.id)
	h.Set("X-Transmission-Rpc-Version", rpcVersionSemver)
	if r.Header.Get(sessionHeader) != s.id {
		http.Error(w, "send the header "+sessionHeader+" of this answer with each request", http.StatusConflict)
		return
	}
	if r.Method != http.MethodPost {
		h.Set("Allow", http.MethodPost)
		http.Error(w, "requests are sent by POST", http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, "the request is too large or was cut off", http.StatusRequestEntityTooLarge)
		return
	}
	reply := s.answer(daemon.WithAccess(r.Context(), who), body)
	if reply == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	h.Set("Content-Type", "application/json; charset=UTF-8")
	json.NewEncoder(w).Encode(reply)
}

// answer answers a body, which is a request or a batch of JSON-RPC. It returns nil if there is
// nothing to say.
func (s *Server) answer(ctx context.Context, body []byte) any {
	body = bytes.TrimSpace(body)
	if len(body) == 0 || body[0] != '[' {
		return s.one(ctx, body)
	}
	var batch []json.RawMessage
	if err := json.Unmarshal(body, &batch); err != nil {
		return failed(&rpcError{codeParse, err.Error()}, nil)
	}
	if len(batch) == 0 || len(batch) > maxBatch {
		return failed(&rpcError{codeRequest, "a batch has 1 to 100 requests"}, nil)
	}
	var replies []any
	for _, b := range batch {
		if reply := s.one(ctx, b); reply != nil {
			replies = append(replies, reply)
		}
	}
	if replies == nil {
		return nil
	}
	return replies
}

// one answers one request.
func (s *Server) one(ctx context.Context, body []byte) any {
	var r request
	if err := json.Unmarshal(body, &r); err != nil {
		return failed(&rpcError{codeParse, err.Error()}, nil)
	}
	if !r.modern() {
		return s.old(ctx, &r)
	}
	if r.Version != "2.0" || r.Method == "" || !validID(r.ID) {
		return failed(&rpcError{codeRequest, "this is no request of JSON-RPC 2.0"}, nil)
	}
	p, err := parse(r.Params, func(k string) string { return k })
	var out object
	if err == nil {
		out, err = s.call(ctx, r.Method, p, false)
	}
	switch {
	case r.ID == nil:
		return nil // a notification
	case err != nil:
		return failed(asError(err), r.ID)
	case out == nil:
		out = object{}
	}
	return object{"jsonrpc": "2.0", "result": out, "id": r.ID}
}

// validID reports whether raw can be the id of a request.
func validID(raw json.RawMessage) bool {
	return len(raw) == 0 || raw[0] != '{' && raw[0] != '[' && raw[0] != 't' && raw[0] != 'f'
}

// failed returns the reply of JSON-RPC with an error.
func failed(e *rpcError, id json.RawMessage) any {
	if id == nil {
		id = json.RawMessage("null")
	}
	return object{"jsonrpc": "2.0", "error": object{"code": e.code, "message": e.text, "data": object{"error_string": e.text}}, "id": id}
}

// old answers a request in the dialect of 3.00.
func (s *Server) old(ctx context.Context, r *request) any {
	reply := object{"result": "success", "arguments": object{}}
	if r.Tag != nil {
		reply["tag"] = r.Tag
	}
	p, err := parse(r.Arguments, snake)
	var out object
	if err == nil {
		out, err = s.call(ctx, snake(r.Method), p, true)
	}
	if err != nil {
		e := asError(err)
		if e.code == codeMethod {
			e = &rpcError{codeMethod, "method name not recognized"}
		}
		reply["result"] = e.text
		return reply
	}
	if snake(r.Method) == "torrent_get" { // its torrents have their spelling already
		reply["arguments"] = out
	} else if out != nil {
		reply["arguments"] = renamed(out, kebab)
	}
	return reply
}

// parse parses the parameters of a request, and renames them by f.
func parse(raw json.RawMessage, f func(string) string) (params, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return params{}, nil
	}
	var in map[string]json.RawMessage
	if err := json.Unmarshal(raw, &in); err != nil {
		return nil, badParams("the parameters are no object")
	}
	p := make(params, len(in))
	for k, v := range in {
		p[f(k)] = v
	}
	return p, nil
}

// call calls a method.
func (s *Server) call(ctx context.Context, name string, p params, old bool) (object, error) {
	m, ok := s.methods[name]
	if name == "torrent_get" {
		m, ok = func(ctx context.Context, p params) (object, error) { return s.torrentGet(ctx, p, old) }, true
	}
	if !ok {
		return nil, &rpcError{codeMethod, "there is no method " + name}
	}
	who := daemon.AccessOf(ctx)
	if no := who.Need(scopeOf(name)); no != nil {
		return nil, &rpcError{codeInternal, no.Why}
	}
	return m(ctx, p)
}

// readMethods are the methods that change nothing. The others change torrents, except session_set,
// which changes the daemon.
var readMethods = []string{"torrent_get", "session_get", "session_stats", "free_space", "port_test", "group_get"}

// scopeOf returns the scope that a method needs.
func scopeOf(name string) apitoken.Scopes {
	switch {
	case slices.Contains(readMethods, name):
		return apitoken.Read
	case name == "session_set":
		return apitoken.Admin
	}
	return apitoken.Torrents
}
