package maker

import (
	"slices"
	"strings"
)

// order is the order of the files in the torrent.
type order uint8

const (
	// orderTree compares paths element by element, like the file tree of BEP 52. v2 and
	// hybrid torrents need this order.
	orderTree order = iota
	// orderPath compares whole paths byte by byte, like mktorrent: "a-b" comes before
	// "a/z".
	orderPath
	// orderFold is like orderPath but ignores the case of ASCII letters, like
	// transmission-create.
	orderFold
)

func sortEntries(list []entry, order order) {
	switch order {
	case orderPath:
		slices.SortFunc(list, func(a, b entry) int { return strings.Compare(a.rel, b.rel) })
	case orderFold:
		slices.SortStableFunc(list, func(a, b entry) int {
			if c := compareFold(a.rel, b.rel); c != 0 {
				return c
			}
			return strings.Compare(a.rel, b.rel)
		})
	default:
		// The walk visits the directories in the order of orderTree.
	}
}

// compareFold compares strings ignoring the case of ASCII letters. It treats bytes as
// signed like transmission-create, so that non-ASCII characters come first.
func compareFold(a, b string) int {
	for i := range min(len(a), len(b)) {
		if x, y := lower(a[i]), lower(b[i]); x != y {
			return int(int8(x)) - int(int8(y))
		}
	}
	return len(a) - len(b)
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
