package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDocuments checks the links and anchors of all documents of the repository, that the menu
// lists each of them, and that each page of docs/ says for whom it is.
func TestDocuments(t *testing.T) {
	t.Parallel()
	s, err := load("../..")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.check(); err != nil {
		t.Error(err)
	}
	if len(s.pages) < 20 {
		t.Errorf("found only %d documents", len(s.pages))
	}
}

// TestSite checks that the links of the written pages lead to written files and anchors, and
// that the pages load nothing from elsewhere.
func TestSite(t *testing.T) {
	t.Parallel()
	s, err := load("../..")
	if err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	n, err := s.write(out)
	if err != nil {
		t.Fatal(err)
	}
	if n != len(s.pages) {
		t.Errorf("write returned %d pages, want %d", n, len(s.pages))
	}
	for name := range s.pages {
		name = htmlPath(name)
		b, err := os.ReadFile(filepath.Join(out, name))
		if err != nil {
			t.Error(err)
			continue
		}
		html := string(b)
		if strings.Contains(html, "<script") || strings.Contains(html, `src="http`) {
			t.Errorf("%s contains a script, or loads something from elsewhere", name)
		}
		for part := range strings.SplitSeq(html, `href="`) {
			dest, _, _ := strings.Cut(part, `"`)
			if part == html[:len(part)] || strings.Contains(dest, ":") {
				continue
			}
			file, anchor, _ := strings.Cut(dest, "#")
			to := filepath.Join(out, filepath.Dir(name), file)
			if file == "" {
				to = filepath.Join(out, name)
			}
			text, err := os.ReadFile(to)
			if err != nil {
				t.Errorf("%s: %v", name, err)
			} else if anchor != "" && !strings.Contains(string(text), `id="`+anchor+`"`) {
				t.Errorf("%s: the link to %s leads to no anchor", name, dest)
			}
		}
	}
}

// TestCheckFindsFaults checks that each kind of fault in documents is found.
func TestCheckFindsFaults(t *testing.T) {
	t.Parallel()
	const lead = "\n\n**For:** all. **Task:** read.\n\n"
	for fault, want := range map[string]string{
		"# B" + lead + "[x](none.md)":                   "leads to no file",
		"# B" + lead + "![x](none.svg)":                 "leads to no file",
		"# B" + lead + "[x](#none)":                     "leads to no heading",
		"# B" + lead + "[x](README.md#none)":            "leads to no heading",
		"# B\n\nText.":                                  "is not of the form",
		"# B" + lead + "[x](README.md#one) [y](#b)":     "",
		"# B" + lead + "[x](https://example.org/#none)": "",
	} {
		top := t.TempDir()
		menu := "# Documents" + lead + "## One\n\n- [B](b.md)\n"
		for name, text := range map[string]string{"docs/README.md": menu, "docs/b.md": fault} {
			if err := put(top, name, []byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		s, err := load(top)
		if err != nil {
			t.Fatal(err)
		}
		err = s.check()
		switch {
		case want == "" && err != nil:
			t.Errorf("check of %q: %v", fault, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("check of %q returned %v, want an error with %q", fault, err, want)
		}
		if err := put(top, "docs/c.md", []byte("# C"+lead)); err != nil {
			t.Fatal(err)
		}
		if s, err = load(top); err != nil {
			t.Fatal(err)
		}
		if err := s.check(); err == nil || !strings.Contains(err.Error(), "does not list docs/c.md") {
			t.Errorf("check with a page that the menu does not list returned %v", err)
		}
	}
}

// TestAnchors checks that headings have the anchors that GitHub makes.
func TestAnchors(t *testing.T) {
	t.Parallel()
	p := parse("x.md", []byte("# Peers & `spate doctor`\n\n## What it does not do\n\n## What it does not do\n\n## v2_hashes, e.g. 5.1\n"))
	for _, id := range []string{"peers--spate-doctor", "what-it-does-not-do", "what-it-does-not-do-1", "v2_hashes-eg-51"} {
		if !p.ids[id] {
			t.Errorf("no heading has the anchor %s; all: %v", id, p.ids)
		}
	}
}
