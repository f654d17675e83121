package site

import (
	"mime"
	"os/exec"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestDisplay(t *testing.T) {
	for in, want := range map[string]string{
		"plain.iso":     "plain.iso",
		"Земля 🌍 地球":    "Земля 🌍 地球",
		"a\u202eb":      "a‹U+202E›b",
		"\x1b[31m":      "␛[31m",
		"a\x7f\n":       "a␡␊",
		"c1\u009b":      "c1‹U+009B›",
		"bad\xff":       "bad‹U+FFFD›",
		"👩\u200d🔬":      "👩\u200d🔬",
		"می\u200cخواهم": "می\u200cخواهم",
		"\U000e0041tag": "‹U+E0041›tag",
		"e\u0301":       "e\u0301",
	} {
		if got := display(in); got != want {
			t.Errorf("display(%q) = %q, want %q", in, got, want)
		}
	}
	for _, name := range hostile {
		got := display(name)
		if !utf8.ValidString(got) || strings.ContainsFunc(got, func(c rune) bool {
			return unicode.IsControl(c) || unicode.Is(unicode.Bidi_Control, c)
		}) {
			t.Errorf("display(%q) = %q, which has control characters or is not valid UTF-8", name, got)
		}
		if strings.Count(got, "\u0301") > 5 {
			t.Errorf("display left too many accents in %q", got)
		}
	}
}

// TestDisposition checks that every name results in a valid header and a safe file name.
func TestDisposition(t *testing.T) {
	for _, name := range append(hostile, "plain.iso", "../../etc/passwd", `c:\windows`) {
		v := disposition(name)
		if strings.ContainsFunc(v, func(c rune) bool { return c < ' ' || c > 0x7e }) {
			t.Errorf("disposition(%q) = %q is not a valid header", name, v)
		}
		kind, params, err := mime.ParseMediaType(v)
		if err != nil || kind != "attachment" || params["filename"] == "" {
			t.Errorf("disposition(%q) = %q, which is not an attachment with a file name: %v", name, v, err)
			continue
		}
		if got := params["filename"]; strings.ContainsAny(got, "/\\\r\n\x00") || strings.ContainsRune(got, 0x202e) {
			t.Errorf("disposition(%q) gives the unsafe file name %q", name, got)
		}
	}
	for in, want := range map[string]string{
		"a.iso":     `attachment; filename="a.iso"`,
		"a b.iso":   `attachment; filename="a b.iso"`,
		"é.iso":     `attachment; filename="_.iso"; filename*=UTF-8''%C3%A9.iso`,
		`"50%".iso`: `attachment; filename="_50__.iso"; filename*=UTF-8''%2250%25%22.iso`,
	} {
		if got := disposition(in); got != want {
			t.Errorf("disposition(%q) = %s, want %s", in, got, want)
		}
	}
}

// TestQuote checks that a quoted name is one word for a shell and has no control characters.
func TestQuote(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no sh here")
	}
	for _, name := range append(hostile, "a b", "$HOME", "*", "~", "it's", "a&b", "") {
		q := quote(name)
		if strings.ContainsFunc(q, func(c rune) bool { return unicode.IsControl(c) || unicode.Is(unicode.Bidi_Control, c) }) {
			t.Errorf("quote(%q) = %q, which has control characters", name, q)
		}
		out, err := exec.Command(sh, "-c", "printf '%s|' "+q+" end").Output()
		if err != nil {
			t.Errorf("sh cannot read %q: %v", q, err)
		}
		word, rest, _ := strings.Cut(string(out), "|")
		if rest != "end|" {
			t.Errorf("quote(%q) = %s is not one word: %q", name, q, out)
		}
		if utf8.ValidString(name) && clean(name) == name && word != name {
			t.Errorf("sh reads quote(%q) as %q", name, word)
		}
	}
}
