package maker

import (
	"fmt"
	"strings"
)

// LeftOut counts skipped entries by reason.
type LeftOut map[SkipReason]int

// reasonWords describes one entry and several entries of a reason, in the order of
// [LeftOut.String].
var reasonWords = []struct {
	reason    SkipReason
	one, many string
}{
	{SkipHidden, "hidden or junk file", "hidden or junk files"},
	{SkipOutside, "link out of the folder", "links out of the folder"},
	{SkipBroken, "broken link", "broken links"},
	{SkipDangling, "link to nothing in the torrent", "links to nothing in the torrent"},
	{SkipLoop, "link to its own folder", "links to their own folders"},
	{SkipLink, "link", "links"},
	{SkipSpecial, "pipe, socket or device", "pipes, sockets or devices"},
	{SkipEmptyTree, "empty directory", "empty directories"},
}

// Add counts an entry.
func (l LeftOut) Add(s Skipped) { l[s.Reason]++ }

// Total returns the number of entries.
func (l LeftOut) Total() int {
	n := 0
	for _, count := range l {
		n += count
	}
	return n
}

// Expected reports whether the options left out all entries: hidden files without
// [Options.Hidden], and links with [LinksSkip].
func (l LeftOut) Expected() bool { return l.Total() == l[SkipHidden]+l[SkipLink] }

// String returns a sentence such as "2 entries were left out: 1 hidden or junk file, 1 broken
// link".
func (l LeftOut) String() string {
	var parts []string
	for _, w := range reasonWords {
		switch n := l[w.reason]; n {
		case 0:
		case 1:
			parts = append(parts, "1 "+w.one)
		default:
			parts = append(parts, fmt.Sprint(n, " ", w.many))
		}
	}
	what := "entries were"
	if l.Total() == 1 {
		what = "entry was"
	}
	return fmt.Sprintf("%d %s left out: %s", l.Total(), what, strings.Join(parts, ", "))
}
