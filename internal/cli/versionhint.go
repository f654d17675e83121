package cli

import (
	"path/filepath"
	"regexp"
	"strings"

	"spate/internal/term"
	"spate/internal/termsafe"
)

// versioned matches the name of a file with a version, such as app-2.0-linux.tar.gz: the name of the
// program, the version, and the rest.
var versioned = regexp.MustCompile(`^([\pL\pN][\pL\pN_.+-]*?)[-_ ]v?(\d+(?:\.\d+)+)([-_ .].*)?$`)

// hintVersions prints how several files of one version, such as those for several systems, get one
// page, before they are hashed, if their names say that they belong together and --release does not.
func (a *app) hintVersions(paths []string, opt *publishOptions) {
	if opt.release.slug != "" || len(paths) < 2 {
		return
	}
	var name, version string
	words := []string{"spate", "publish", "--release"}
	for i, path := range paths {
		m := versioned.FindStringSubmatch(filepath.Base(path))
		if m == nil || i > 0 && (m[1] != name || m[2] != version) {
			return
		}
		name, version = m[1], m[2]
	}
	for _, word := range append([]string{name, "--release-version", version}, paths...) {
		words = append(words, term.ShellWord(word))
	}
	a.Notef("each file gets a page of its own; one page for all, and for later versions: %s", termsafe.Clip(strings.Join(words, " "), 400))
}

// printTogether prints the page of all variants of a release, which is the one to hand out.
func (a *app) printTogether(e releaseEvent) error {
	page, _, ok := strings.Cut(e.PageURL, "~~")
	if a.JSON || e.Variant == "" || !ok {
		return nil
	}
	return a.Printf("%s\n  page    %s\n", termsafe.Line(e.Slug), termsafe.Line(page))
}
