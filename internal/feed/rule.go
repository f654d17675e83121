package feed

import (
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"unicode"

	"spate/internal/units"
)

// Rule says which items are wanted. The zero Rule wants all.
//
// Words match whole words of the title, whatever their case: "cam" does not match "camera". A word can
// have the wildcards * and ?; several words in one text must follow each other.
type Rule struct {
	All     []string `json:"all,omitempty"`      // the title has all of them
	Any     []string `json:"any,omitempty"`      // the title has one of them
	Not     []string `json:"not,omitempty"`      // the title has none of them
	MinSize int64    `json:"min_size,omitempty"` // bytes of the data; an item without a size is not wanted then
	MaxSize int64    `json:"max_size,omitempty"` // bytes; 0: any
	// Newer wants an item with a version only if no item with the same title, but for the version, had
	// an equal or later one.
	Newer bool `json:"newer,omitempty"`
}

// maxWords bounds the texts of a rule, and maxWord the bytes of one.
const (
	maxWords = 100
	maxWord  = 200
)

// Check returns an error if r is not valid.
func (r *Rule) Check() error {
	if len(r.All)+len(r.Any)+len(r.Not) > maxWords {
		return fmt.Errorf("there are more than %s", units.Plural(maxWords, "word"))
	}
	for _, list := range [][]string{r.All, r.Any, r.Not} {
		for _, text := range list {
			if len(text) > maxWord || len(patternOf(text)) == 0 {
				return fmt.Errorf("%q has no letters, or too many", text)
			}
		}
	}
	if r.MinSize < 0 || r.MaxSize < 0 || r.MaxSize > 0 && r.MaxSize < r.MinSize {
		return errors.New("the sizes are negative, or the largest is below the smallest")
	}
	return nil
}

// Versions are the latest versions of titles, for [Rule].Newer.
type Versions map[string]string

// Wants reports whether an item is wanted and, if not, why.
func (r *Rule) Wants(i *Item, known Versions) (why string, ok bool) {
	words := wordsOf(i.Title)
	for _, text := range r.All {
		if !contains(words, text) {
			return fmt.Sprintf("its title has no %q", text), false
		}
	}
	some := len(r.Any) == 0
	for _, text := range r.Any {
		some = some || contains(words, text)
	}
	if !some {
		return fmt.Sprintf("its title has none of %s", quoted(r.Any)), false
	}
	for _, text := range r.Not {
		if contains(words, text) {
			return fmt.Sprintf("its title has %q", text), false
		}
	}
	switch {
	case (r.MinSize > 0 || r.MaxSize > 0) && i.Size == 0:
		return "the feed does not say its size", false
	case i.Size < r.MinSize:
		return fmt.Sprintf("%s is below %s", units.Bytes(i.Size), units.Bytes(r.MinSize)), false
	case r.MaxSize > 0 && i.Size > r.MaxSize:
		return fmt.Sprintf("%s is above %s", units.Bytes(i.Size), units.Bytes(r.MaxSize)), false
	case i.Source == "":
		return "it names no torrent", false
	}
	if r.Newer {
		if name, version := VersionOf(i.Title); version != "" && known[name] != "" && compareVersions(version, known[name]) <= 0 {
			return fmt.Sprintf("version %s is not newer than %s", version, known[name]), false
		}
	}
	return "", true
}

func quoted(list []string) string {
	var out []string
	for _, s := range list {
		out = append(out, strconv.Quote(s))
	}
	return strings.Join(out, ", ")
}

// wordsOf returns the words of a text in lower case.
func wordsOf(s string) []string {
	return strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) })
}

// patternOf returns the words of a text of a rule, which may have wildcards.
func patternOf(s string) []string {
	return strings.FieldsFunc(strings.ToLower(s), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) && r != '*' && r != '?'
	})
}

// contains reports whether words has the words of text one after the other.
func contains(words []string, text string) bool {
	want := patternOf(text)
	for at := range words {
		if at+len(want) > len(words) {
			break
		}
		all := true
		for k, p := range want {
			if ok, err := path.Match(p, words[at+k]); !ok || err != nil {
				all = false
				break
			}
		}
		if all {
			return true
		}
	}
	return false
}

// VersionOf splits a title into its name in lower case, without the version, and its version: the first
// word that is a number with dots, such as 13.2.0. A title without one has no version.
func VersionOf(title string) (name, version string) {
	var rest []string
	for _, w := range strings.FieldsFunc(strings.ToLower(title), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '.'
	}) {
		w = strings.Trim(w, ".")
		number := strings.TrimPrefix(w, "v")
		digits := number[:len(number)-len(strings.TrimLeft(number, "0123456789."))]
		digits = strings.TrimRight(digits, ".")
		if version == "" && strings.Contains(digits, ".") && (len(digits) == len(number) || number[len(digits)] == '.') {
			version = digits
			w = number[len(digits):]
		}
		if w != "" {
			rest = append(rest, w)
		}
	}
	return strings.Join(rest, " "), version
}

// compareVersions compares numbers with dots.
func compareVersions(a, b string) int {
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	for k := range max(len(x), len(y)) {
		if d := compareNumbers(part(x, k), part(y, k)); d != 0 {
			return d
		}
	}
	return 0
}

func part(list []string, k int) string {
	if k >= len(list) {
		return ""
	}
	return strings.TrimLeft(list[k], "0")
}

// compareNumbers compares decimal numbers of any length without leading zeros.
func compareNumbers(a, b string) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

// Latest returns the latest versions of the items that r wants, if r.Newer is set. A feed often has
// several versions of the same thing.
func (r *Rule) Latest(items []Item, known Versions) Versions {
	if !r.Newer {
		return nil
	}
	latest := Versions{}
	for i := range items {
		if _, ok := r.Wants(&items[i], known); ok {
			latest.Note(items[i].Title)
		}
	}
	return latest
}

// Superseded returns the later version of v that makes an item with this title unwanted, or "".
func (v Versions) Superseded(title string) string {
	if name, version := VersionOf(title); version != "" && v[name] != "" && compareVersions(version, v[name]) < 0 {
		return v[name]
	}
	return ""
}

// Note records the version of an item that was taken.
func (v Versions) Note(title string) {
	if name, version := VersionOf(title); version != "" && (v[name] == "" || compareVersions(version, v[name]) > 0) {
		v[name] = version
	}
}
