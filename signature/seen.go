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

// Seen are the newest releases that sites have shown under references that stand
// for the newest one: a file of lines "SITE REFERENCE PUBLISHED RELEASE", with the
// time in seconds since 1970. It is not safe for concurrent use; two processes that
// write at once keep the file whole.
type Seen struct {
	path   string
	newest map[seenKey]Release
}

type seenKey struct{ site, ref string }

// OpenSeen reads the file at path. One that is not there is empty.
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

// Newest is the newest release that site has shown as ref.
func (s *Seen) Newest(site, ref string) (Release, bool) {
	r, ok := s.newest[seenKey{site, ref}]
	return r, ok
}

// Remember writes that site has shown r as ref, unless a newer one was shown.
func (s *Seen) Remember(site, ref string, r Release) error {
	if had, ok := s.Newest(site, ref); ok && !had.Published.Before(r.Published) {
		return nil
	}
	return s.change(func(newest map[seenKey]Release) { newest[seenKey{site, ref}] = r })
}

// Forget writes that site has shown nothing.
func (s *Seen) Forget(site string) error {
	return s.change(func(newest map[seenKey]Release) {
		maps.DeleteFunc(newest, func(k seenKey, _ Release) bool { return k.site == site })
	})
}

// change does what f does to the file as it is now, and writes it in one step.
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
	b.WriteString("# The newest releases that sites have shown; older ones are refused in their place.\n")
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
