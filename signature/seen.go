package signature

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Seen stores the newest release that each site has shown, for each reference without a
// version. It is kept in a text file with lines "SITE REFERENCE PUBLISHED RELEASE", where
// PUBLISHED is in seconds since 1970. A Seen is not safe for concurrent use. If two
// processes write the file at once, it stays intact.
type Seen struct {
	path   string
	newest map[seenKey]Release
}

type seenKey struct{ site, ref string }

// OpenSeen reads the file at path. If there is no such file, no releases were seen.
func OpenSeen(path string) (*Seen, error) {
	s := &Seen{path: path, newest: map[seenKey]Release{}}
	err := fieldsOf(path, 4, "SITE REFERENCE PUBLISHED RELEASE", func(f []string) error {
		ref, err1 := url.PathUnescape(f[1])
		seconds, err2 := strconv.ParseInt(f[2], 10, 64)
		release, err3 := url.PathUnescape(f[3])
		s.newest[seenKey{f[0], ref}] = Release{release, time.Unix(seconds, 0).UTC()}
		return cmp.Or(err1, err2, err3)
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Newest returns the newest release that site has shown for ref.
func (s *Seen) Newest(site, ref string) (Release, bool) {
	r, ok := s.newest[seenKey{site, ref}]
	return r, ok
}

// Remember stores r in the file as the newest release that site has shown for ref. It does
// nothing if the stored release is not older than r.
func (s *Seen) Remember(site, ref string, r Release) error {
	if had, ok := s.Newest(site, ref); ok && !had.Published.Before(r.Published) {
		return nil
	}
	return s.change(func(newest map[seenKey]Release) { newest[seenKey{site, ref}] = r })
}

// Forget removes all releases of site from the file.
func (s *Seen) Forget(site string) error {
	return s.change(func(newest map[seenKey]Release) {
		maps.DeleteFunc(newest, func(k seenKey, _ Release) bool { return k.site == site })
	})
}

// change reads the file again, applies f to its releases and replaces the file
// atomically.
func (s *Seen) change(f func(map[seenKey]Release)) error {
	now, err := OpenSeen(s.path)
	if err != nil {
		return err
	}
	f(now.newest)
	keys := slices.SortedFunc(maps.Keys(now.newest), func(a, b seenKey) int {
		return cmp.Or(strings.Compare(a.site, b.site), strings.Compare(a.ref, b.ref))
	})
	var b bytes.Buffer
	b.WriteString("# The newest release that each site has shown. Older releases are refused.\n")
	for _, k := range keys {
		r := now.newest[k]
		fmt.Fprintf(&b, "%s %s %d %s\n", k.site, url.PathEscape(k.ref), r.Published.Unix(), url.PathEscape(r.Ref))
	}
	if err := replaceFile(s.path, b.Bytes()); err != nil {
		return err
	}
	s.newest = now.newest
	return nil
}
