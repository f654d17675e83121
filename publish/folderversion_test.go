package publish

import (
	"errors"
	"testing"
)

// TestNamePattern checks which names are versions of a release.
func TestNamePattern(t *testing.T) {
	p, err := ParseNamePattern(`(?<release>.+)-(?<version>\d+(\.\d+)*)(-(?<variant>[a-z]+\d*))?(\.iso)?`)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"Game-1.0": "Game~1.0", "Game-1.10.iso": "Game~1.10", "My Game-2-amd64.iso": "My Game~2~amd64",
		"Game": "", "Game-1.0.zip": "", "Game-1.0 copy": "",
	} {
		ref, ok := p.Match(name)
		if got := ref.String(); ok != (want != "") || ok && got != want {
			t.Errorf("%s is %q, %v, want %q", name, got, ok, want)
		}
	}
	if _, ok := (*NamePattern)(nil).Match("Game-1.0"); ok {
		t.Error("no pattern matches a name")
	}
	if _, err := ParseNamePattern("(?<release>.+)-1"); !errors.Is(err, ErrPattern) {
		t.Errorf("a pattern without a version returned %v, want ErrPattern", err)
	}
	for _, bad := range []string{"(", "(?<release>.+)-(?<version>1))|(x"} {
		if _, err := ParseNamePattern(bad); err == nil {
			t.Errorf("the pattern %s, which is no expression, is accepted", bad)
		}
	}
}
