package cli

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/spf13/pflag"

	"spate/internal/fault"
	"spate/maker"
	"spate/publish"
)

// releaseFlags say what release it is that is published.
type releaseFlags struct {
	slug, version, group string
	variants             []string
	notesFile            string
	notes                string // read
	noTwin               bool
}

func (r *releaseFlags) add(f *pflag.FlagSet) {
	f.StringVar(&r.slug, "release", "", "`NAME` of the page, which all versions share (default: that of the path)")
	f.StringVar(&r.version, "release-version", "", "`VERSION`, such as 12.4; what was published before stays under its own URL")
	f.StringArrayVar(&r.variants, "variant", nil, "`NAME` of this variant, such as amd64; for several PATHs repeat it (default: what their names differ in)")
	f.StringVar(&r.group, "group", "", "`NAME` of a heading to list it under")
	f.StringVar(&r.notesFile, "notes", "", "Markdown for the page, in this `FILE`")
	r.addTwin(f)
}

func (r *releaseFlags) addTwin(f *pflag.FlagSet) {
	f.BoolVar(&r.noTwin, "no-v1-twin", false, "no second, v1 torrent for clients that cannot use hybrids: Transmission 3, aria2")
}

// prepare refuses, before anything is hashed, what is not there and what would
// have one page without being meant to, and reads the notes.
func (r *releaseFlags) prepare(paths []string) error {
	seen := map[string]string{}
	var names []string
	for _, path := range paths {
		if _, err := os.Stat(path); err != nil {
			return err
		}
		abs, err := filepath.Abs(path)
		if err != nil {
			return err
		}
		name := filepath.Base(abs)
		names = append(names, name)
		if other, ok := seen[name]; ok && r.slug == "" {
			return fault.UsageHint("publish one of them by itself, with another --name", "%s and %s are both called %q", other, path, name)
		}
		seen[name] = path
	}
	if r.slug == "" && len(paths) > 1 && (len(r.variants) > 0 || r.version != "") {
		return fault.UsageHint("--release NAME names the release that they are of", "--variant and --release-version are of one release, and there are %d PATHs", len(paths))
	}
	if r.slug != "" && len(paths) > 1 && len(r.variants) == 0 {
		if r.variants = variantsOf(names); r.variants == nil {
			return fault.UsageHint("repeat --variant NAME for each of them", "what tells %d PATHs apart is not clear from their names", len(paths))
		}
	}
	if n := len(r.variants); n > 0 && n != len(paths) {
		return fault.Usagef("there are %d PATHs and %d --variant", len(paths), n)
	}
	return r.readNotes()
}

func (r *releaseFlags) readNotes() error {
	if r.notesFile == "" {
		return nil
	}
	f, err := os.Open(r.notesFile) // which may be a pipe: the user named it
	if err != nil {
		return err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, publish.MaxNotes+1))
	switch {
	case err != nil:
		return err
	case len(b) > publish.MaxNotes:
		return fault.Usagef("--notes %s has more than the %d bytes that are shown at most", r.notesFile, publish.MaxNotes)
	case !utf8.Valid(b):
		return fault.Usagef("--notes %s is not text in UTF-8", r.notesFile)
	}
	r.notes = string(b)
	return nil
}

// variant is that of path i.
func (r *releaseFlags) variant(i int) string {
	if i < len(r.variants) {
		return r.variants[i]
	}
	return ""
}

// spec is what path i is to be published as.
func (r *releaseFlags) spec(mk maker.Options, i int) publish.Spec {
	return publish.Spec{
		Options: mk, Slug: publish.SlugOf(r.slug), Version: r.version, Variant: r.variant(i), Group: r.group, Notes: r.notes, NoTwin: r.noTwin,
	}
}

// variantsOf are the parts in which names differ, between separators: amd64 and
// arm64 of debian-amd64.iso and debian-arm64.iso. It is nil where a part is
// empty or two are the same.
func variantsOf(names []string) []string {
	const separators = "-_. "
	before, after := names[0], names[0]
	for _, n := range names[1:] {
		before = before[:commonPrefix(before, n)]
		k := 0
		for k < len(after) && k < len(n) && after[len(after)-1-k] == n[len(n)-1-k] {
			k++
		}
		after = after[len(after)-k:]
	}
	before = before[:strings.LastIndexAny(before, separators)+1]
	if i := strings.IndexAny(after, separators); i >= 0 {
		after = after[i:]
	} else {
		after = ""
	}
	var out []string
	seen := map[string]bool{"": true}
	for _, n := range names {
		if len(before)+len(after) > len(n) {
			return nil
		}
		v := n[len(before) : len(n)-len(after)]
		if seen[v] || len(v) > 64 || strings.ContainsAny(v, `~/\`) {
			return nil
		}
		seen[v] = true
		out = append(out, v)
	}
	return out
}

func commonPrefix(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}
