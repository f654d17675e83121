package cli

import (
	"io"
	"os"
	"unicode/utf8"

	"github.com/spf13/pflag"

	"spate/internal/fault"
	"spate/publish"
)

// releaseFlags say what release it is that is published.
type releaseFlags struct {
	slug, version, group string
	variants             []string
	notesFile            string
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
		return "", fault.Usagef("--notes %s has more than the %d bytes that are shown at most", r.notesFile, publish.MaxNotes)
	case !utf8.Valid(b):
		return "", fault.Usagef("--notes %s is not text in UTF-8", r.notesFile)
	}
	return string(b), nil
}
