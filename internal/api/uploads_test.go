package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"spate/internal/daemon"
	"spate/internal/upload"
)

func (f *fake) Uploads(context.Context) ([]upload.Info, error) { return []upload.Info{}, nil }
func (f *fake) Upload(_ context.Context, id string) (upload.Info, error) {
	return upload.Info{ID: id}, nil
}
func (f *fake) SettleUpload(_ context.Context, id string) (upload.Info, error) {
	return upload.Info{ID: id}, nil
}
func (f *fake) Browse(context.Context, string) (daemon.Listing, error) { return daemon.Listing{}, nil }
func (f *fake) ReleaseHealth(context.Context, string) (daemon.ReleaseHealth, error) {
	return daemon.ReleaseHealth{}, nil
}
func (f *fake) Limits(context.Context) (daemon.Limits, error) { return daemon.Limits{}, nil }

// uploading is a daemon that takes uploads.
type uploading struct {
	*fake
	store *upload.Store
}

func (u uploading) Upload(_ context.Context, id string) (upload.Info, error) {
	i, err := u.store.Info(id)
	return i, toAPI(err)
}
func (u uploading) CreateUpload(_ context.Context, r upload.Request) (upload.Info, error) {
	i, err := u.store.Create(r)
	return i, toAPI(err)
}
func (u uploading) SettleUpload(_ context.Context, id string) (upload.Info, error) {
	i, err := u.store.Settle(id)
	return i, toAPI(err)
}
func (u uploading) AppendUpload(_ context.Context, id string, offset int64, body io.Reader, interrupt func()) (upload.Info, error) {
	return u.store.Append(id, offset, body, interrupt)
}
func (u uploading) DeleteUpload(_ context.Context, id string) error { return toAPI(u.store.Delete(id)) }

// uploadServer returns the URL of a server that takes uploads.
func uploadServer(t *testing.T) (base string, store *upload.Store) {
	t.Helper()
	store, err := upload.New(t.TempDir(), upload.Options{})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(NewServer(uploading{&fake{}, store}, ServerOptions{}))
	t.Cleanup(srv.Close)
	return srv.URL, store
}

