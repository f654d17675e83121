package maker

import (
	"fmt"
	"path"
	"strings"
)

// PatternError is returned for a malformed include or exclude pattern.
type PatternError struct{ Pattern string }

func (e *PatternError) Error() string { return fmt.Sprintf("%q is not a valid pattern", e.Pattern) }

// globs is a list of patterns. It matches a path if any pattern does. A pattern without a
// slash is compared with every element of the path. A pattern with a slash is compared with
// the path from the root, and ** in it matches any number of elements. A leading ./ means
// the root, like a leading slash. A pattern that matches a directory matches everything in it.
type globs []glob

type glob struct {
	pattern  string // as the caller gave it
	parts    []string
	anchored bool
}

func parseGlobs(patterns []string) (globs, error) {
	list := make(globs, 0, len(patterns))
	for _, p := range patterns {
		g := glob{pattern: p, anchored: strings.Contains(strings.TrimSuffix(p, "/"), "/")}
		g.parts = strings.Split(strings.Trim(strings.TrimPrefix(p, "./"), "/"), "/")
		for _, part := range g.parts {
			if _, err := path.Match(part, ""); err != nil || part == "" {
				return nil, &PatternError{p}
			}
		}
		list = append(list, g)
	}
	return list, nil
}

// match reports whether a pattern matches rel or a directory above it.
func (list globs) match(rel string) bool {
	if len(list) == 0 {
		return false
	}
	names := strings.Split(rel, "/")
	for _, g := range list {
		if g.match(names) {
			return true
		}
	}
	return false
}

func (g glob) match(names []string) bool {
	if g.anchored {
		return matchPrefix(g.parts, names)
	}
	for _, n := range names {
		if g.parts[0] == "**" || matchName(g.parts[0], n) {
			return true
		}
	}
	return false
}

// matchPrefix reports whether parts matches names or a prefix of names. It takes at
// most len(parts) * len(names) steps, because it backtracks only to the last **.
func matchPrefix(parts, names []string) bool {
	p, n := 0, 0
	starP, starN := -1, 0
	for {
		switch {
		case p == len(parts):
			return true
		case parts[p] == "**":
			starP, starN = p, n
			p++
			if p == len(parts) {
				return n < len(names)
			}
			continue
		case n < len(names) && matchName(parts[p], names[n]):
			p, n = p+1, n+1
			continue
		}
		if starP < 0 || starN >= len(names) {
			return false
		}
		starN++
		p, n = starP+1, starN
	}
}

func matchName(pattern, name string) bool {
	ok, _ := path.Match(pattern, name) // path.Match returns no error, because parseGlobs has checked the syntax
	return ok
}
