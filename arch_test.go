package spate_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// rows gives the row of each package in the import table of ARCHITECTURE.md. A package
// may import packages of lower rows. Imports between different entries of one row must
// be listed in edges. A package that is not listed has the row of its nearest listed
// parent.
var rows = map[string]int{
	"spate": 0, "spate/bencode": 0, "spate/bitfield": 0, "spate/merkle": 0, "spate/internal": 0,
	"spate/metainfo": 1, "spate/tracker": 1, "spate/tracker/wire": 1, "spate/peerwire": 1, "spate/signature": 1,
	"spate/lsd": 2, "spate/maker": 2, "spate/storage": 2, "spate/tracker/trackerclient": 2, "spate/tracker/swarm": 2,
	"spate/torrent": 3, "spate/tracker/trackerserver": 3,
	"spate/publish": 4, "spate/site": 4,
	"spate/internal/cli": 5, "spate/internal/legacy": 5, "spate/cmd": 6,
	"spate/e2e": 7, "spate/bench": 7, "spate/packaging": 7,
}

// edges lists the imports that are allowed between entries of one row.
var edges = map[[2]string]bool{
	{"spate/bencode", "spate"}:                      true,
	{"spate/tracker/wire", "spate/tracker"}:         true,
	{"spate/tracker/swarm", "spate/tracker/swarm"}:  true,
	{"spate/site", "spate/publish"}:                 true,
	{"spate/internal/cli", "spate/internal/legacy"}: true,
}

// listed returns the entry of rows that covers the package at path.
func listed(path string) string {
	for p := path; p != "."; p = filepath.Dir(p) {
		if _, ok := rows[p]; ok {
			return p
		}
	}
	return "spate"
}

func TestImportsGoDownOnly(t *testing.T) {
	fset := token.NewFileSet()
	documented := map[string]bool{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); name != "." && (strings.HasPrefix(name, ".") || name == "testdata" || name == "tools") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(fset, path, nil, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		pkg := filepath.ToSlash(filepath.Join("spate", filepath.Dir(path)))
		documented[pkg] = documented[pkg] || f.Doc != nil
		for _, imp := range f.Imports {
			to := strings.Trim(imp.Path.Value, `"`)
			if to != "spate" && !strings.HasPrefix(to, "spate/") {
				continue
			}
			a, b := listed(pkg), listed(to)
			if a == b || rows[b] < rows[a] || edges[[2]string{a, b}] || b == "spate" || rows[b] == 0 && b != "spate/internal" {
				continue
			}
			if b == "spate/internal" && rows[a] == 0 {
				continue // packages of row 0 may use internal helpers
			}
			t.Errorf("%s imports %s: row %d may not import row %d", pkg, to, rows[a], rows[b])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for pkg, ok := range documented {
		if !ok {
			t.Errorf("package %s has no doc comment", pkg)
		}
	}
}

// TestDocs checks that the links in the documents lead to files, and that the Go files
// they name exist in the root of the module or in the folder torrent.
func TestDocs(t *testing.T) {
	link, source := regexp.MustCompile(`\]\(([^():#]+)[)#]`), regexp.MustCompile("`([a-z_/]+\\.go)`")
	docs, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, doc := range append(docs, "README.md", "ARCHITECTURE.md", "CONTRIBUTING.md") {
		text, err := os.ReadFile(doc)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(doc), string(m[1]))); err != nil {
				t.Errorf("%s: %v", doc, err)
			}
		}
		for _, m := range source.FindAllSubmatch(text, -1) {
			_, err := os.Stat(string(m[1]))
			if _, engine := os.Stat(filepath.Join("torrent", string(m[1]))); err != nil && engine != nil {
				t.Errorf("%s: %v", doc, err)
			}
		}
	}
}
