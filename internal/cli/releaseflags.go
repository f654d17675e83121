package cli

import (
	"io"
	"os"
	"unicode/utf8"

	"github.com/spf13/pflag"

	"spate/internal/fault"
	"spate/internal/units"
	"spate/publish"
)

// releaseFlags are the flags that describe a release.
type releaseFlags struct {
	slug, version, group string
	variants             []string
	notesFile            string
	noTwin               bool
}

func (r *releaseFlags) add(f *pflag.FlagSet) {
	f.StringVar(&r.slug, "release", "", "call the page `NAME` (default: the name of the path)")
	f.StringVar(&r.version, "release-version", "", "publish as this `VERSION`, such as 12.4, beside older ones")
	f.StringArrayVar(&r.variants, "variant", nil, "publish as the variant `NAME`, such as amd64; repeatable")
	f.StringVar(&r.group, "group", "", "list it under the heading `NAME`")
	f.StringVar(&r.notesFile, "notes", "", "show the Markdown in this `FILE` on the page")
	r.addTwin(f)
}

func (r *releaseFlags) addTwin(f *pflag.FlagSet) {
	f.BoolVar(&r.noTwin, "no-v1-twin", false, "make no v1 torrent for clients that cannot use hybrids")
}

// readNotes returns the content of the file that --notes names, which may be a pipe.
func (r *releaseFlags) readNotes() (string, error) {
	if r.notesFile == "" {
		return "", nil
	}
	f, err := os.Open(r.notesFile)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, publish.MaxNotes+1))
	switch {
	case err != nil:
		return "", err
	case len(b) > publish.MaxNotes:
		return "", fault.Usagef("--notes %s is larger than the limit of %s", r.notesFile, units.Plural(publish.MaxNotes, "byte"))
	case !utf8.Valid(b):
		return "", fault.Usagef("--notes %s is not text in UTF-8", r.notesFile)
	}
	return string(b), nil
}
