package termsafe

import "testing"

func TestEscape(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain.iso":          "plain.iso",
		"naïve 日本語 👍.txt":    "naïve 日本語 👍.txt",
		"\x1b[2J":            `\x1b[2J`,
		"a\nb\tc":            `a\nb\tc`,
		"a\u202egpj.exe":     `a\u202egpj.exe`,
		"\u009b31m":          `\x9b31m`,
		"\xff\xfe":           `\xff\xfe`,
		"zero\u200bwidth":    `zero\u200bwidth`,
		"\u2028":             `\u2028`,
		"zero\u200dwidth":    `zero\u200dwidth`,
		"👨\u200d👩 ❤\ufe0f":   "👨\u200d👩 ❤\ufe0f",
		"می\u200cخواهم":      "می\u200cخواهم",
		"a\ufe0f\u034f":      `a\ufe0f\u034f`,
		"\u3164\u2800\u115f": `\u3164\u2800\u115f`,
		"\ue000":             `\ue000`,
		"tag\U000e0041":      `tag\U000e0041`,
		"\ufffd is allowed":  "\ufffd is allowed",
	} {
		if got := Line(in); got != want {
			t.Errorf("Line(%q) = %q, want %q", in, got, want)
		}
	}
	if got := Text("a\tb\n\x1b"); got != "a\tb\n"+`\x1b` {
		t.Errorf("Text returned %q, want a newline and a tab and an escaped \\x1b", got)
	}
}

func TestClipKeepsBothEnds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in   string
		n    int
		want string
	}{
		{"short", 5, "short"}, {"0123456789", 4, "01 … 89"}, {"日日日日", 8, "日 … 日"},
	} {
		if got := Clip(c.in, c.n); got != c.want {
			t.Errorf("Clip(%q, %d) = %q, want %q", c.in, c.n, got, c.want)
		}
	}
}
