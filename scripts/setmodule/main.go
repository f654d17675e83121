// Command setmodule changes the path of this module: in go.mod, in the imports of all Go
// files with any build tags, and in all texts that name a package by its path. It runs from
// any directory of the module. A second run with the same path changes nothing.
package main

import (
	"bytes"
	"fmt"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: scripts/set-module PATH")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "set-module:", err)
		os.Exit(1)
	}
}

func run(path string) error {
	root, old, err := module()
	if err != nil {
		return err
	}
	if err := os.Chdir(root); err != nil {
		return err
	}
	r, err := newRenamer(old, path)
	if err != nil {
		return err
	}
	// Change go.mod last, so that an interrupted run can be repeated. First let go check the
	// new path.
	if err := goMod("edit", "-print", "-module="+path, "go.mod"); err != nil {
		return err
	}
	changed, err := r.tree()
	if err != nil {
		return err
	}
	if err := goMod("edit", "-module="+path+"/tools", "tools/go.mod"); err != nil {
		return err
	}
	if err := goMod("edit", "-module="+path, "go.mod"); err != nil {
		return err
	}
	fmt.Printf("%s is now %s: %d files changed beside go.mod\n", old, path, changed)
	return nil
}

// module returns the directory and the path of the module that contains the current
// directory.
func module() (dir, path string, err error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}\n{{.Path}}").Output()
	dir, path, ok := strings.Cut(strings.TrimSpace(string(out)), "\n")
	if err != nil || !ok {
		return "", "", fmt.Errorf("go list -m names no module: %q, %v", out, err)
	}
	return dir, path, nil
}

func goMod(args ...string) error {
	if out, err := exec.Command("go", append([]string{"mod"}, args...)...).CombinedOutput(); err != nil {
		return fmt.Errorf("go mod %s: %s", strings.Join(args, " "), bytes.TrimSpace(out))
	}
	return nil
}

// renamer replaces one module path by another.
type renamer struct {
	old, new string
	mention  *regexp.Regexp // matches the path of a package of the module in a text
}

// newRenamer returns a renamer for the module in the current directory.
func newRenamer(old, new string) (*renamer, error) {
	entries, err := os.ReadDir(".")
	if err != nil {
		return nil, err
	}
	var dirs []string // the directories at the top of the module
	for _, e := range entries {
		if e.IsDir() && !skipped(e.Name()) {
			dirs = append(dirs, regexp.QuoteMeta(e.Name()))
		}
	}
	// The expression does not match after a character of a path, because a path such as
	// ~/.config/spate/site is not a package.
	mention := `(^|[^\w./~-])` + regexp.QuoteMeta(old) + `/(` + strings.Join(dirs, "|") + `)\b`
	return &renamer{old: old, new: new, mention: regexp.MustCompile(`(?m)` + mention)}, nil
}

// skipped reports whether a directory contains generated or foreign files only.
func skipped(path string) bool {
	switch filepath.ToSlash(path) {
	case "dist", "bench/out":
		return true
	}
	base := filepath.Base(path)
	return base == ".git" || base == "node_modules" || base == "fuzz" && filepath.Base(filepath.Dir(path)) == "testdata"
}

// tree changes the path in all files below the current directory and returns the number of
// changed files.
func (r *renamer) tree() (changed int, err error) {
	err = filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && skipped(path) {
			return fs.SkipDir
		}
		if !d.Type().IsRegular() || d.Name() == "go.mod" || d.Name() == "go.sum" {
			return nil
		}
		was, err := os.ReadFile(path)
		if err != nil || bytes.IndexByte(was, 0) >= 0 {
			return err
		}
		is := was
		if strings.HasSuffix(path, ".go") {
			if is, err = r.imports(path, was); err != nil {
				return err
			}
		}
		is = r.mention.ReplaceAll(is, []byte("${1}"+r.new+"/${2}"))
		if bytes.Equal(was, is) {
			return nil
		}
		changed++
		return os.WriteFile(path, is, 0o666)
	})
	return changed, err
}

// imports changes the path in the imports of a Go file, and sorts them.
func (r *renamer) imports(path string, src []byte) ([]byte, error) {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, path, src, parser.ImportsOnly)
	if err != nil {
		return nil, err
	}
	out := src
	for _, spec := range slices.Backward(f.Imports) {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, err
		}
		rest, ok := strings.CutPrefix(name, r.old)
		if !ok || rest != "" && rest[0] != '/' {
			continue
		}
		at := fset.Position(spec.Path.Pos()).Offset
		out = slices.Concat(out[:at], []byte(strconv.Quote(r.new+rest)), out[at+len(spec.Path.Value):])
	}
	if bytes.Equal(out, src) {
		return src, nil
	}
	return format.Source(out)
}
