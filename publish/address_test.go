package publish

import "testing"

func TestNiceAddress(t *testing.T) {
	t.Parallel()
	for slug, want := range map[string]string{
		"My File [v1.2] (x64)": "my-file-v1.2-x64", "My File (x64).iso": "my-file-x64.iso", "a & b.tar.gz": "a-b.tar.gz", " spaces ": "spaces",
		"Größe 2.zip": "größe-2.zip", "Земля и воля.zip": "земля-и-воля.zip", "中文 名称.iso": "中文-名称.iso", "a - b": "a-b", "it's here": "its-here", "...x y...": "x-y", "a/b": "a-b",
		"plain-1.2_x64+b.iso": "", "Editor": "", "größe.zip": "", "(((": "", " . ": "", "bad\xff name": "bad-name", "a\u202eb c": "a-b-c",
	} {
		if got := NiceAddress(slug); got != want {
			t.Errorf("NiceAddress(%q) is %q, want %q", slug, got, want)
		}
	}
	for _, c := range []struct {
		address, slug string
		want          bool
	}{
		{"My File", "My File", true}, {"my-file", "My File", true}, {"my-file-" + addressHash("My File"), "My File", true},
		{"my-file-" + addressHash("my file"), "My File", false}, {"my-file-2", "My File", false}, {"", "My File", false}, {"", "((", false}, {"x", "y", false},
	} {
		if got := IsAddress(c.address, c.slug); got != c.want {
			t.Errorf("IsAddress(%q, %q) is %t, want %t", c.address, c.slug, got, c.want)
		}
	}
}

// FuzzNiceAddress checks that a nice address can be the slug of a reference and has no nicer address.
func FuzzNiceAddress(f *testing.F) {
	for _, s := range []string{"My File [v1.2] (x64)", "a~b", "..", "\u202e", "İ ß", "-", "é́ \xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, slug string) {
		nice := NiceAddress(slug)
		if nice == "" {
			return
		}
		if err := (Ref{Slug: nice, Version: "1"}).check(); err != nil {
			t.Errorf("%q has the address %q: %v", slug, nice, err)
		}
		if again := NiceAddress(nice); again != "" {
			t.Errorf("%q has the address %q, which has the address %q", slug, nice, again)
		}
	})
}
