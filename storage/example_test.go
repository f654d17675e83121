package storage_test

import (
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"spate/storage"
)

// Write to the files of a torrent as to one sequence of bytes.
func ExampleOpenLayout() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	layout, err := storage.NewLayout([]storage.File{
		{Path: "photos/a.txt", Length: 5},
		{Path: "photos/b.txt", Length: 6, Offset: 5},
	})
	if err != nil {
		log.Fatal(err)
	}
	pool := storage.NewPool(100) // bounds the open files of all torrents
	defer pool.Close()
	d, err := storage.OpenLayout(dir, layout, pool, storage.DirOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer d.Close()
	if _, err := d.WriteAt([]byte("helloworld!"), 0); err != nil {
		log.Fatal(err)
	}
	for e := range layout.Extents(3, 4) {
		fmt.Printf("bytes %d to %d of %s\n", e.Offset, e.Offset+e.Length-1, layout.Files()[e.File].Path)
	}
	b, err := os.ReadFile(filepath.Join(dir, "photos", "b.txt"))
	fmt.Printf("%s %v\n", b, err)
	// Output:
	// bytes 3 to 4 of photos/a.txt
	// bytes 0 to 1 of photos/b.txt
	// world! <nil>
}

// Errors name the path and the reason.
func ExampleError() {
	layout, err := storage.NewLayout([]storage.File{{Path: "film.mp4", Length: 5}})
	if err != nil {
		log.Fatal(err)
	}
	pool := storage.NewPool(100)
	defer pool.Close()
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	d, err := storage.OpenLayout(dir, layout, pool, storage.DirOptions{ReadOnly: true})
	if err != nil {
		log.Fatal(err)
	}
	defer d.Close()
	_, err = d.ReadAt(make([]byte, 5), 0)
	var e *storage.Error
	if errors.As(err, &e) {
		fmt.Println(filepath.Base(e.Path), e.File, errors.Is(err, storage.ErrMissing))
	}
	// Output: film.mp4 0 true
}
