package site

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"spate"
)

func TestLive(t *testing.T) {
	var seeds atomic.Int64
	seeds.Store(1)
	f := newFixture(t, Options{Tick: time.Millisecond, MaxLive: 1,
		Swarm: func(spate.InfoHash) (Swarm, bool) { return Swarm{Seeders: int(seeds.Load())}, true }})
	f.release(t, "one.iso", 1000)
	ts := httptest.NewServer(f)
	defer ts.Close()

	resp, err := http.Get(ts.URL + "/r/one.iso/live")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("the header is %v, want the type text/event-stream", resp.Header)
	}
	lines := bufio.NewScanner(resp.Body)
	next := func() (n numbers) {
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				if err := json.Unmarshal([]byte(data), &n); err != nil {
					t.Fatalf("decoding the event %s: %v", data, err)
				}
				return n
			}
		}
		t.Fatalf("the events ended too early: %v", lines.Err())
		return n
	}
	for want := 1; want <= 3; want++ {
		if n := next(); n.Seeds != want {
			t.Fatalf("the event is %+v, want %d seeds", n, want)
		}
		seeds.Store(int64(want + 1))
	}

	second, err := http.Get(ts.URL + "/r/one.iso/live")
	if err != nil {
		t.Fatal(err)
	}
	second.Body.Close()
	if second.StatusCode != 503 || second.Header.Get("Retry-After") == "" {
		t.Errorf("a visitor above the limit got %s, want 503 and Retry-After", second.Status)
	}

	f.Close()
	for lines.Scan() {
	}
	if err := lines.Err(); err != nil {
		t.Errorf("the events did not end at Close without an error: %v", err)
	}
	f.Close()
}

// TestLiveEnds checks that a visitor who watches a release loses the slot when the release
// is withdrawn.
func TestLiveEnds(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{Tick: time.Millisecond})
	r := f.release(t, "one.iso", 1000)
	ts := httptest.NewServer(f)
	defer ts.Close()
	resp, err := (&http.Client{Timeout: patience}).Get(ts.URL + "/r/one.iso/live")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := f.catalog.Delete(t.Context(), r.Ref()); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Errorf("the events did not end without an error after the release was withdrawn: %v", err)
	}
	if watchers := f.watchers.counts().Held; watchers != 0 {
		t.Errorf("%d slots for live numbers are in use, want none", watchers)
	}
}

// TestNumbersAreOfThisTick checks that a visitor who asks once a tick receives new numbers,
// even with a clock that is a little fast.
func TestNumbersAreOfThisTick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		f := newFixture(t, Options{Tick: time.Second, Swarm: func(spate.InfoHash) (Swarm, bool) { asked++; return Swarm{Seeders: asked}, true }})
		r := f.release(t, "one.iso", 1000)
		for i := range 10 {
			before := asked
			f.numbers(t.Context(), r)
			if asked == before {
				t.Errorf("request %d: the tracker was not asked", i)
			}
			before = asked
			f.numbers(t.Context(), r) // another visitor asks
			if asked != before {
				t.Errorf("request %d: the tracker was asked for each visitor", i)
			}
			time.Sleep(time.Second - 5*time.Millisecond)
		}
	})
}
