package onevent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestRuleCheck checks which rules are accepted.
func TestRuleCheck(t *testing.T) {
	on := []Kind{Published}
	for _, c := range []struct {
		rule Rule
		want string // part of the error; "" for none
	}{
		{Rule{Events: on, Run: []string{"/bin/x", "--name", ""}}, ""},
		{Rule{Events: Kinds[:], Post: "https://example.org/hook?a=b", Secret: "s", Timeout: time.Hour}, ""},
		{Rule{Run: []string{"/bin/x"}}, "names no event"},
		{Rule{Events: []Kind{"publish"}, Run: []string{"/bin/x"}}, `no event "publish"`},
		{Rule{Events: on}, "neither"},
		{Rule{Events: on, Run: []string{"/bin/x"}, Post: "http://h/"}, "cannot be in one rule"},
		{Rule{Events: on, Run: []string{"x.sh"}}, "no absolute path"},
		{Rule{Events: on, Run: []string{"/bin/x", "a\x00b"}}, "zero byte"},
		{Rule{Events: on, Run: []string{"/bin/x"}, Secret: "s"}, "secret"},
		{Rule{Events: on, Post: "ftp://h/"}, "no URL of a web server"},
		{Rule{Events: on, Post: "http:///x"}, "no URL of a web server"},
		{Rule{Events: on, Post: "http://h/", Timeout: 2 * time.Hour}, "timeout"},
	} {
		err := c.rule.Check()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.rule, err, c.want)
		}
	}
}

// TestEnviron checks that the values of an event replace those of another event, and that a text of a
// stranger cannot end a variable.
func TestEnviron(t *testing.T) {
	e := Event{Kind: Failed, Time: time.Unix(1e9, 0), Name: "a\x00b\nSPATE_EVENT_KIND=published", Size: 7}
	got := e.environ([]string{"HOME=/h", "SPATE_EVENT_PATH=/old", "SPATE_STATE=/s"})
	want := []string{
		"HOME=/h", "SPATE_STATE=/s", "SPATE_EVENT_KIND=error", "SPATE_EVENT_TIME=2001-09-09T01:46:40Z",
		"SPATE_EVENT_NAME=ab\nSPATE_EVENT_KIND=published", "SPATE_EVENT_SIZE=7",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestPrograms checks that programs get the values of their event, in the order of the events, that
// output and failure are logged, and that a program which runs too long ends with its children.
func TestPrograms(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("needs a shell: ", err)
	}
	dir := t.TempDir()
	names := filepath.Join(dir, "names")
	var log logged
	r := New([]Rule{
		{Events: []Kind{Published}, Run: []string{sh, "-c", `printf '%s\n' "$SPATE_EVENT_NAME" >>"$0"`, names}},
		{Events: []Kind{Withdrawn}, Run: []string{sh, "-c", "head -c 10000 /dev/zero | tr '\\0' x; exit 3"}},
		{Events: []Kind{Stalled}, Run: []string{sh, "-c", "sleep 600 & sleep 600"}, Timeout: 100 * time.Millisecond},
	}, Options{Environ: os.Environ(), Log: slog.New(slog.NewTextHandler(&log, nil)), Now: time.Now})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	for _, name := range []string{"one", "two; rm -rf /", "$(three)"} {
		r.Tell(Event{Kind: Published, Name: name})
	}
	r.Tell(Event{Kind: Withdrawn})
	r.Tell(Event{Kind: Stalled})
	log.await(t, 5)
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if got, _ := os.ReadFile(names); string(got) != "one\ntwo; rm -rf /\n$(three)\n" {
		t.Errorf("%q", got)
	}
	for _, want := range []string{"exit status 3", "and 5904 more bytes", errTooLong.Error()} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, log.String())
		}
	}
}

