package catalogdb_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"spate/publish"
	"spate/publish/catalogdb"
	"spate/publish/publishtest"
)

// Store a release so that the next start of the program knows it.
func ExampleOpen() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ctx, at := context.Background(), time.Unix(1_800_000_000, 0)
	db, warnings, err := catalogdb.Open(ctx, dir, at)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(warnings), "warnings")
	// A program gets the release from publish.Publisher, which writes it to the catalog itself.
	r := publishtest.Release("debian", "12.4", "amd64", at)
	if err := db.Put(ctx, r, publish.Torrents{Main: []byte("de")}); err != nil {
		log.Fatal(err)
	}
	if err := db.Close(); err != nil {
		log.Fatal(err)
	}

	again, _, err := catalogdb.Open(ctx, dir, at)
	if err != nil {
		log.Fatal(err)
	}
	defer again.Close()
	found, err := again.Get(ctx, "debian")
	fmt.Println(found.Ref(), err)
	// Output:
	// 0 warnings
	// debian~12.4~amd64 <nil>
}
