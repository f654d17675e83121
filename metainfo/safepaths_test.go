package metainfo_test

import (
	"slices"
	"strings"
	"testing"

	"spate/metainfo"
)

// TestSafePathsAreStoredPaths compares SafePaths with the paths of a torrent that has the
// same files.
func TestSafePathsAreStoredPaths(t *testing.T) {
	for _, raw := range [][]string{
		{"plain", "d/e"},
		{"tab\t", "tab\n", "tab_"},
		{"a", "A", "a.1", "d/x", "D"},
		{"\xff/\xfe", "con", "zero\u200b", "é\u200d", "É"},
		{strings.Repeat("x", 300), strings.Repeat("x", 301)},
	} {
		m := mustParse(t, v1(append(raw, "last")...))
		if got, want := metainfo.SafePaths(append(raw, "last")), paths(m); !slices.Equal(got, want) {
			t.Errorf("SafePaths(%q) = %q, want %q", raw, got, want)
		}
	}
	for raw, want := range map[string]string{"plain": "plain", "a\tb": "a_b", "": "_", "..": "_", "\xe9": "_"} {
		if got := metainfo.SafeName(raw); got != want {
			t.Errorf("SafeName(%q) = %q, want %q", raw, got, want)
		}
	}
}
