package torrentfile

import (
	"slices"
	"strings"

	"spate/maker"
)

// Patterns collects the patterns that match nothing in any of several torrents. The zero value
// is ready.
type Patterns struct {
	torrents int
	counts   map[maker.Unmatched]int // in how many torrents a pattern matches nothing
	order    []maker.Unmatched
}

// Torrent returns the function for [maker.Options.Unmatched] of the next torrent.
func (p *Patterns) Torrent() func(maker.Unmatched) {
	p.torrents++
	seen := map[maker.Unmatched]bool{}
	return func(u maker.Unmatched) {
		if seen[u] {
			return // the user has given the pattern twice
		}
		seen[u] = true
		if p.counts == nil {
			p.counts = map[maker.Unmatched]int{}
		}
		if p.counts[u] == 0 {
			p.order = append(p.order, u)
		}
		p.counts[u]++
	}
}

// Unmatched returns the patterns that match nothing in any of the torrents.
func (p *Patterns) Unmatched() []maker.Unmatched {
	return slices.DeleteFunc(slices.Clone(p.order), func(u maker.Unmatched) bool { return p.counts[u] < p.torrents })
}

// PatternHint returns a hint about a pattern that matches nothing, or "" if it has no known
// mistake. names are the names of the torrents' data.
func PatternHint(pattern string, names ...string) string {
	first, _, nested := strings.Cut(strings.TrimPrefix(pattern, "./"), "/")
	drive := len(pattern) > 1 && pattern[1] == ':'
	switch {
	case strings.ContainsAny(pattern, ",;|{"), severalGlobs(pattern):
		return "a pattern is one glob; repeat the flag for each"
	case strings.HasPrefix(pattern, "!"):
		return "a pattern cannot be negated with !"
	case strings.HasPrefix(pattern, "/"), strings.HasPrefix(pattern, "~"), first == "..", first == ".", drive, nested && slices.Contains(names, first):
		return "patterns are relative to the folder of the torrent"
	case strings.Contains(pattern, `\`):
		return "write / between directories"
	case strings.HasPrefix(pattern, ".") && !strings.ContainsAny(pattern, "*?[/"):
		return "*" + pattern + " matches the names that end in " + pattern
	}
	return ""
}

// severalGlobs reports whether pattern looks like several globs with blanks between them.
func severalGlobs(pattern string) bool {
	words := strings.Fields(pattern)
	return len(words) > 1 && !slices.ContainsFunc(words, func(w string) bool { return !strings.ContainsAny(w, "*?[") })
}