// TestStopEndsPrograms checks that the end of the daemon ends a program.
func TestStopEndsPrograms(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("needs a shell: ", err)
	}
	started := filepath.Join(t.TempDir(), "started")
	r := New([]Rule{{Events: []Kind{Added}, Run: []string{sh, "-c", `mkdir "$0"; sleep 3600`, started}}}, Options{Log: slog.New(slog.DiscardHandler), Now: time.Now, Environ: os.Environ()})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	r.Tell(Event{Kind: Added})
	for {
		if _, err := os.Stat(started); err == nil {
			break
		}
		time.Sleep(time.Millisecond)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestPosts checks what is posted, which failures are tried again and when, and that a full queue
// drops events.
func TestPosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var web answers
		var log logged
		r := New([]Rule{{Events: []Kind{Completed}, Post: "http://hook.example/x", Secret: "whsec_c2VjcmV0"}}, Options{
			Transport: &web, Now: time.Now, Log: slog.New(slog.NewTextHandler(&log, nil)),
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()

		web.next(503, 0, 200)
		begin := time.Now()
		r.Tell(Event{Kind: Completed, Name: "a", Size: 5})
		r.Tell(Event{Kind: Published})
		synctest.Wait()
		time.Sleep(time.Minute)
		got := web.take()
		if len(got) != 3 || got[1].at.Sub(begin) != 5*time.Second || got[2].at.Sub(begin) != 35*time.Second {
			t.Fatalf("%+v", got)
		}
		var e Event
		if err := json.Unmarshal(got[0].body, &e); err != nil || e.Kind != Completed || e.Name != "a" || e.Size != 5 || !e.Time.Equal(begin) {
			t.Errorf("%s: %v", got[0].body, err)
		}
		for _, q := range got {
			if id := q.head.Get("Webhook-Id"); id != got[0].head.Get("Webhook-Id") || id == "" {
				t.Error("the attempts differ in their id")
			}
			if want := sign("secret", q.head.Get("Webhook-Id"), q.head.Get("Webhook-Timestamp"), q.body); q.head.Get("Webhook-Signature") != want {
				t.Errorf("signature %q, want %q", q.head.Get("Webhook-Signature"), want)
			}
		}

		web.next(404)
		r.Tell(Event{Kind: Completed})
		web.next(302)
		r.Tell(Event{Kind: Completed})
		time.Sleep(time.Hour)
		if n := len(web.take()); n != 2 {
			t.Errorf("%d attempts for failures that stay, want 2", n)
		}

		web.next(500, 500, 500, 500, 500)
		for range queued + 2 { // one is in progress
			r.Tell(Event{Kind: Completed})
			synctest.Wait()
		}
		if !strings.Contains(log.String(), "an event was dropped") {
			t.Error("nothing was dropped")
		}
		time.Sleep(time.Hour)
		if n := len(web.take()); n != 5+queued {
			t.Errorf("%d attempts, want five for one event and one for each of the %d that waited", n, queued)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestSignature holds a signature against the example of Standard Webhooks.
func TestSignature(t *testing.T) {
	got := sign("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", []byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// answers is a server that answers with the statuses that next gives it, and then with 200. Status 0
// is a connection that fails.
type answers struct {
	mu     sync.Mutex
	status []int
	got    []posted
}

type posted struct {
	at   time.Time
	head http.Header
	body []byte
}

func (a *answers) next(status ...int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.status = append(a.status, status...)
}

func (a *answers) take() []posted {
	a.mu.Lock()
	defer a.mu.Unlock()
	got := a.got
	a.got = nil
	return got
}

func (a *answers) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.got = append(a.got, posted{time.Now(), r.Header, body})
	status := http.StatusOK
	if len(a.status) > 0 {
		status, a.status = a.status[0], a.status[1:]
	}
	if status == 0 {
		return nil, errors.New("connection refused")
	}
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Body: http.NoBody, Header: http.Header{"Location": {"/y"}}, Request: r}, nil
}

// logged is a log that can be waited for.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// await waits for a number of lines.
func (l *logged) await(t *testing.T, lines int) {
	t.Helper()
	for end := time.Now().Add(5 * time.Minute); strings.Count(l.String(), "\n") < lines; {
		if time.Now().After(end) {
			t.Fatalf("hangs with the log:\n%s", l.String())
		}
		time.Sleep(time.Millisecond)
	}
}
