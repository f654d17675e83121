package api

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"spate/internal/apitoken"
	"spate/internal/daemon"
	"spate/internal/eventstream"
)

// TestEvents checks the stream of events over a connection: its form, its continuation by either
// parameter, the limit of streams, and that it ends when the daemon stops.
func TestEvents(t *testing.T) {
	t.Parallel()
	var tell atomic.Pointer[func(string, any)]
	f := &fake{hub: eventstream.New(nil, eventstream.Options{MaxListeners: 2, Attach: func(f func(string, any)) func() {
		tell.Store(&f)
		return func() {}
	}})}
	ts := httptest.NewUnstartedServer(NewServer(f, ServerOptions{}))
	life, stop := context.WithCancel(t.Context())
	ts.Config.BaseContext = func(net.Listener) context.Context { return life }
	ts.Start()
	defer ts.Close()
	open := func(path, last string) (*http.Response, func() string) {
		r, err := http.NewRequestWithContext(t.Context(), "GET", ts.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if last != "" {
			r.Header.Set("Last-Event-ID", last)
		}
		resp, err := ts.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		lines := bufio.NewReader(resp.Body)
		return resp, func() (block string) {
			for {
				line, err := lines.ReadString('\n')
				if line == "\n" || err != nil {
					return block
				}
				block += line
			}
		}
	}
	resp, next := open("/v1/events", strings.Repeat("garbage", 1000))
	if resp.Header.Get("Content-Type") != "text/event-stream" || resp.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%v", resp.Header)
	}
	if b := next(); b != "retry: 2000\n" {
		t.Errorf("it begins with %q", b)
	}
	reset := next()
	id, rest, _ := strings.Cut(reset, "\n")
	id = strings.TrimPrefix(id, "id: ")
	if rest != "event: reset\ndata: {}\n" {
		t.Errorf("the first event is %q", reset)
	}
	(*tell.Load())("event", map[string]string{"event": "added", "name": "a\nb"})
	want := next()
	if _, data, _ := strings.Cut(want, "\n"); data != "event: event\ndata: {\"event\":\"added\",\"name\":\"a\\nb\"}\n" {
		t.Errorf("an event is %q", want)
	}
	for path, last := range map[string]string{"/v1/events": id, "/v1/events?last_event_id=" + id: ""} {
		again, next := open(path, last)
		next()
		if b := next(); b != want {
			t.Errorf("after %s: %q, want %q", id, b, want)
		}
		if many, _ := open("/v1/events", ""); many.StatusCode != http.StatusServiceUnavailable || many.Header.Get("Retry-After") == "" {
			t.Errorf("one stream too many: %d %v", many.StatusCode, many.Header)
		}
		again.Body.Close()
		for f.hub.Listeners() > 1 { // the server finds out
			runtime.Gosched()
		}
	}
	stop()
	if b := next(); b != "" {
		t.Errorf("at the end came %q", b)
	}
}

// TestEventsEndWithToken checks that a stream ends soon after its token was revoked.
func TestEventsEndWithToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var revoked atomic.Bool
		s := NewServer(&fake{hub: eventstream.New(nil, eventstream.Options{})}, ServerOptions{Access: daemon.APIAccess{Token: func([]byte) (daemon.Access, bool) {
			return daemon.Access{Scopes: apitoken.Read}, !revoked.Load()
		}}})
		r := httptest.NewRequestWithContext(t.Context(), "GET", "http://127.0.0.1/v1/events", nil)
		r.Header.Set("Authorization", "Bearer x")
		w := httptest.NewRecorder()
		begin := time.Now()
		time.AfterFunc(40*time.Second, func() { revoked.Store(true) })
		s.ServeHTTP(w, r)
		if took := time.Since(begin); took != 45*time.Second || strings.Count(w.Body.String(), ":\n\n") != 2 {
			t.Errorf("it ended after %v with %q", took, w.Body)
		}
	})
}

// TestEventsOfClientThatDoesNotRead checks that a client that reads nothing loses its connection, so
// that it keeps neither a place nor memory.
func TestEventsOfClientThatDoesNotRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hub := eventstream.New(nil, eventstream.Options{})
		ours, theirs := net.Pipe()
		conns := make(chan net.Conn, 1)
		conns <- theirs
		srv := &http.Server{Handler: NewServer(&fake{hub: hub}, ServerOptions{})}
		go srv.Serve(oneConn{conns})
		if _, err := io.WriteString(ours, "GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if hub.Listeners() != 1 {
			t.Fatal("the stream did not begin")
		}
		time.Sleep(lineTimeout - time.Second)
		if hub.Listeners() != 1 {
			t.Error("the stream ended early")
		}
		time.Sleep(2 * time.Second)
		if hub.Listeners() != 0 {
			t.Error("a client that does not read keeps its stream")
		}
		ours.Close()
		srv.Close()
	})
}

// oneConn is a listener with the connections of a channel.
type oneConn struct{ conns chan net.Conn }

func (l oneConn) Accept() (net.Conn, error) {
	c, ok := <-l.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}
func (l oneConn) Close() error {
	close(l.conns)
	return nil
}

func (l oneConn) Addr() net.Addr { return &net.UnixAddr{} }
