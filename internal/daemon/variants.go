package daemon

import (
	"regexp"
	"slices"
	"strings"
)

// extension matches the extension of a file name, with the one before a compression. It starts with a
// letter, or is 7z, so that it is no part of a version.
var extension = regexp.MustCompile(`(?i)(\.(tar|cpio|img|raw))?\.([a-z][a-z0-9]{0,7}|7z)$`)

// variantsOf returns the part between separators in which each name differs from the others:
// amd64 and arm64 for debian-amd64.iso and debian-arm64.iso, linux and windows for app-linux.tar.gz and
// app-windows.zip. It returns nil if a part is empty or two parts are equal.
func variantsOf(names []string) []string {
	short := make([]string, len(names))
	for i, n := range names {
		short[i] = extension.ReplaceAllString(n, "")
	}
	if v := differences(short); v != nil && !slices.Contains(short, "") {
		return v
	}
	return differences(names) // names such as app.deb and app.rpm differ in their extensions
}

// differences returns the variants of names, of which it treats extensions like every other part.
func differences(names []string) []string {
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

// commonPrefix returns the length of the prefix that a and b share.
func commonPrefix(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}
