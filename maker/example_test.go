package maker_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"spate/maker"
	"spate/metainfo"
)

// ExampleMake makes a torrent of a file and encodes it.
func ExampleMake() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "hello.txt")
	if err := os.WriteFile(path, []byte("hello, world\n"), 0o644); err != nil {
		panic(err)
	}

	m, err := maker.Make(context.Background(), path, maker.Options{
		Announce: [][]string{{"http://tracker.example.org:6969/announce"}},
		Format:   metainfo.V1,
	})
	if err != nil {
		panic(err)
	}
	b, err := m.Bytes() // the contents of hello.txt.torrent
	if err != nil {
		panic(err)
	}
	hash, _ := m.HashV1()
	fmt.Println(m.Info.Name, m.Info.NumPieces(), hash, len(b) > 0)
	// Output:
	// hello.txt 1 b46e98d0bb72890c143723d35b5d7d27b0e6835f true
}

// ExampleVerify checks data against a torrent.
func ExampleVerify() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "data")
	if err := os.WriteFile(path, make([]byte, 100_000), 0o644); err != nil {
		panic(err)
	}
	m, err := maker.Make(context.Background(), path, maker.Options{PieceLength: 32 << 10})
	if err != nil {
		panic(err)
	}
	if err := os.Truncate(path, 70_000); err != nil {
		panic(err)
	}

	r, err := maker.Verify(context.Background(), m, path, maker.VerifyOptions{})
	if err != nil {
		panic(err)
	}
	fmt.Printf("%d of %d pieces are good\n", r.Good, r.Pieces)
	for _, f := range r.Files {
		fmt.Println(f.Path, "is", f.State, f.Damaged)
	}
	// Output:
	// 2 of 4 pieces are good
	// data is damaged [65536-99999]
}

func ExamplePieceLength() {
	fmt.Println(maker.PieceLength(700<<20, false)>>10, "KiB")
	fmt.Println(maker.PieceLength(50<<30, true)>>10, "KiB, for browsers")
	// Output:
	// 512 KiB
	// 4096 KiB, for browsers
}
