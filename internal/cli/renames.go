package cli

import (
	"bytes"
	"fmt"
	"path"
	"regexp"
	"slices"

	"spate/metainfo"
)

// sumsFile matches the names of files with checksums, which name other files.
var sumsFile = regexp.MustCompile(`(?i)^((md5|sha[0-9]+|b2|b3|blake[23][a-z]*|ck)-?sums?(\.txt)?|checksums?(\.txt)?|.+\.(md5|sha[0-9]+|b2|b3|sfv)(sums?)?)$`)

// renamed returns the number of names of a torrent that are changed on this system.
func renamed(mi *metainfo.MetaInfo) int {
	n := mi.Info.NumRenames()
	if mi.Info.RawName != "" {
		n++
	}
	return n
}

// noteRenames prints a note if names of a torrent are changed, because not every system can
// store them or because they are decoded from a charset, and logs the names with -v.
func (a *app) noteRenames(mi *metainfo.MetaInfo) {
	n := renamed(mi)
	if n == 0 {
		return
	}
	what := "names are changed, because not every system can store them"
	if n == 1 {
		what = "name is changed, because not every system can store it"
	}
	if mi.Info.Decoded() {
		what = "names are decoded from " + mi.Encoding
		if n == 1 {
			what = "name is decoded from " + mi.Encoding
		}
	}
	if a.Verbose == 0 {
		what += "; -v names each"
	}
	a.Notef("%s: %d %s", mi.Info.Name, n, what)
	if raw := mi.Info.RawName; raw != "" {
		a.Log.Info("changed a name", "from", fmt.Sprintf("%q", raw), "to", mi.Info.Name)
	}
	for _, r := range mi.Info.Renames(mi.InfoBytes) {
		a.Log.Info("changed a name", "from", fmt.Sprintf("%q", bytes.Join(r.Raw, []byte("/"))), "to", path.Join(r.Path...))
	}
	sums := func(f metainfo.File) bool { return !f.Pad() && sumsFile.MatchString(path.Base(filePath(&mi.Info, &f))) }
	if i := slices.IndexFunc(mi.Info.Files, sums); i >= 0 {
		a.Notef("%s: %s names the files by their names in the torrent", mi.Info.Name, filePath(&mi.Info, &mi.Info.Files[i]))
	}
}
