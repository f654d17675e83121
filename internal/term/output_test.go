package term

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestJSONHasNoUnsafeCharacters checks that JSON output escapes control characters.
func TestJSONHasNoUnsafeCharacters(t *testing.T) {
	t.Parallel()
	in := "a\u202e\u009b\U000e0041<&>\n"
	b, _ := json.Marshal(in)
	out := escapeJSON(b)
	if strings.ContainsAny(string(out), "\u202e\u009b\U000e0041") {
		t.Errorf("unsafe characters in %q", out)
	}
	var back string
	if err := json.Unmarshal(out, &back); err != nil || back != in {
		t.Errorf("%q became %q, %v", in, back, err)
	}
}

// TestShellWord checks the quoting of words for a shell.
func TestShellWord(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"http://a/r/x.iso": "http://a/r/x.iso", "a b": "'a b'", "it's": `'it'\''s'`, "": "''", "a&b": "'a&b'"} {
		if got := ShellWord(in); got != want {
			t.Errorf("ShellWord(%q) = %s, want %s", in, got, want)
		}
	}
}