// ask makes a request with headers of the form "Name: value".
func ask(t *testing.T, method, url string, body io.Reader, headers ...string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

const offsetType = "Content-Type: application/offset+octet-stream"

// TestUploadOverHTTP uploads a folder: a connection is lost on the way, another one goes on while the
// server still waits for the first, and the server counts only what it has.
func TestUploadOverHTTP(t *testing.T) {
	t.Parallel()
	base, store := uploadServer(t)
	resp := ask(t, "POST", base+"/v1/uploads", strings.NewReader(`{"name":"d","files":[{"path":"a","length":3},{"path":"s/b","length":5}],"mark":"m"}`), "Content-Type: application/json")
	var made upload.Info
	if err := json.NewDecoder(resp.Body).Decode(&made); err != nil || resp.StatusCode != http.StatusCreated || resp.Header.Get("Upload-Offset") != "0" {
		t.Fatalf("create: %v %+v %v", resp.Status, made, err)
	}
	path := resp.Header.Get("Location")
	if path != "/v1/uploads/"+made.ID || made.Length != 8 || made.NumFiles != 2 || made.Mark != "m" {
		t.Errorf("created %+v at %s", made, path)
	}

	lost, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer lost.Close()
	fmt.Fprintf(lost, "PATCH %s HTTP/1.1\r\nHost: localhost\r\n%s\r\nUpload-Offset: 0\r\nContent-Length: 8\r\nExpect: 100-continue\r\n\r\n", path, offsetType)
	if _, err := io.ReadFull(lost, make([]byte, len("HTTP/1.1 100 Continue\r\n\r\n"))); err != nil { // the server reads the body now
		t.Fatal(err)
	}
	io.WriteString(lost, "01")
	have := ask(t, "HEAD", base+path, nil).Header.Get("Upload-Offset")
	if have != "0" && have != "2" { // the bytes may arrive after the HEAD
		t.Fatalf("after a lost connection the server has %q bytes", have)
	}
	rest := "01234567"[have[0]-'0':]
	resp = ask(t, "PATCH", base+path, strings.NewReader(rest), offsetType, "Upload-Offset: "+have, "Tus-Resumable: 1.0.0")
	if resp.StatusCode != http.StatusNoContent || resp.Header.Get("Upload-Offset") != "8" || resp.Header.Get("Tus-Resumable") != "1.0.0" || resp.Header.Get("Upload-Expires") == "" {
		t.Errorf("the rest: %v %v", resp.Status, resp.Header)
	}
	if i, err := store.Info(made.ID); err != nil || i.Offset != 8 {
		t.Errorf("the store has %+v %v", i, err)
	}
	if resp = ask(t, "DELETE", base+path, nil); resp.StatusCode != http.StatusNoContent {
		t.Errorf("delete: %v", resp.Status)
	}
	if resp = ask(t, "HEAD", base+path, nil); resp.StatusCode != http.StatusNotFound {
		t.Errorf("a deleted upload: %v", resp.Status)
	}
}

// TestHostileUploads checks that wrong requests are refused by their status and change nothing.
func TestHostileUploads(t *testing.T) {
	t.Parallel()
	base, store := uploadServer(t)
	i, err := store.Create(upload.Request{Name: "f", Length: 4})
	if err != nil {
		t.Fatal(err)
	}
	at := base + "/v1/uploads/" + i.ID
	for _, c := range []struct {
		method, url, body string
		headers           []string
		status            int
	}{
		{"PATCH", at, "xx", []string{offsetType}, 400},
		{"PATCH", at, "xx", []string{offsetType, "Upload-Offset: -1"}, 400},
		{"PATCH", at, "xx", []string{offsetType, "Upload-Offset: 99999999999999999999"}, 400},
		{"PATCH", at, "xx", []string{offsetType, "Upload-Offset: 2"}, 409},
		{"PATCH", at, "xx", []string{offsetType, "Upload-Offset: 9223372036854775807"}, 409},
		{"PATCH", at, "xxxxx", []string{offsetType, "Upload-Offset: 0"}, 413},
		{"PATCH", at, "xx", []string{"Content-Type: text/plain", "Upload-Offset: 0"}, 415},
		{"PATCH", at, "xx", []string{offsetType, "Upload-Offset: 0", "Tus-Resumable: 0.2.2"}, 412},
		{"PATCH", base + "/v1/uploads/..%2f..%2fstate", "xx", []string{offsetType, "Upload-Offset: 0"}, 404},
		{"POST", base + "/v1/uploads", "", []string{"Upload-Length: -5", "Upload-Metadata: filename Zg=="}, 400},
		{"POST", base + "/v1/uploads", "", []string{"Upload-Length: 5", "Upload-Metadata: filename !!"}, 400},
		{"POST", base + "/v1/uploads", "", []string{"Upload-Length: 5"}, 400}, // no name
		{"POST", base + "/v1/uploads", `{"name":"../x","length":1}`, []string{"Content-Type: application/json"}, 400},
		{"POST", base + "/v1/uploads", `{"name":"x","length":1,"hash":"zz"}`, []string{"Content-Type: application/json"}, 400},
		{"POST", base + "/v1/uploads", "", []string{"Upload-Length: 5", "Upload-Metadata: filename Zg==,mark bQ=="}, 201},
	} {
		if resp := ask(t, c.method, c.url, strings.NewReader(c.body), c.headers...); resp.StatusCode != c.status {
			b, _ := io.ReadAll(resp.Body)
			t.Errorf("%s %s %q: %v %s, want %d", c.method, strings.TrimPrefix(c.url, base), c.headers, resp.Status, b, c.status)
		} else if c.status == 409 && resp.Header.Get("Upload-Offset") != "0" {
			t.Errorf("%q: the answer has the offset %q", c.headers, resp.Header.Get("Upload-Offset"))
		}
	}
	if i, err = store.Info(i.ID); err != nil || i.Offset != 0 {
		t.Errorf("wrong requests have changed the upload: %+v %v", i, err)
	}
	var chunked = io.MultiReader(strings.NewReader("012"), strings.NewReader("345")) // without a Content-Length
	if resp := ask(t, "PATCH", at, chunked, offsetType, "Upload-Offset: 0"); resp.StatusCode != 413 || resp.Header.Get("Upload-Offset") != "4" {
		t.Errorf("too many bytes without a length: %v %v", resp.Status, resp.Header)
	}
	if _, err := store.Append(i.ID, 4, strings.NewReader("x"), nil); !errors.Is(err, upload.ErrTooLong) {
		t.Errorf("behind the end: %v", err)
	}
}
