package spate_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestConditionsStandAlone checks the statement in front of a condition: it must either
// declare variables or set a variable that the condition tests, as in "if err = f(); err !=
// nil". Any other statement belongs on its own line, where it is easier to see.
func TestConditionsStandAlone(t *testing.T) {
	fset := token.NewFileSet()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata") {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") {
			return nil
		}
		f, err := parser.ParseFile(fset, path, nil, 0)
		if err != nil {
			return err
		}
		for _, pos := range hiddenStatements(f) {
			t.Errorf("%s: move the statement before the condition to a line of its own", fset.Position(pos))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// hiddenStatements returns the positions of statements in front of conditions that do not
// use the variables that the statements set.
func hiddenStatements(f *ast.File) (found []token.Pos) {
	check := func(init ast.Stmt, cond ast.Expr) {
		switch s := init.(type) {
		case *ast.IncDecStmt, *ast.ExprStmt:
			found = append(found, s.Pos())
		case *ast.AssignStmt:
			if s.Tok != token.DEFINE && !slices.ContainsFunc(s.Lhs, func(e ast.Expr) bool { return mentions(cond, e) }) {
				found = append(found, s.Pos())
			}
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch s := n.(type) {
		case *ast.IfStmt:
			check(s.Init, s.Cond)
		case *ast.SwitchStmt:
			check(s.Init, s.Tag)
		}
		return true
	})
	return found
}

// mentions reports whether cond uses the variable or field e.
func mentions(cond, e ast.Expr) (yes bool) {
	if cond == nil {
		return true // the cases of a switch are its conditions
	}
	want := expr(e)
	ast.Inspect(cond, func(n ast.Node) bool {
		if x, ok := n.(ast.Expr); ok && expr(x) == want {
			yes = true
		}
		return !yes
	})
	return yes
}

// expr returns the source text of a variable or a chain of fields, or "" for other
// expressions.
func expr(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		if x := expr(e.X); x != "" {
			return x + "." + e.Sel.Name
		}
	}
	return ""
}

// TestHiddenStatements checks that TestConditionsStandAlone can fail.
func TestHiddenStatements(t *testing.T) {
	for body, want := range map[string]int{
		`if n++; m > 0 {}`:                1,
		`if f(); m > 0 {}`:                1,
		`if m = 1; n > 0 {}`:              1,
		`if x.m = 1; n > 0 {}`:            1,
		`switch n++; m {}`:                1,
		`if err = f(); err != nil {}`:     0,
		`if x.err = f(); x.err != nil {}`: 0,
		`if n := f(); n > 0 {}`:           0,
		`if n, err = f(); err != nil {}`:  0,
		`if m > 0 {}`:                     0,
	} {
		f, err := parser.ParseFile(token.NewFileSet(), "x.go", "package p; func _() { "+body+" }", 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := hiddenStatements(f); len(got) != want {
			t.Errorf("%s: %d hidden statements, want %d", body, len(got), want)
		}
	}
}
