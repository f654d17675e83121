// Package langtest tests the translations of the pages of a package.
package langtest

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"spate/internal/lang"
)

// Used returns the messages of the package in the current directory: the texts that its templates pass to
// t and th, and that its Go files pass to the methods T and HTML and to the functions of more, each with the
// positions of the arguments that are messages.
func Used(t *testing.T, more map[string][]int) map[string]bool {
	t.Helper()
	used := map[string]bool{}
	call := regexp.MustCompile(`[{( ](?:t|th) ("(?:[^"\\]|\\.)*")`)
	pages, _ := filepath.Glob("templates/*.html")
	for _, page := range pages {
		data, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range call.FindAllStringSubmatch(string(data), -1) {
			key, err := strconv.Unquote(m[1])
			if err != nil {
				t.Fatal(err)
			}
			used[key] = true
		}
	}
	sources, _ := filepath.Glob("*.go")
	for _, source := range sources {
		if strings.HasSuffix(source, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), source, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if c, ok := n.(*ast.CallExpr); ok {
				for _, i := range positions(c, more) {
					if text, ok := c.Args[i].(*ast.BasicLit); ok {
						if key, _ := strconv.Unquote(text.Value); key != "%d" { // a number alone
							used[key] = true
						}
					}
				}
			}
			return true
		})
	}
	return used
}

// positions returns the positions of the arguments of a call that are messages.
func positions(c *ast.CallExpr, more map[string][]int) []int {
	switch f := c.Fun.(type) {
	case *ast.SelectorExpr:
		if f.Sel.Name == "T" || f.Sel.Name == "HTML" {
			return []int{0}
		}
		return more[f.Sel.Name]
	case *ast.Ident:
		return more[f.Name]
	}
	return nil
}

// counted matches a number before a noun in the plural.
var counted = regexp.MustCompile(`%d (?:complete )?[a-z][a-z-]*s\b`)

// placeholders returns the placeholders of a message with the numbers of their values, sorted.
func placeholders(text string) []string {
	var out []string
	next := 1
	out = append(out, regexp.MustCompile(`\{\w+\}`).FindAllString(text, -1)...) // a script replaces these
	for _, m := range regexp.MustCompile(`%(?:\[(\d)\])?([a-z%])`).FindAllStringSubmatch(text, -1) {
		if m[1] != "" {
			next, _ = strconv.Atoi(m[1])
		}
		out = append(out, strconv.Itoa(next)+m[2])
		next++
	}
	slices.Sort(out)
	return out
}

// read returns the messages of a language in files.
func read(t *testing.T, files fs.FS, l *lang.Language) map[string]any {
	t.Helper()
	data, err := fs.ReadFile(files, "messages/"+l.Code+".json")
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]any
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// Check checks the messages in files, which [lang.Load] reads, against the used ones: each has a
// translation in each language, there or in [lang.Shared], with the placeholders of the message; no
// translation is left over; and no message has characters that are special in HTML.
func Check(t *testing.T, files fs.FS, used map[string]bool) {
	t.Helper()
	languages, err := lang.Load(files)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range languages.All {
		all := read(t, files, l)
		for key, value := range all {
			if !used[key] {
				t.Errorf("%s: no page has the message %q", l.Name, key)
			}
			checkTexts(t, l, key, value)
		}
		shared := read(t, lang.Shared(), l)
		for key := range used {
			_, own := all[key]
			_, other := shared[key]
			if !own && !other && (!l.English() || strings.HasPrefix(key, "date: ")) {
				t.Errorf("%s: no translation of %q", l.Name, key)
			} else if !own && !other && counted.MatchString(key) {
				t.Errorf("English: no plural forms of %q", key)
			}
		}
	}
}

// checkTexts checks the translations of a message: a text, or texts for plural forms.
func checkTexts(t *testing.T, l *lang.Language, key string, value any) {
	t.Helper()
	texts := map[string]any{"": value}
	if forms, ok := value.(map[string]any); ok {
		texts = forms
		if _, one := forms["one"]; one == (l.Code == "zh") || forms["other"] == nil {
			t.Errorf("%s: %q has the plural forms %v", l.Name, key, forms)
		}
	}
	for form, text := range texts {
		if text := text.(string); text == "" || !slices.Equal(placeholders(text), placeholders(key)) || strings.ContainsAny(text, `<>&"`) {
			t.Errorf("%s: the translation %q (%s) of %q is empty, or has other placeholders or special characters", l.Name, text, form, key)
		}
	}
}
