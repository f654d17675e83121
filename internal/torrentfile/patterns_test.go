package torrentfile

import (
	"strings"
	"testing"

	"spate/maker"
)

func TestPatternHint(t *testing.T) {
	t.Parallel()
	const one, relative, ending = "one glob", "relative to the folder", "names that end in"
	for pattern, want := range map[string]string{
		"*.nfo,*.txt": one, "*.nfo;*.txt": one, "*.nfo|*.txt": one, "*.{nfo,txt}": one, "*.nfo *.txt": one,
		"/home/u/x": relative, "~/x": relative, "../x": relative, "./../x": relative, "C:/x": relative, "photos/a": relative, "./photos/a": relative,
		"a\\b": "write /", "!*.txt": "negated", ".txt": ending,
		"photos": "", "my film.mkv": "", "*.nfo": "", "a/photos": "", "[ab]": "",
	} {
		got := PatternHint(pattern, "photos")
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("PatternHint(%q) = %q, want %q", pattern, got, want)
		}
	}
}

// TestPatterns checks that a pattern counts as unmatched only if it matches in no torrent.
func TestPatterns(t *testing.T) {
	t.Parallel()
	var p Patterns
	for _, list := range []string{"a b c", "b c c", "c b"} {
		f := p.Torrent()
		for pattern := range strings.FieldsSeq(list) {
			f(maker.Unmatched{Pattern: pattern})
		}
	}
	got := p.Unmatched()
	if len(got) != 2 || got[0].Pattern != "b" || got[1].Pattern != "c" {
		t.Errorf("the unmatched patterns are %v, want b and c", got)
	}
}
