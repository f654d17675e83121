package api

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"spate/internal/units"
	"spate/internal/upload"
)

// Uploads are the core of tus 1.0 (https://tus.io/protocols/resumable-upload) with its extensions
// creation, termination and expiration, because clients for it exist in many languages; the draft of
// the IETF has the same requests under other names, and is still changing. A folder is one upload: the
// bytes of its files follow each other.

// Uploads is the list of uploads: GET /v1/uploads.
type Uploads struct {
	Uploads []upload.Info `json:"uploads"`
}

// UploadBackend is the part of a [Backend] with the uploads.
type UploadBackend interface {
	Uploads(ctx context.Context) ([]upload.Info, error)
	Upload(ctx context.Context, id string) (upload.Info, error)
	CreateUpload(ctx context.Context, r upload.Request) (upload.Info, error)
	// SettleUpload ends a request that sends bytes of the upload.
	SettleUpload(ctx context.Context, id string) (upload.Info, error)
	// AppendUpload stores bytes behind the first offset bytes. See [upload.Store.Append].
	AppendUpload(ctx context.Context, id string, offset int64, body io.Reader, interrupt func()) (upload.Info, error)
	DeleteUpload(ctx context.Context, id string) error
}

// tusVersion is the version of the protocol.
const tusVersion = "1.0.0"

// maxUploadRequest limits the size of a request that names the files of a folder, in bytes.
const maxUploadRequest = 16 << 20

// bodyTimeout limits the time in which no byte of an upload arrives.
const bodyTimeout = time.Minute

func (s *Server) uploads(w http.ResponseWriter, r *http.Request) error {
	list, err := s.backend.Uploads(r.Context())
	return send(w, r, Uploads{list}, err)
}

// createUpload begins an upload from JSON or, as clients of tus do, from headers.
func (s *Server) createUpload(w http.ResponseWriter, r *http.Request) error {
	if err := checkTus(w, r); err != nil {
		return err
	}
	var req upload.Request
	var err error
	if r.Header.Get("Upload-Length") != "" {
		req, err = tusRequest(r.Header)
	} else {
		err = readUpTo(r, &req, maxUploadRequest)
	}
	if err != nil {
		return err
	}
	i, err := s.backend.CreateUpload(r.Context(), req)
	if err != nil {
		return err
	}
	tusHeaders(w, i)
	w.Header().Set("Location", "/v1/uploads/"+i.ID)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	return json.NewEncoder(w).Encode(i)
}

// tusRequest reads the headers of a client of tus.
func tusRequest(h http.Header) (r upload.Request, err error) {
	if r.Length, err = strconv.ParseInt(h.Get("Upload-Length"), 10, 64); err != nil || r.Length < 0 {
		return r, &Error{Code: BadRequest, Message: "Upload-Length is not a number of bytes"}
	}
	for pair := range strings.SplitSeq(h.Get("Upload-Metadata"), ",") {
		key, value, _ := strings.Cut(strings.TrimSpace(pair), " ")
		b, err := base64.StdEncoding.DecodeString(value)
		if err != nil {
			return r, &Error{Code: BadRequest, Message: "Upload-Metadata is not in base64"}
		}
		switch key {
		case "filename", "name":
			r.Name = string(b)
		case "mark":
			r.Mark = string(b)
		}
	}
	return r, nil
}

