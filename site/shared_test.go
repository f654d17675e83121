package site

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"spate"
	"spate/publish"
	"spate/publish/publishtest"
)

// sharedPaths are the paths of documents that requests share.
var sharedPaths = []string{
	"/", "/?all=1", "/?group=g", "/?from=1", "/index.json", "/index.json?all=1", "/index.json?limit=1&from=1", "/index.json?group=g",
	"/feed.xml", "/feed.xml?group=g", "/atom.xml", "/sitemap.xml",
}

// listCounter is a catalog that counts the calls of List, and waits in them while held is not nil.
type listCounter struct {
	*publish.Memory
	mu    sync.Mutex
	lists int
	held  chan struct{}
}

func (c *listCounter) List(ctx context.Context, q publish.Query) ([]*publish.Release, int, error) {
	c.mu.Lock()
	c.lists++
	held := c.held
	c.mu.Unlock()
	if held != nil {
		<-held
	}
	return c.Memory.List(ctx, q)
}

// newShared returns a site, and the catalog and the numbers of peers that it shows.
func newShared(t *testing.T) (*Site, *listCounter, *Swarm) {
	t.Helper()
	c, swarm := &listCounter{Memory: publish.NewMemory()}, &Swarm{Seeders: 1}
	return siteOf(t, c, swarm), c, swarm
}

