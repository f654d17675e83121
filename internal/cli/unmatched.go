package cli

import (
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
	a.Warnf("%s %q %s", flag, pattern, what)
}
