package site_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"

	"spate"
	"spate/maker"
	"spate/metainfo"
	"spate/publish"
	"spate/site"
)

// unseeded is a seeder that seeds nothing, so that the example needs no session.
type unseeded struct{}

func (unseeded) Seed(context.Context, *metainfo.MetaInfo, string, bool) error { return nil }
func (unseeded) Unseed(context.Context, spate.InfoHash) error                 { return nil }

// Serve the pages of a publisher. A program passes the site to http.Serve.
func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "debian.iso")
	if err := os.WriteFile(path, []byte("the data"), 0o666); err != nil {
		log.Fatal(err)
	}
	base := &url.URL{Scheme: "https", Host: "files.example.org"}
	catalog := publish.NewMemory()
	p, err := publish.New(publish.MakerFunc(maker.Make), unseeded{}, publish.Options{Catalog: catalog, BaseURL: base})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := p.Publish(context.Background(), path, publish.Spec{}); err != nil {
		log.Fatal(err)
	}

	s, err := site.New(catalog, site.Options{Title: "Example", BaseURL: base})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	get := func(path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest("GET", "https://files.example.org"+path, nil))
		return w
	}
	fmt.Println(get("/r/debian.iso").Code, get("/d/debian.iso").Body)
	var release publish.ReleaseInfo
	if err := json.Unmarshal(get("/r/debian.iso/release.json").Body.Bytes(), &release); err != nil {
		log.Fatal(err)
	}
	fmt.Println(release.TorrentURL)
	// Output:
	// 200 the data
	// https://files.example.org/t/debian.iso.torrent
}
