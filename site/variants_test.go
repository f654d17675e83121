package site

import (
	"fmt"
	"strings"
	"testing"

	"spate/publish"
)

// variant adds a variant of a version of the release "app" to f.
func (f fixture) variant(t *testing.T, version int, variant string) {
	t.Helper()
	sample(t, f.catalog, sparse(t, int64(1000*version), f.dir, fmt.Sprintf("app-%d-%s.zip", version, variant)), func(r *publish.Release) {
		r.Slug, r.Version, r.Variant, r.Published = "app", fmt.Sprint(version), variant, sampleTime.AddDate(0, 0, version)
	})
}

// TestChoice checks that the page of a release with several variants lists them equally under the name
// of the release, that the page of a variant shows one, and that the index has one card.
func TestChoice(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	for _, v := range []string{"linux-amd64", "windows-amd64", "darwin-arm64", "source"} {
		f.variant(t, 2, v)
	}
	page := body(t, f.get("GET", "/r/app"))
	checkNoActiveContent(t, page)
	at := 0
	for _, want := range []string{
		"<title>app 2 ", "<h1><bdi>app</bdi></h1>", "<bdi>Version 2</bdi>",
		`<li data-system="Windows" data-machine="x86-64"><a class="button" href="/d/app~~windows-amd64">`, "<bdi>Windows</bdi>", "x86-64 · 2.0 kB",
		`<li data-system="macOS" data-machine="ARM, 64 bits"><a class="button" href="/d/app~~darwin-arm64">`,
		`<li data-system="Linux" data-machine="x86-64"><a class="button" href="/d/app~~linux-amd64">`,
		`<li data-system="" data-machine=""><a class="button" href="/d/app~~source">`, "<bdi>source</bdi>",
		`href="/t/app~~windows-amd64.torrent"`, "spate get ", "/r/app~~darwin-arm64",
	} {
		i := strings.Index(page[at:], want)
		if i < 0 {
			t.Fatalf("the page does not contain %s after its byte %d:\n%s", want, at, page)
		}
		at += i
	}
	if strings.Contains(page, "button main") || strings.Contains(page, "aria-current") || strings.Contains(page, "data-live") {
		t.Error("the server prefers a variant")
	}
	one := body(t, f.get("GET", "/r/app~~linux-amd64"))
	for _, want := range []string{"<h1><bdi>app</bdi></h1>", `class="button main" href="/d/app~~linux-amd64"`, `<a href="/r/app~~source"><bdi>source</bdi></a>`, "<dt>Name</dt><dd><bdi>app-2-linux-amd64.zip</bdi>"} {
		if !strings.Contains(one, want) {
			t.Errorf("the page of a variant does not contain %s:\n%s", want, one)
		}
	}
	index := body(t, f.get("GET", "/"))
	if strings.Count(index, `<div class="what">`) != 1 || strings.Count(index, `<a href="/r/app~~`) != 4 || !strings.Contains(index, `<a href="/r/app"><bdi>app</bdi></a>`) {
		t.Errorf("the index does not have one card with four variants:\n%s", index)
	}
}

// TestVariantsHaveOneOrder checks that the buttons, the torrents, the lines for a terminal, the links
// between variants and the index list the variants in the same order.
func TestVariantsHaveOneOrder(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	for _, v := range []string{"linux-amd64", "darwin-arm64", "source", "windows-amd64"} {
		f.variant(t, 2, v)
	}
	choice, one, index := body(t, f.get("GET", "/r/app")), body(t, f.get("GET", "/r/app~~source")), body(t, f.get("GET", "/"))
	for list, form := range map[string]struct{ page, entry string }{
		"buttons":   {choice, `class="button" href="/d/app~~%s"`},
		"torrents":  {choice, `<li><a href="/r/app~~%[1]s"><bdi>%[1]s</bdi></a> <a href="/t/app~~%[1]s.torrent"`},
		"lines":     {choice, "<dt>%s</dt>"},
		"links":     {one, `<a href="/r/app~~%[1]s"`},
		"the index": {index, `<li><a href="/r/app~~%[1]s"`},
	} {
		at := 0
		for _, v := range []string{"windows-amd64", "darwin-arm64", "linux-amd64", "source"} {
			want := fmt.Sprintf(form.entry, v)
			i := strings.Index(form.page[at:], want)
			if i < 0 {
				t.Fatalf("%s: no %s after byte %d:\n%s", list, want, at, form.page)
			}
			at += i
		}
	}
}

// TestRenamedVariant checks that the links to newer and older versions survive another name of the
// variant, and that a page says if the newest version lacks its variant.
func TestRenamedVariant(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	f.variant(t, 1, "amd64")
	f.variant(t, 1, "arm64")
	f.variant(t, 1, "docs")
	f.variant(t, 2, "linux-x86_64")
	f.variant(t, 2, "linux-aarch64")
	for path, wants := range map[string][]string{
		"/r/app~1~amd64":        {`older version. <a href="/r/app~~linux-x86_64">`, `<a href="/r/app~2~linux-x86_64"><bdi>2</bdi></a>`},
		"/r/app~1~arm64":        {`older version. <a href="/r/app~~linux-aarch64">`},
		"/r/app~1~docs":         {`older version. The newest one does not have this variant. <a href="/r/app">`},
		"/r/app~2~linux-x86_64": {`<a href="/r/app~1~amd64"><bdi>1</bdi></a>`},
	} {
		page := body(t, f.get("GET", path))
		for _, want := range wants {
			if !strings.Contains(page, want) {
				t.Errorf("%s does not contain %s:\n%s", path, want, page)
			}
		}
	}
	if page := body(t, f.get("GET", "/r/app~2~linux-aarch64")); strings.Contains(page, "older version") {
		t.Error("the page of the newest version says that it is older")
	}
}

// TestManyVariants checks that a page with very many variants stays small.
func TestManyVariants(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	for i := range 200 {
		f.variant(t, 1, fmt.Sprintf("linux-%03d-%s", i, strings.Repeat("x", 40)))
	}
	for _, path := range []string{"/", "/r/app", fmt.Sprintf("/r/app~~linux-000-%s", strings.Repeat("x", 40))} {
		for _, l := range f.languages.All {
			if page := body(t, f.get("GET", path+"?lang="+l.Code)); len(page) > MaxPage {
				t.Errorf("%s in %s has %d bytes, want at most %d", path, l.Name, len(page), MaxPage)
			}
		}
	}
}

func TestTargetOf(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]target{
		"linux-amd64": {"Linux", "x86-64", ""}, "Linux_x86_64": {"Linux", "x86-64", ""}, "win64": {"Windows", "x86-64", ""},
		"macOS (universal)": {"macOS", "all Macs", ""}, "arm64": {"", "ARM, 64 bits", ""}, "linux-amd64-musl": {"Linux", "x86-64", "musl"},
		"": {}, "darwinian": {rest: "darwinian"},
	} {
		if got := targetOf(name); got != want {
			t.Errorf("targetOf(%q) = %+v, want %+v", name, got, want)
		}
	}
}
