package metainfo

import (
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// TestFoldEveryCharacter compares the table with the standard library and x/text. The key
// of a character must not depend on its case and composition, and different characters must
// have different keys.
func TestFoldEveryCharacter(t *testing.T) {
	var f folder
	full := cases.Fold()
	key := func(s string) string {
		k, _ := f.key(s)
		return string(k)
	}
	seen := map[string]string{}
	for r := rune(1); r <= unicode.MaxRune; r++ {
		if !utf8.ValidRune(r) || r >= 0xe000 && r < 0xf900 || r > 0x30000 && r < 0xe0000 || kindOf(r) == foldJoiner {
			continue
		}
		s := string(r)
		want := key(s)
		for c := unicode.SimpleFold(r); c != r; c = unicode.SimpleFold(c) {
			if key(string(c)) != want {
				t.Errorf("%q and %q have different keys", s, string(c))
			}
		}
		for _, form := range []norm.Form{norm.NFC, norm.NFD} {
			if v := form.String(s); key(v) != want {
				t.Errorf("%+q and %+q have different keys", s, v)
			}
		}
		// Two strings must have the same key if and only if x/text treats them as equal.
		class := norm.NFD.String(full.String(norm.NFD.String(s)))
		// There are two exceptions: x/text folds some Cherokee letters to upper case, and
		// the key ignores the order of marks.
		if other, ok := seen[want]; ok && sorted(other) != sorted(class) && !unicode.Is(unicode.Cherokee, r) {
			t.Errorf("%+q and %+q have the same key", class, other)
		}
		seen[want] = class
		if key(class) != want {
			t.Errorf("%+q and its folding %+q have different keys", s, class)
		}
	}
}

func sorted(s string) string {
	r := []rune(s)
	slices.Sort(r)
	return string(r)
}

// TestFoldIgnoresJoiners checks that two names that differ only in joiners and selectors
// have the same key, wherever these stand.
func TestFoldIgnoresJoiners(t *testing.T) {
	var f folder
	n := 0
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if kindOf(r) != foldJoiner {
			continue
		}
		n++
		for _, name := range []string{"%", "a%b", "É%", "e%\u0301", "e\u0301%\u0323", "한%", "👨%👩", "straße%.txt"} {
			with, _ := f.key(strings.ReplaceAll(name, "%", string(r)))
			with = slices.Clone(with)
			without, _ := f.key(strings.ReplaceAll(name, "%", ""))
			if !slices.Equal(with, without) {
				t.Errorf("the key of %q depends on %U", name, r)
			}
		}
	}
	if n < 300 {
		t.Errorf("there are only %d joiners, selectors and tags", n)
	}
}

// TestFoldPlain checks that cleanName changes no name that key calls plain, and that key
// calls all names plain that have neither unsafe characters nor joiners nor U+FFFD.
func TestFoldPlain(t *testing.T) {
	var f folder
	for r := rune(0); r <= 0xe1000; r++ {
		if r == 0x3400 {
			r = 0xf900
		}
		for _, s := range []string{string(r), "a" + string(r) + "é", "é" + string(r)} {
			_, plain := f.key(s)
			want := cleanName("xx"+s, NamesSafe) == "xx"+s && kindOf(r) != foldJoiner && r != utf8.RuneError
			if plain != want {
				t.Errorf("%+q: key reports plain %v, want %v", s, plain, want)
			}
		}
	}
	for _, s := range []string{"\xff", "é\xc3", "\xe2\x82", "\xed\xa0\x80", "\xf8\x88\x80\x80\x80", "\xc0\x80"} {
		if _, plain := f.key(s); plain {
			t.Errorf("%+q is plain", s)
		}
	}
}