// upload answers GET with the state of an upload, and HEAD with its offset, which then holds until
// somebody sends more.
func (s *Server) upload(w http.ResponseWriter, r *http.Request) error {
	if err := checkTus(w, r); err != nil {
		return err
	}
	get := s.backend.Upload
	if r.Method == http.MethodHead {
		get = s.backend.SettleUpload
	}
	i, err := get(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	tusHeaders(w, i)
	return send(w, r, i, nil)
}

// appendUpload stores bytes of an upload.
func (s *Server) appendUpload(w http.ResponseWriter, r *http.Request) error {
	if err := checkTus(w, r); err != nil {
		return err
	}
	if kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); kind != "application/offset+octet-stream" {
		return &Error{Code: BadType, Message: "the request's Content-Type is not application/offset+octet-stream"}
	}
	offset, err := strconv.ParseInt(r.Header.Get("Upload-Offset"), 10, 64)
	if err != nil || offset < 0 {
		return &Error{Code: BadRequest, Message: "Upload-Offset is not a number of bytes"}
	}
	i, err := s.backend.Upload(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	if n := r.ContentLength; n > i.Length-offset && offset <= i.Length {
		return tooLong(i)
	}
	body := newPatchBody(w, r)
	i, err = s.backend.AppendUpload(r.Context(), i.ID, offset, body, body.interrupt)
	if i.ID != "" {
		tusHeaders(w, i)
	}
	var wrong *upload.OffsetError
	switch {
	case errors.As(err, &wrong):
		return &Error{Code: Conflict, Message: wrong.Error(), Hint: "ask for the offset with HEAD"}
	case errors.Is(err, upload.ErrTooLong):
		return tooLong(i)
	case body.stopped.Load():
		return &Error{Code: Conflict, Message: "another request goes on with this upload"}
	case body.err != nil:
		return &Error{Code: BadRequest, Message: fmt.Sprintf("the body ends too early: %v", body.err), Hint: "ask for the offset with HEAD, and go on from there"}
	}
	return done(w, err)
}

func tooLong(i upload.Info) error {
	return &Error{Code: TooLarge, Message: fmt.Sprintf("the upload has %s, and the request has more than it lacks", units.Plural(i.Length, "byte"))}
}

func (s *Server) deleteUpload(w http.ResponseWriter, r *http.Request) error {
	if err := checkTus(w, r); err != nil {
		return err
	}
	return done(w, s.backend.DeleteUpload(r.Context(), r.PathValue("id")))
}

// patchBody is the body of a PATCH request. It may take any time as long as bytes arrive.
type patchBody struct {
	r       io.Reader
	ctl     *http.ResponseController
	stopped atomic.Bool
	err     error // of reading, other than io.EOF
}

func newPatchBody(w http.ResponseWriter, r *http.Request) *patchBody {
	return &patchBody{r: r.Body, ctl: http.NewResponseController(w)}
}

// errInterrupted ends the body of a request after which another one goes on.
var errInterrupted = errors.New("another request goes on with this upload")

// Read implements [io.Reader].
func (b *patchBody) Read(p []byte) (int, error) {
	b.ctl.SetReadDeadline(time.Now().Add(bodyTimeout))
	if b.stopped.Load() { // interrupt may have set its deadline before the line above
		return 0, errInterrupted
	}
	n, err := b.r.Read(p)
	if err != nil && err != io.EOF {
		b.err = err
	}
	return n, err
}

// interrupt makes Read return an error. It may be called concurrently.
func (b *patchBody) interrupt() {
	b.stopped.Store(true)
	b.ctl.SetReadDeadline(time.Unix(1, 0))
}

// checkTus returns an error if the client speaks another version of the protocol.
func checkTus(w http.ResponseWriter, r *http.Request) error {
	if v := r.Header.Get("Tus-Resumable"); v != "" && v != tusVersion {
		w.Header().Set("Tus-Version", tusVersion)
		return &Error{Code: BadVersion, Message: "Tus-Resumable is not " + tusVersion}
	}
	return nil
}

// tusHeaders sets the headers about an upload.
func tusHeaders(w http.ResponseWriter, i upload.Info) {
	h := w.Header()
	h.Set("Tus-Resumable", tusVersion)
	h.Set("Upload-Offset", strconv.FormatInt(i.Offset, 10))
	h.Set("Upload-Length", strconv.FormatInt(i.Length, 10))
	h.Set("Upload-Expires", i.Expires.UTC().Format(http.TimeFormat))
}
