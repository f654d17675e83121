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

// rows is the import table of ARCHITECTURE.md: a package may import packages of
// lower rows, and those of its own row that are named in edges. A package that
// is not listed takes the row of its nearest listed parent; "." is the root.
var rows = map[string]int{
	".": 0, "bencode": 0, "bitfield": 0, "merkle": 0, "internal": 0,
	"metainfo": 1, "tracker": 1, "tracker/wire": 1, "peerwire": 1, "signature": 1,
	"lsd": 2, "maker": 2, "storage": 2, "tracker/trackerclient": 2, "tracker/swarm": 2,
	"torrent": 3, "tracker/trackerserver": 3,
	"publish": 4, "site": 4,
	"internal/cli": 5, "internal/legacy": 5, "cmd": 6,
	"e2e": 7, "bench": 7, "packaging": 7, "scripts": 7,
}

// edges are the imports inside one row that are meant.
var edges = map[[2]string]bool{
	{"bencode", "."}:                    true,
	{"tracker/wire", "tracker"}:         true,
	{"tracker/swarm", "tracker/swarm"}:  true,
	{"site", "publish"}:                 true,
	{"internal/cli", "internal/legacy"}: true,
}

// listed returns the entry of rows that covers the package at path.
func listed(path string) string {
	for p := path; p != "."; p = filepath.Dir(p) {
		if _, ok := rows[p]; ok {
			return p
		}
	}
	return "."
}

// modulePath returns the module path in go.mod.
func modulePath(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^module (\S+)$`).FindSubmatch(text)
	if m == nil {
		t.Fatal("go.mod names no module")
	}
	return string(m[1])
}

func TestImportsGoDownOnly(t *testing.T) {
	module := modulePath(t)
	fset := token.NewFileSet()
	documented := map[string]bool{}
	imports := 0
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
		pkg := filepath.ToSlash(filepath.Dir(path))
		documented[pkg] = documented[pkg] || f.Doc != nil
		for _, imp := range f.Imports {
			to, ok := strings.CutPrefix(strings.Trim(imp.Path.Value, `"`)+"/", module+"/")
			if !ok {
				continue
			}
			imports++
			to = filepath.ToSlash(filepath.Clean(to))
			a, b := listed(pkg), listed(to)
			if a == b || rows[b] < rows[a] || edges[[2]string{a, b}] || b == "." || rows[b] == 0 && b != "internal" {
				continue
			}
			if b == "internal" && rows[a] == 0 {
				continue // helpers of the lowest row
			}
			t.Errorf("%s imports %s: row %d may not import row %d", pkg, to, rows[a], rows[b])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if imports == 0 {
		t.Error("no package imports another one of this module: the test looks for the wrong path")
	}
	for pkg, ok := range documented {
		if !ok {
			t.Errorf("package %s has no doc comment", pkg)
		}
	}
}

// TestNoReplace protects go install MODULE/cmd/spate@VERSION, which refuses a
// module whose go.mod replaces or excludes others.
func TestNoReplace(t *testing.T) {
	text, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if line := regexp.MustCompile(`(?m)^(replace|exclude)\b.*`).Find(text); line != nil {
		t.Errorf("go.mod: %s: go install refuses it; require a version instead", line)
	}
}

// TestDocs: the links in the documents lead to files, and the Go files that they
// name are there: from the root on, or those of the engine.
func TestDocs(t *testing.T) {
	link, source := regexp.MustCompile(`\]\(([^():#]+)[)#]`), regexp.MustCompile("`([a-z_/]+\\.go)`")
	docs, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, doc := range append(docs, "README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md") {
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