func siteOf(t *testing.T, c publish.Catalog, swarm *Swarm) *Site {
	t.Helper()
	s, err := New(c, Options{Swarm: func(spate.InfoHash) (Swarm, bool) { return *swarm, true }})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// ask sends a request to s with a header, unless name is "".
func ask(s *Site, method, path, name, value string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	r.Host = "127.0.0.1:6969"
	if name != "" {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func add(t *testing.T, c publish.Catalog, slug, version, variant string, at time.Time) *publish.Release {
	t.Helper()
	r := publishtest.Release(slug, version, variant, at)
	if err := c.Put(t.Context(), r, publish.Torrents{Main: []byte("de"), Twin: []byte("de")}); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestSharedDocumentsAreNeverStale changes the catalog in every way, and checks after each
// change that GET, HEAD and conditional requests get the content that a new site sends.
func TestSharedDocumentsAreNeverStale(t *testing.T) {
	t.Parallel()
	s, c, swarm := newShared(t)
	ctx := t.Context()
	text, group, none, yes, no, took := "changed", "g", "", true, false, time.Minute
	update := func(change publish.Change) func() error {
		return func() error { return c.Update(ctx, "a~1", change) }
	}
	tags := map[string]string{}
	for _, change := range []struct {
		name string
		do   func() error
	}{
		{"nothing", func() error { return nil }},
		{"publish", func() error { add(t, c, "a", "1", "", sampleTime); return nil }},
		{"publish another", func() error { add(t, c, "b", "1", "x", sampleTime.Add(time.Minute)); return nil }},
		{"publish an older one", func() error { add(t, c, "c", "1", "", sampleTime.Add(-time.Minute)); return nil }},
		{"publish a variant", func() error { add(t, c, "b", "1", "y", sampleTime.Add(time.Minute)); return nil }},
		{"publish a version", func() error { add(t, c, "b", "2", "x", sampleTime.Add(time.Hour)); return nil }},
		{"put into a group", update(publish.Change{Group: &group})},
		{"put into another group", update(publish.Change{Group: &text})},
		{"take out of all groups", update(publish.Change{Group: &none})},
		{"notes", update(publish.Change{Notes: &text})},
		{"pause", update(publish.Change{Paused: &yes})},
		{"resume", update(publish.Change{Paused: &no})},
		{"rename", update(publish.Change{Watched: &text, Stamp: &text, Location: &publish.Location{Path: "/elsewhere", Files: make([]publish.File, 2)}})},
		{"move to another URL", update(publish.Change{Links: &publish.Links{Base: "http://b.example", Announce: [][]string{{"http://b.example/announce"}}, WebSeeds: []string{"http://b.example/w/a"},
			Magnet: "magnet:?xt=urn:btih:02", TwinMagnet: "magnet:?xt=urn:btih:03", Torrents: publish.Torrents{Main: []byte("d1:a0:e"), Twin: []byte("d1:b0:e")}}})},
		{"sign", update(publish.Change{Signatures: &publish.Signatures{PublicKey: "RWQ", Sums: "s", Torrent: "t", Twin: "w"}})},
		{"sums", func() error {
			return c.SetSums(ctx, "a~1", publishtest.Release("a", "1", "", sampleTime).Hash(), make([][32]byte, 2))
		}},
		{"first copy", update(publish.Change{FirstCopy: &took})},
		{"withdraw the newest version", func() error { return c.Delete(ctx, "b~2~x") }},
		{"withdraw", func() error { return c.Delete(ctx, "a~1") }},
		{"publish again", func() error { add(t, c, "a", "1", "", sampleTime.Add(2*time.Hour)); return nil }},
		{"withdraw all", func() error {
			for _, ref := range []string{"a~1", "b~1~x", "b~1~y", "c~1"} {
				if err := c.Delete(ctx, ref); err != nil {
					return err
				}
			}
			return nil
		}},
	} {
		if err := change.do(); err != nil {
			t.Fatalf("%s: %v", change.name, err)
		}
		fresh := siteOf(t, c, swarm)
		for _, path := range sharedPaths {
			want := ask(fresh, "GET", path, "", "").Body.String()
			for range 2 {
				if got := ask(s, "GET", path, "", ""); got.Code != http.StatusOK || got.Body.String() != want {
					t.Errorf("%s: %s: %d %s\nwant %s", change.name, path, got.Code, got.Body, want)
				}
			}
			head := ask(s, "HEAD", path, "", "")
			tag := head.Header().Get("ETag")
			if head.Code != http.StatusOK || head.Body.Len() > 0 || head.Header().Get("Content-Length") != fmt.Sprint(len(want)) || tag == "" {
				t.Errorf("%s: HEAD %s: %d %v, want 200 and %d bytes", change.name, path, head.Code, head.Header(), len(want))
			}
			if got := ask(s, "GET", path, "If-None-Match", tag); got.Code != http.StatusNotModified || got.Body.Len() > 0 {
				t.Errorf("%s: %s with its own tag: %d, want 304", change.name, path, got.Code)
			}
			if old := tags[path]; old != "" && old != tag {
				if got := ask(s, "GET", path, "If-None-Match", old); got.Code != http.StatusOK || got.Body.String() != want {
					t.Errorf("%s: %s with the tag of earlier content: %d, want 200", change.name, path, got.Code)
				}
			}
			tags[path] = tag
		}
	}
}

// TestSharedDocumentsFollowTheNumbers checks that a document is made again if the numbers in it
// have changed, and only then.
func TestSharedDocumentsFollowTheNumbers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, c, swarm := newShared(t)
		r := add(t, c, "a", "1", "", sampleTime)
		for _, path := range []string{"/", "/index.json", "/index.json?all=1"} {
			first := ask(s, "GET", path, "", "").Body.String()
			made := c.lists
			for range 5 {
				time.Sleep(s.opts.Tick)
				if got := ask(s, "GET", path, "", "").Body.String(); got != first {
					t.Errorf("%s changed without a reason", path)
				}
			}
			if c.lists != made {
				t.Errorf("%s was made %d times again without a change", path, c.lists-made)
			}
			for _, change := range []func(){
				func() { swarm.Leechers++ },
				func() { swarm.Seeders++ },
				func() { c.Count(t.Context(), r.Hash(), time.Now(), publish.Counts{Direct: 1}) },
			} {
				change()
				time.Sleep(s.opts.Tick)
				made = c.lists
				got := ask(s, "GET", path, "", "").Body.String()
				if c.lists != made+1 {
					t.Errorf("%s was not made again after its numbers had changed", path)
				}
				if want := ask(siteOf(t, c, swarm), "GET", path, "", "").Body.String(); got != want {
					t.Errorf("%s with new numbers is\n%s\nwant\n%s", path, got, want)
				}
			}
		}
	})
}

// TestRequestsShareDocuments checks that many requests at the same time cause one rendering, and
// that each document is kept by its query and its base URL.
func TestRequestsShareDocuments(t *testing.T) {
	t.Parallel()
	for _, path := range sharedPaths {
		synctest.Test(t, func(t *testing.T) {
			s, c, _ := newShared(t)
			add(t, c, "a", "1", "", sampleTime)
			c.held = make(chan struct{})
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					if got := ask(s, "GET", path, "", ""); got.Code != http.StatusOK {
						t.Errorf("%s: %d", path, got.Code)
					}
				})
			}
			synctest.Wait()
			gone, leave := context.WithCancel(t.Context())
			leave()
			left := httptest.NewRequestWithContext(gone, "GET", path, nil)
			left.Host = "127.0.0.1:6969"
			s.ServeHTTP(httptest.NewRecorder(), left) // does not wait for the document
			close(c.held)
			wg.Wait()
			c.held = nil
			if c.lists != 1 {
				t.Errorf("%s: 8 requests made the document %d times, want once", path, c.lists)
			}
			other := httptest.NewRequest("GET", path, nil)
			other.Host = "192.0.2.7"
			s.ServeHTTP(httptest.NewRecorder(), other)
			if c.lists != 2 {
				t.Errorf("%s: a request for another base URL shared the document", path)
			}
		})
	}
}

