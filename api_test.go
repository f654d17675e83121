package spate_test

import (
	"bytes"
	"flag"
	"go/ast"
	"go/build"
	"go/doc"
	"go/parser"
	"go/printer"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the listings of the exported API into api/")

// TestAPI compares the exported API of each public package with its listing in api/, so that
// the API does not change by accident.
func TestAPI(t *testing.T) {
	old, err := filepath.Glob("api/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	gone := map[string]bool{}
	for _, file := range old {
		gone[filepath.ToSlash(file)] = true
	}
	for _, dir := range publicPackages(t) {
		file := "api/" + strings.ReplaceAll(dir, "/", ".") + ".txt"
		if dir == "." {
			file = "api/spate.txt"
		}
		delete(gone, file)
		is := exported(t, dir)
		if *update {
			if err := os.WriteFile(file, is, 0o666); err != nil {
				t.Fatal(err)
			}
			continue
		}
		was, err := os.ReadFile(file)
		if err != nil || !bytes.Equal(was, is) {
			t.Errorf("the exported API of %s differs from %s:\n%s", dir, file, differences(was, is))
		}
	}
	for file := range gone {
		if *update {
			os.Remove(file)
		} else {
			t.Errorf("%s lists a package that does not exist", file)
		}
	}
	if t.Failed() {
		t.Log("If you want this change, run go test -run TestAPI -update . and commit api/ too. Mention changes that break other programs in CHANGELOG.md.")
	}
}

// publicPackages returns the directories of the packages that other modules may import.
func publicPackages(t *testing.T) (dirs []string) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		switch name := d.Name(); {
		case strings.HasPrefix(name, ".") && name != ".", name == "internal", name == "testdata", name == "node_modules":
			return fs.SkipDir
		}
		switch path {
		case "bench", "cmd", "dist", "docs", "e2e", "packaging", "scripts", "tools":
			return fs.SkipDir
		}
		if files, _ := filepath.Glob(filepath.Join(path, "*.go")); len(files) > 0 {
			dirs = append(dirs, filepath.ToSlash(path))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return dirs
}

// exported returns the exported declarations of a package on Linux, without comments.
func exported(t *testing.T, dir string) []byte {
	t.Helper()
	linux := build.Default
	linux.GOOS, linux.GOARCH, linux.CgoEnabled = "linux", "amd64", false
	pkg, err := linux.ImportDir(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	fset := token.NewFileSet()
	var files []*ast.File
	for _, name := range pkg.GoFiles {
		f, err := parser.ParseFile(fset, filepath.Join(dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	p, err := doc.NewFromFiles(fset, files, dir)
	if err != nil {
		t.Fatal(err)
	}
	l := listing{fset: fset}
	l.values(p.Consts)
	l.values(p.Vars)
	l.funcs(p.Funcs)
	for _, typ := range p.Types {
		l.add(typ.Decl)
		l.values(typ.Consts)
		l.values(typ.Vars)
		l.funcs(typ.Funcs)
		l.funcs(typ.Methods)
	}
	return l.out.Bytes()
}

// listing collects declarations as text.
type listing struct {
	fset *token.FileSet
	out  bytes.Buffer
}

func (l *listing) values(all []*doc.Value) {
	for _, v := range all {
		l.add(v.Decl)
	}
}

func (l *listing) funcs(all []*doc.Func) {
	for _, f := range all {
		l.add(f.Decl)
	}
}

var emptyLines = regexp.MustCompile(`\n\s*\n`)

// add appends a declaration without comments and empty lines.
func (l *listing) add(decl ast.Decl) {
	var b bytes.Buffer
	raw := printer.Config{Mode: printer.RawFormat}
	if err := raw.Fprint(&b, l.fset, decl); err != nil {
		panic(err)
	}
	l.out.Write(emptyLines.ReplaceAll(b.Bytes(), []byte("\n")))
	l.out.WriteByte('\n')
}

// differences returns the lines that only one of the two texts contains.
func differences(was, is []byte) string {
	var out strings.Builder
	only := func(mark string, text, other []byte) {
		has := map[string]bool{}
		for line := range strings.Lines(string(other)) {
			has[line] = true
		}
		for line := range strings.Lines(string(text)) {
			if !has[line] {
				out.WriteString(mark + line)
			}
		}
	}
	only("- ", was, is)
	only("+ ", is, was)
	if out.Len() == 0 {
		return "(only the order of the lines differs)\n"
	}
	return out.String()
}
