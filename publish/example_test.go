package publish_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"spate"
	"spate/maker"
	"spate/metainfo"
	"spate/publish"
)

// seeder only prints what it is asked to seed. A program passes the torrents to a session of
// package torrent.
type seeder struct{}

func (seeder) Seed(_ context.Context, m *metainfo.MetaInfo, path string, verified bool) error {
	fmt.Println("seed", m.Info.Name, "from", filepath.Base(path), "without a check:", verified)
	return nil
}

func (seeder) Unseed(context.Context, spate.InfoHash) error {
	fmt.Println("stop seeding")
	return nil
}

// Publish a file, list it and withdraw it.
func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "game-1.0.iso")
	if err := os.WriteFile(path, []byte("level 1"), 0o666); err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	catalog := publish.NewMemory() // or catalogdb.Open
	p, err := publish.New(publish.MakerFunc(maker.Make), seeder{}, publish.Options{Catalog: catalog})
	if err != nil {
		log.Fatal(err)
	}
	r, err := p.Publish(ctx, path, publish.Spec{Slug: "game", Version: "1.0"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(r.Ref(), r.Size, "bytes, page", publish.PagePath(r.LatestRef()))
	newest, err := catalog.Get(ctx, "game")
	fmt.Println(newest.Version, err)
	if err := p.Withdraw(ctx, r.Ref()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// seed game-1.0.iso from game-1.0.iso without a check: true
	// game~1.0 7 bytes, page /r/game
	// 1.0 <nil>
	// stop seeding
}

// Recognize the versions and variants in the names of files.
func ExampleParseNamePattern() {
	p, err := publish.ParseNamePattern(`(?<release>.+)-(?<version>[0-9.]+)-(?<variant>[a-z]+)[.]zip`)
	if err != nil {
		log.Fatal(err)
	}
	ref, ok := p.Match("game-1.1-linux.zip")
	fmt.Println(ref, ok)
	_, ok = p.Match("readme.txt")
	fmt.Println(ok)
	// Output:
	// game~1.1~linux true
	// false
}