// TestSearchesAreNotKept checks that a search does not take the place of a document.
func TestSearchesAreNotKept(t *testing.T) {
	t.Parallel()
	s, _, _ := newShared(t)
	ask(s, "GET", "/", "", "")
	for i := range 3 * maxDocuments {
		ask(s, "GET", fmt.Sprint("/?q=", i), "", "")
		ask(s, "GET", fmt.Sprint("/index.json?q=", i), "", "")
	}
	if n := len(s.shared.by); n != 1 {
		t.Errorf("the site keeps %d documents, want only the index", n)
	}
}

// TestDocumentsAreBounded checks both limits of the documents that a site keeps, and that it
// keeps those that were requested last.
func TestDocumentsAreBounded(t *testing.T) {
	t.Parallel()
	var d documents
	key := func(i int) documentKey { return documentKey{path: fmt.Sprint(i)} }
	for i := range 3 * maxDocuments {
		d.sized(key(i), d.slot(key(i)), 1)
		d.slot(key(0)) // stays because it is requested
	}
	if len(d.by) != maxDocuments || d.bytes != maxDocuments || d.by[key(0)] == nil || d.by[key(1)] != nil || d.by[key(3*maxDocuments-1)] == nil {
		t.Errorf("%d documents of %d bytes are kept, want the %d that were requested last", len(d.by), d.bytes, maxDocuments)
	}
	for i := range 5 {
		d.sized(key(i), d.slot(key(i)), maxDocumentBytes/3)
	}
	if d.bytes > maxDocumentBytes || d.by[key(4)] == nil || d.by[key(1)] != nil {
		t.Errorf("documents of %d bytes are kept, want at most %d", d.bytes, maxDocumentBytes)
	}
	d.sized(key(9), d.slot(key(9)), maxDocumentBytes+1)
	if d.bytes > maxDocumentBytes || d.by[key(9)] != nil {
		t.Error("a document that is too large is kept")
	}
	dropped := d.slot(key(4))
	delete(d.by, key(4))
	had := d.bytes
	d.sized(key(4), dropped, 5)
	if d.bytes != had {
		t.Error("the size of a dropped document is counted")
	}
}

// TestDocumentAfterAPanic checks that a request that panics does not block later requests for the
// same document.
func TestDocumentAfterAPanic(t *testing.T) {
	f := newFixture(t, Options{})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ask := func(render renderer) (answer *httptest.ResponseRecorder) {
		answer = httptest.NewRecorder()
		defer func() { recover() }()
		f.share(answer, httptest.NewRequestWithContext(ctx, "GET", "/feed.xml", nil), "text/plain", publish.Query{}, render)
		return answer
	}
	ask(func(*http.Request, numbersOf) ([]byte, error) { panic("a fault of a template function") })
	answer := ask(func(*http.Request, numbersOf) ([]byte, error) { return []byte("the document"), nil })
	if got := answer.Body.String(); got != "the document" {
		t.Errorf("the answer after a panic is %q, want the document", got)
	}
}
