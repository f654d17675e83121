package site

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"

	"spate"
	"spate/publish"
)

// TestManyAtOnce lets the race detector find races: it sends all kinds of requests while
// releases are published and withdrawn.
func TestManyAtOnce(t *testing.T) {
	f := newFixture(t, Options{Swarm: func(spate.InfoHash) (Swarm, bool) { return Swarm{1, 2, 3}, true }})
	for i := range 5 {
		f.release(t, fmt.Sprintf("%d.iso", i), 3<<20)
	}
	path := sparse(t, 10, f.dir, "comes-and-goes")
	ts := httptest.NewServer(f)
	defer ts.Close()
	defer f.Close()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 20 {
				for _, path := range []string{"/", "/r/%d.iso", "/t/%d.iso.torrent", "/d/%d.iso", "/m/%d.iso.meta4", "/feed.xml", "/r/comes-and-goes", "/d/comes-and-goes"} {
					if filepath.Ext(path) == ".iso" || filepath.Ext(path) == ".torrent" || filepath.Ext(path) == ".meta4" {
						path = fmt.Sprintf(path, (i+j)%5)
					}
					resp, err := http.Get(ts.URL + path)
					if err != nil {
						t.Errorf("request: %v", err)
						return
					}
					io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
					if resp.StatusCode >= 500 {
						t.Errorf("%s: the response is %s", path, resp.Status)
					}
				}
			}
		})
	}
	wg.Go(func() {
		for range 100 {
			rel := sample(t, f.catalog, path, nil)
			f.catalog.SetSums(context.Background(), rel.Ref(), rel.Hash(), make([][32]byte, 1))
			if err := f.catalog.Delete(context.Background(), rel.Ref()); err != nil {
				t.Errorf("Delete: %v", err)
			}
		}
	})
	wg.Wait()
	ts.Close() // Close waits for all requests
	if n := f.Sent(mustGet(t, f.catalog, "0.iso").Hash()); n != 32*(3<<20) {
		t.Errorf("Sent is %d, want 96 MiB", n)
	}
	if n := f.downloads.counts().Held; n != 0 {
		t.Errorf("%d downloads still use a slot, want none", n)
	}
}

func mustGet(t *testing.T, c publish.Catalog, name string) *publish.Release {
	t.Helper()
	r, err := c.Get(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
