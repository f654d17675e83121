package api

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// The codes of an [Error]. They never change their meaning.
const (
	NotFound     = "not_found"
	Exists       = "exists"
	BadRequest   = "bad_request"
	BadMethod    = "bad_method"
	BadType      = "bad_type"
	TooLarge     = "too_large"
	BadData      = "bad_data"
	Changed      = "changed"
	KeyReused    = "key_reused"
	InProgress   = "in_progress"
	DiskFull     = "disk_full"
	Unauthorized = "unauthorized"
	Forbidden    = "forbidden"
	Busy         = "busy"
	Unreachable  = "unreachable"
	NoPeers      = "no_peers"
	Failed       = "failed"
	Conflict     = "conflict"    // an upload has another offset, or another request goes on with it
	BadVersion   = "bad_version" // the client speaks another version of tus
)

// Problem is a kind of failure: GET /v1/errors/{code}.
type Problem struct {
	Code   string `json:"code"`
	Status int    `json:"status"` // of HTTP
	Title  string `json:"title"`  // is the same for all errors with the code
}

// problems lists all codes.
var problems = [...]Problem{
	{BadRequest, http.StatusBadRequest, "The request is not valid."},
	{Unauthorized, http.StatusUnauthorized, "A valid token is needed."},
	{Forbidden, http.StatusForbidden, "The sender may not do this."},
	{NotFound, http.StatusNotFound, "What the request names does not exist."},
	{BadMethod, http.StatusMethodNotAllowed, "There is no such method for this path."},
	{Exists, http.StatusConflict, "What the request would make or change is in the way or in use."},
	{Conflict, http.StatusConflict, "The upload has another offset, or another request goes on with it."},
	{InProgress, http.StatusConflict, "A request with this Idempotency-Key is still being answered."},
	{Changed, http.StatusPreconditionFailed, "It has changed since the client read it."},
	{BadVersion, http.StatusPreconditionFailed, "The client speaks another version of the protocol."},
	{TooLarge, http.StatusRequestEntityTooLarge, "The request is too large."},
	{BadType, http.StatusUnsupportedMediaType, "The request has another media type than the API takes."},
	{BadData, http.StatusUnprocessableEntity, "The data is malformed, or does not match its hash or signature."},
	{KeyReused, http.StatusUnprocessableEntity, "This Idempotency-Key belongs to another request."},
	{Failed, http.StatusInternalServerError, "The daemon could not do this."},
	{Unreachable, http.StatusBadGateway, "Another server or an address could not be used."},
	{Busy, http.StatusServiceUnavailable, "Too many such requests run at the same time."},
	{NoPeers, http.StatusGatewayTimeout, "There were no peers, or a time limit has passed."},
	{DiskFull, http.StatusInsufficientStorage, "The disk is full."},
}

// problemOf returns the kind of failure with a code. An unknown code is [Failed].
func problemOf(code string) (p Problem, known bool) {
	for _, p = range problems {
		if p.Code == code {
			return p, true
		}
	}
	p, _ = problemOf(Failed)
	return p, false
}

// errorPath is where the kinds of failures are described.
const errorPath = "/v1/errors/"

// failure is the body of an answer with an error: problem details (RFC 9457) with the members of
// [Error], and the Error alone for clients that know only that.
type failure struct {
	Type   string `json:"type"` // path of the [Problem]
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	*Error
	Nested *Error `json:"error"`
}

// writeError answers with an error.
func writeError(w http.ResponseWriter, e *Error) {
	p, _ := problemOf(e.Code)
	h := w.Header()
	for _, name := range []string{"ETag", "Last-Modified", "Content-Encoding", "Content-Length", "Link"} {
		h.Del(name) // of the answer that the error replaces
	}
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Type", "application/problem+json")
	switch e.Code {
	case Unauthorized:
		h.Set("WWW-Authenticate", e.challenge())
	case Busy:
		h.Set("Retry-After", strconv.Itoa(busyAfter))
	}
	w.WriteHeader(p.Status)
	json.NewEncoder(w).Encode(failure{Type: errorPath + p.Code, Title: p.Title, Status: p.Status, Detail: e.Message, Error: e, Nested: e})
}

// busyAfter is the number of seconds after which a client may try again.
const busyAfter = 10

// challenge returns how a client can send a token (RFC 9110, 11.6.1, and RFC 6750, 3).
func (e *Error) challenge() string {
	c := `Bearer realm="spate"`
	if e.invalid {
		c += `, error="invalid_token"`
	}
	if !e.page {
		c += `, Basic realm="spate"` // a browser would ask the user of a page for a password
	}
	return c
}

// listErrors answers with all kinds of failures.
func (s *Server) listErrors(w http.ResponseWriter, r *http.Request) error {
	p, err := readPageOf(r)
	return send(w, r, cut(w, r, problems[:], p), err)
}

// describeError answers with one kind of failure.
func (s *Server) describeError(w http.ResponseWriter, r *http.Request) error {
	p, known := problemOf(r.PathValue("code"))
	if !known {
		return &Error{Code: NotFound, Message: "there is no such code of errors"}
	}
	return send(w, r, p, nil)
}
