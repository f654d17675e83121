package api

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"spate/internal/apitoken"
	"spate/internal/daemon"
)

// slow is a daemon that adds torrents when the test lets it, and fails if the source is "bad".
type slow struct {
	fake
	wait chan struct{}
}

func (s *slow) AddTorrent(ctx context.Context, a AddTorrent) (daemon.TorrentInfo, error) {
	<-s.wait
	if a.Source == "bad" {
		return daemon.TorrentInfo{}, &Error{Code: Unreachable, Message: "no server"}
	}
	return s.fake.AddTorrent(ctx, a)
}

// TestIdempotencyKey checks that a request with a key is done once, for each sender alone, and for a
// day.
func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &slow{wait: make(chan struct{})}
		s := NewServer(f, ServerOptions{Access: daemon.APIAccess{Token: func(b []byte) (daemon.Access, bool) {
			return daemon.Access{ID: string(b), Scopes: apitoken.Admin}, true
		}}})
		send := func(who, key, path, body string) *httptest.ResponseRecorder {
			r := httptest.NewRequestWithContext(t.Context(), "POST", "http://127.0.0.1"+path, strings.NewReader(body))
			r.Header.Set("Authorization", "Bearer "+who)
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("Idempotency-Key", key)
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			return w
		}
		const torrents, a, b = "/v1/torrents", `{"source":"a"}`, `{"source":"b"}`
		first := make(chan *httptest.ResponseRecorder)
		go func() { first <- send("me", "1", torrents, a) }()
		synctest.Wait()
		checkProblem(t, send("me", "1", torrents, a), http.StatusConflict, InProgress)
		checkProblem(t, send("me", "1", torrents, b), http.StatusUnprocessableEntity, KeyReused)
		close(f.wait)
		want := <-first
		again := send("me", "1", torrents, a)
		if want.Code != 200 || again.Code != 200 || again.Body.String() != want.Body.String() || again.Header().Get("Content-Type") != "application/json" || again.Header().Get("Idempotency-Replayed") != "true" || want.Header().Get("Idempotency-Replayed") != "" {
			t.Errorf("%d %s, then %d %s %v", want.Code, want.Body, again.Code, again.Body, again.Header())
		}
		checkProblem(t, send("me", "1", torrents, b), http.StatusUnprocessableEntity, KeyReused)
		send("other", "1", torrents, a)
		send("me", "2", torrents, a)
		if n := len(f.did); n != 3 {
			t.Errorf("it was done %d times: %q", n, f.did)
		}

		checkProblem(t, send("me", "3", torrents, `{"source":"bad"}`), http.StatusBadGateway, Unreachable)
		if w := send("me", "3", torrents, b); w.Code != 200 {
			t.Errorf("after a failure the key gives %d %s", w.Code, w.Body)
		}
		w := send("me", "4", "/v1/releases", `{"paths":["/a"]}`)
		if !strings.Contains(w.Body.String(), "the second failed") {
			t.Errorf("%s", w.Body)
		}
		if again := send("me", "4", "/v1/releases", `{"paths":["/a"]}`); again.Header().Get("Idempotency-Replayed") != "" {
			t.Error("a stream with an error is repeated")
		}

		for _, bad := range []string{"", "\x01", "ü", strings.Repeat("x", maxKey+1)} {
			checkProblem(t, send("me", bad, torrents, a), http.StatusBadRequest, BadRequest)
		}
		time.Sleep(answerAge)
		if w := send("me", "1", torrents, b); w.Code != 200 || w.Header().Get("Idempotency-Replayed") != "" {
			t.Errorf("after a day: %d %s", w.Code, w.Body)
		}
	})
}

// TestAnswersAreBounded checks the limits of the kept answers.
func TestAnswersAreBounded(t *testing.T) {
	t.Parallel()
	for size, most := range map[int]int{1: maxAnswers, maxAllAnswer / 10: 10} {
		var s answers
		now := time.Unix(0, 0)
		for i := range maxAnswers + 10 {
			if i > 30 && size > 1 {
				break
			}
			k := answerKey{key: fmt.Sprint(i)}
			a, begun, err := s.begin(k, [32]byte{}, now)
			if err != nil || !begun {
				t.Fatal(err)
			}
			s.end(k, a, &recorder{ResponseWriter: httptest.NewRecorder(), ok: true, body: make([]byte, size)}, now)
		}
		if len(s.by) > most || len(s.by) != len(s.order) || s.bytes != size*len(s.by) || len(s.by) < most/2 {
			t.Errorf("%d answers of %d bytes are kept, %d bytes", len(s.by), size, s.bytes)
		}
	}
	var s answers
	for i := range maxAnswers + 1 {
		_, _, err := s.begin(answerKey{key: fmt.Sprint(i)}, [32]byte{}, time.Unix(0, 0))
		if (err != nil) != (i == maxAnswers) {
			t.Fatalf("request %d: %v", i, err)
		}
	}
}

// TestRecorder checks what of a stream is kept, and that a stream can still be flushed.
func TestRecorder(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	r := &recorder{ResponseWriter: w}
	out := newLines(r)
	for _, e := range []string{"waiting", "progress", "published"} {
		if err := out.write(Event{Event: e}); err != nil {
			t.Fatal(err)
		}
	}
	if got := string(r.body); got != "{\"event\":\"waiting\"}\n{\"event\":\"published\"}\n" || r.failed || !w.Flushed {
		t.Errorf("%q, failed %v, flushed %v", got, r.failed, w.Flushed)
	}
	out.write(Event{Event: "error", Error: &Error{}})
	if !r.failed {
		t.Error("the error is not seen")
	}
	r.Write(make([]byte, maxAnswer))
	if r.body != nil || !r.lost {
		t.Error("a large answer is kept")
	}
}
