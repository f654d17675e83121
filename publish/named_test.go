package publish

import (
	"errors"
	"slices"
	"testing"
)

// TestNamed checks which releases a reference names for the verbs that change them: a slug or its
// nice address names all, and a version of variants all its variants.
func TestNamed(t *testing.T) {
	w := newFixture(t)
	p := w.publisher()
	for _, r := range []Ref{{"My Game", "1.0", "linux"}, {"My Game", "1.0", "windows"}, {"My Game", "2.0", ""}, {"other", "1.0", ""}} {
		path := w.write(r.Slug+r.Version+r.Variant, r.String())
		if _, err := p.Publish(t.Context(), path, Spec{Slug: r.Slug, Version: r.Version, Variant: r.Variant}); err != nil {
			t.Fatal(err)
		}
	}
	refs := func(ref string) []string {
		list, err := p.Named(t.Context(), ref)
		if err != nil && !errors.Is(err, ErrNotFound) {
			t.Fatal(err)
		}
		var out []string
		for _, r := range list {
			out = append(out, r.Version+r.Variant)
		}
		slices.Sort(out)
		return out
	}
	for ref, want := range map[string][]string{
		"My Game": {"1.0linux", "1.0windows", "2.0"}, "my-game": {"1.0linux", "1.0windows", "2.0"},
		"My Game~1.0": {"1.0linux", "1.0windows"}, "my-game~1.0": {"1.0linux", "1.0windows"},
		"my-game~1.0~linux": {"1.0linux"}, "My Game~~windows": {"1.0windows"}, "My Game~2.0": {"2.0"},
		"My Game~3.0": nil, "my-game~1.0~mac": nil, "absent": nil, "absent~1.0": nil, "other~1.0": {"1.0"},
	} {
		if got := refs(ref); !slices.Equal(got, want) {
			t.Errorf("%q names %q, want %q", ref, got, want)
		}
	}
	for _, step := range []func() error{
		func() error { return p.Pause(t.Context(), "my-game~1.0") }, func() error { return p.Withdraw(t.Context(), "my-game~1.0") },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	if got := refs("my-game"); !slices.Equal(got, []string{"2.0"}) {
		t.Errorf("%q are left, want 2.0", got)
	}
	if err := p.Withdraw(t.Context(), "my-game"); err != nil || refs("My Game") != nil {
		t.Errorf("%q are left after all were withdrawn, error %v", refs("My Game"), err)
	}
}
