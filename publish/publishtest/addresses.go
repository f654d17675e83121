package publishtest

import (
	"testing"
	"time"

	"spate/publish"
)

// testAddresses checks that a slug keeps its nice address while others come and go, that no two slugs have
// the same one, and that all addresses lead to the slug.
func testAddresses(t *testing.T, c publish.Catalog) {
	ctx := t.Context()
	leads := func(address, slug string) {
		t.Helper()
		r, err := c.Get(ctx, address)
		if slug == "" && err == nil || slug != "" && (err != nil || r.Slug != slug) {
			t.Errorf("%s leads to %+v, %v, want %q", address, r, err, slug)
		}
	}
	has := func(slug, address string) {
		t.Helper()
		if got := c.Address(slug); got != address || !publish.IsAddress(got, slug) {
			t.Errorf("the address of %q is %q, want %q", slug, got, address)
		}
		leads(c.Address(slug), slug)
		leads(slug, slug)
	}
	put(t, c, Release("My File", "1", "", day0))
	put(t, c, Release("plain.iso", "1", "", day0))
	has("My File", "my-file")
	has("plain.iso", "plain.iso")
	if got := c.Address("not there"); got != "not there" {
		t.Errorf("the address of a slug that does not exist is %q", got)
	}
	put(t, c, Release("my file", "1", "", day0.Add(time.Hour)))
	put(t, c, Release("My [File]", "1", "", day0.Add(2*time.Hour)))
	has("My File", "my-file")
	second := c.Address("my file")
	if second == c.Address("My [File]") {
		t.Errorf("two slugs have the address %s", second)
	}
	has("my file", second)
	put(t, c, Release("My File", "2", "", day0.Add(3*time.Hour))) // a new version changes no address
	put(t, c, Release("My File", "2", "arm64", day0.Add(3*time.Hour)))
	has("My File", "my-file")
	has("my file", second)
	for ref, want := range map[string]string{"my-file~1": "My File~1", "my-file~~arm64": "My File~2~arm64", second + "~1": "my file~1"} {
		if r, err := c.Get(ctx, ref); err != nil || r.Ref() != want {
			t.Errorf("%s leads to %+v, %v, want %s", ref, r, err, want)
		}
	}
	if err := c.Delete(ctx, "my-file~1"); err == nil {
		t.Error("Delete took another address than the exact reference")
	}
	put(t, c, Release("my-file", "1", "", day0.Add(4*time.Hour))) // a slug has its own address
	has("my-file", "my-file")
	if got := c.Address("My File"); got == "my-file" {
		t.Errorf("%q still has the address of another slug", "My File")
	}
	has("My File", c.Address("My File"))
	remove := func(refs ...string) {
		t.Helper()
		for _, ref := range refs {
			if err := c.Delete(ctx, ref); err != nil {
				t.Fatal(err)
			}
		}
	}
	remove("my-file~1")
	has("My File", "my-file")
	remove("My File~1") // the other versions are newer than other slugs
	has("My File", "my-file")
	has("my file", second)
	remove("My File~2", "My File~2~arm64")
	leads("my-file", "") // not another release than before
	has("my file", second)
	put(t, c, Release("My  File", "1", "", day0.Add(-time.Hour)))
	leads("my-file", "")
	put(t, c, Release("My File", "3", "", day0.Add(5*time.Hour)))
	has("My File", "my-file")
	has("my file", second)
	leads("plain.iso-000000", "")
}
