package spate_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// counted matches a number before a noun in the plural, in a format string.
var counted = regexp.MustCompile(`%d (?:of them )?([a-z][a-z-]*s)\b|%s (seeds|leechers|peers|files|pieces|bytes|trackers|torrents|downloads|copies|releases|entries)\b`)

// notNouns are the words that look like nouns in the plural.
var notNouns = []string{"is", "has", "was", "does", "instead"}

// miscounts returns the nouns that read wrong for 1 in the string literals of a file. It leaves out
// the messages of pages, which are the arguments of the methods T and HTML: package langtest checks that
// they have plural forms.
func miscounts(f *ast.File) (found []*ast.BasicLit) {
	messages := map[*ast.BasicLit]bool{}
	ast.Inspect(f, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok && len(call.Args) > 0 {
			if f, ok := call.Fun.(*ast.SelectorExpr); ok && (f.Sel.Name == "T" || f.Sel.Name == "HTML") {
				lit, _ := call.Args[0].(*ast.BasicLit)
				messages[lit] = true
			}
			return true
		}
		lit, ok := n.(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING || messages[lit] {
			return true
		}
		for _, m := range counted.FindAllStringSubmatch(lit.Value, -1) {
			if !slices.Contains(notNouns, m[1]+m[2]) {
				found = append(found, lit)
			}
		}
		return true
	})
	return found
}

// TestPlurals checks that no text of the program has a number before a noun in the plural, because
// it would read "1 files". units.Plural and units.PartOf write such counts.
func TestPlurals(t *testing.T) {
	t.Parallel()
	developers := []string{"e2e", "bench", "scripts", "packaging", "tools"}
	allowed := map[string]bool{
		"bitfield/bitfield.go":     true, // imports nothing
		"internal/units/format.go": true, // counts more than 100 days
	}
	fset := token.NewFileSet()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || strings.HasSuffix(d.Name(), "test") || slices.Contains(developers, path)):
			return fs.SkipDir
		case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || allowed[filepath.ToSlash(path)]:
			return nil
		}
		f, err := parser.ParseFile(fset, path, nil, 0)
		if err != nil {
			return err
		}
		for _, lit := range miscounts(f) {
			t.Errorf("%s: %s reads wrong for 1: use units.Plural", fset.Position(lit.Pos()), lit.Value)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestMiscounts checks what TestPlurals finds.
func TestMiscounts(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"%d files": 1, "%d of %d pieces": 1, "%d info-hashes": 1, "%d seeds, %d leechers": 2, "more than %d entries": 1,
		"%s bytes": 1, "%d of them seeds": 1,
		`"+x.T("%d files")+"`: 0, `"+x.s("%d files")+"`: 1,
		"%d": 0, "piece %d is bad": 0, "%d has": 0, "%s": 0, "line %d": 0, "%d byte": 0,
	} {
		f, err := parser.ParseFile(token.NewFileSet(), "x.go", `package p; var _ = "`+text+`"`, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := miscounts(f); len(got) != want {
			t.Errorf("%q has %d miscounts, want %d", text, len(got), want)
		}
	}
}
