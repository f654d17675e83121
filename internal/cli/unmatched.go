package cli

import (
	"fmt"
	"path/filepath"

	"spate/internal/torrentfile"
	"spate/maker"
)

// warnUnmatched warns of a pattern of --include or --exclude that has no effect on the torrents
// of paths.
func (a *app) warnUnmatched(u maker.Unmatched, paths ...string) {
	flag, what := "--exclude", "matches nothing"
	if u.Include {
		flag, what = "--include", "selects no file"
	}
	a.warnPattern(flag, u.Pattern, what, paths...)
}

// warnPattern warns of a pattern of a flag that has no effect.
func (a *app) warnPattern(flag, pattern, what string, paths ...string) {
	names := make([]string, len(paths))
	for i, p := range paths {
		if abs, err := filepath.Abs(p); err == nil {
			names[i] = filepath.Base(abs)
		}
	}
	if hint := torrentfile.PatternHint(pattern, names...); hint != "" {
		what += "; " + hint
	}
	a.warn(fmt.Sprintf("%s %q %s", flag, pattern, what))
}

// leftOut returns a function that records an entry that no torrent contains and logs it with
// -v, and the record. [app.warnLeftOut] prints the record.
func (a *app) leftOut() (func(maker.Skipped), maker.LeftOut) {
	left := maker.LeftOut{}
	return func(s maker.Skipped) {
		left.Add(s)
		a.skipped(s)
	}, left
}

// warnLeftOut warns of the recorded entries, unless the options left out all of them. It then
// forgets them, so that the next call does not warn of them again.
func (a *app) warnLeftOut(left maker.LeftOut) {
	if left.Expected() {
		return
	}
	hint := "; -v names them"
	if a.Verbose > 0 {
		hint = ""
	}
	a.warn(left.String() + hint)
	clear(left)
}
