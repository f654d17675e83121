package site

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// TestHogsOverHTTP2 checks that a download whose client reads nothing loses its slot
// although the client has other requests on the same connection, and that these requests
// continue.
func TestHogsOverHTTP2(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{MaxDownloads: 2, Wait: time.Minute, grace: 20 * time.Millisecond})
	f.release(t, "data.bin", 64<<20)
	ts := httptest.NewUnstartedServer(f)
	ts.EnableHTTP2 = true
	ts.StartTLS()
	defer ts.Close()
	get := func() *http.Response {
		t.Helper()
		resp, err := ts.Client().Get(ts.URL + "/d/data.bin")
		if err != nil {
			t.Fatal(err)
		}
		if resp.ProtoMajor != 2 || resp.StatusCode != http.StatusOK {
			t.Fatalf("the response is %s by %s, want 200 by HTTP/2", resp.Status, resp.Proto)
		}
		return resp
	}
	var slowReaders []*http.Response
	for range 2 {
		slowReaders = append(slowReaders, get())
	}
	for range 3 {
		resp := get()
		if n, err := io.Copy(io.Discard, resp.Body); n != 64<<20 {
			t.Errorf("another request of the connection got %d bytes, %v, want 64 MiB", n, err)
		}
		resp.Body.Close()
	}
	ended := 0
	for _, slow := range slowReaders {
		if n, err := io.Copy(io.Discard, slow.Body); err != nil && n < 64<<20 {
			ended++
		}
		slow.Body.Close()
	}
	if ended != 1 {
		t.Errorf("%d of two slow downloads were ended, want one", ended)
	}
}
