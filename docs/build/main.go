// Command build writes the documents of the repository as a static site: README.md, the other
// documents beside it, and docs/. The pages need no JavaScript and load nothing from elsewhere.
//
//	go run ./docs/build            # writes dist/docs/index.html and the other pages
//	go run ./docs/build -out DIR
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"spate/internal/units"
)

func main() {
	out := flag.String("out", filepath.Join("dist", "docs"), "directory for the site")
	flag.Parse()
	if err := run(*out); err != nil {
		fmt.Fprintln(os.Stderr, "docs:", err)
		os.Exit(1)
	}
}

// run reads the documents of the module in the current directory and writes the site to out.
func run(out string) error {
	s, err := load(".")
	if err != nil {
		return err
	}
	if err := s.check(); err != nil {
		return err
	}
	n, err := s.write(out)
	if err != nil {
		return err
	}
	fmt.Printf("%s in %s\n", units.Plural(n, "page"), out)
	return nil
}
