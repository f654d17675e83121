package site

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
	"time"

	"spate/publish"
	"spate/storage"
)

// usedMessages returns the messages of the templates and of the Go files: the arguments of t, th and fail,
// and the texts that the pages pass to t by a variable.
func usedMessages(t *testing.T) map[string]bool {
	t.Helper()
	used := map[string]bool{}
	for m := time.January; m <= time.December; m++ {
		used[m.String()] = true
	}
	for _, text := range machines {
		if strings.Contains(text, " ") && !strings.HasPrefix(text, "IBM") { // the others are names
			used[text] = true
		}
	}
	for _, err := range []error{publish.ErrChanged, publish.ErrGone, storage.ErrMissing, fs.ErrPermission} {
		used[publish.State{Err: err}.Problem()] = true
	}
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
			c, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			f, ok := c.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			for _, i := range map[string][]int{"t": {0}, "th": {0}, "fail": {3, 4}}[f.Sel.Name] {
				if text, ok := c.Args[i].(*ast.BasicLit); ok {
					if key, _ := strconv.Unquote(text.Value); key != "%d" { // a number alone
						used[key] = true
					}
				}
			}
			return true
		})
	}
	return used
}

// counted matches a number before a noun in the plural.
var counted = regexp.MustCompile(`%d (?:complete )?[a-z][a-z-]*s\b`)

// placeholders returns the placeholders of a message with the numbers of their values, sorted.
func placeholders(text string) []string {
	var out []string
	next := 1
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

// TestMessages checks that each message of the pages has a translation in each language, that the
// placeholders of a translation are those of the message, that no translation is left over, and that
// no message has characters that are special in HTML.
func TestMessages(t *testing.T) {
	t.Parallel()
	used := usedMessages(t)
	if len(used) < 150 {
		t.Fatalf("only %d messages were found", len(used))
	}
	words, err := loadLocales()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range words.list {
		data, err := messageFiles.ReadFile("messages/" + l.code + ".json")
		if err != nil {
			t.Fatal(err)
		}
		var all map[string]any
		if err := json.Unmarshal(data, &all); err != nil {
			t.Fatal(err)
		}
		for key, value := range all {
			if !used[key] {
				t.Errorf("%s: no page has the message %q", l.name, key)
			}
			texts := map[string]any{"": value}
			if forms, ok := value.(map[string]any); ok {
				texts = forms
				if _, one := forms["one"]; one == (l.code == "zh") || forms["other"] == nil {
					t.Errorf("%s: %q has the plural forms %v", l.name, key, forms)
				}
			}
			for form, text := range texts {
				if text := text.(string); text == "" || !slices.Equal(placeholders(text), placeholders(key)) || strings.ContainsAny(text, `<>&"`) {
					t.Errorf("%s: the translation %q (%s) of %q is empty, or has other placeholders or special characters", l.name, text, form, key)
				}
			}
		}
		for key := range used {
			if _, ok := all[key]; !ok && (!l.english() || strings.HasPrefix(key, "date: ")) {
				t.Errorf("%s: no translation of %q", l.name, key)
			} else if !ok && counted.MatchString(key) {
				t.Errorf("English: no plural forms of %q", key)
			}
		}
	}
}
