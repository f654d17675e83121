package webseed

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"spate/metainfo"
)

// Layout holds the offsets of the files of a torrent in its byte space, and the names that
// the author of the torrent gave them. A server uses these names, not the names that were
// made safe for this machine. A Layout does not change.
type Layout struct {
	info *metainfo.Info
	name string
	raw  map[int][]string // paths of files that were renamed, by index
}

// NewLayout returns the layout of a torrent. The caller must not change mi afterwards.
func NewLayout(mi *metainfo.MetaInfo) *Layout {
	l := &Layout{info: &mi.Info, name: mi.Info.Name}
	if raw := mi.Info.RawName; usable(raw) {
		l.name = raw
	}
	for _, r := range mi.Info.Renames(mi.InfoBytes) {
		path := make([]string, len(r.Raw))
		ok := true
		for i, part := range r.Raw {
			path[i] = string(part)
			ok = ok && usable(path[i])
		}
		if !ok {
			continue
		}
		if l.raw == nil {
			l.raw = map[int][]string{}
		}
		l.raw[r.File] = path
	}
	return l
}

// usable reports whether a name in a torrent can be a part of the path of a URL. Servers
// resolve the names "." and "..".
func usable(part string) bool { return part != "" && part != "." && part != ".." }

// extent is a part of a range in one file, or padding.
type extent struct {
	file   int   // index of the file; -1 for padding, which is zeros
	offset int64 // offset in the file
	length int64
}

// extent returns the first extent of the n bytes from off. off must be in the byte space, and
// n must be positive.
func (l *Layout) extent(off, n int64) extent {
	k := l.info.FileAt(off)
	if k >= 0 {
		f := &l.info.Files[k]
		if at := off - f.Offset; at < f.Length {
			e := extent{file: k, offset: at, length: min(n, f.Length-at)}
			if f.Pad() {
				e.file = -1
			}
			return e
		}
	}
	// off is between files, which are aligned to pieces in v2 (BEP 52).
	for k++; k < len(l.info.Files); k++ {
		if f := &l.info.Files[k]; f.Length > 0 {
			return extent{file: -1, length: min(n, f.Offset-off)}
		}
	}
	return extent{file: -1, length: n}
}

// Source is the URL of a web seed that has the files of a torrent. It does not change.
type Source struct {
	layout *Layout
	base   *url.URL
}

// ErrScheme is the error of a URL that is neither http nor https.
var ErrScheme = errors.New("not an http or https URL")

// Source returns the web seed with a URL from a torrent.
func (l *Layout) Source(rawURL string) (*Source, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, fmt.Errorf("web seed: %w", err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Opaque != "" {
		return nil, fmt.Errorf("web seed %s: %w", u.Redacted(), ErrScheme)
	}
	if u.Hostname() == "" {
		return nil, fmt.Errorf("web seed %s: no host", u.Redacted())
	}
	u.Fragment, u.RawFragment = "", ""
	return &Source{layout: l, base: u}, nil
}

// String returns the URL of the web seed without its password.
func (s *Source) String() string { return s.base.Redacted() }

// URL returns the URL of file i (BEP 19). For a torrent with a single file it is the web
// seed's own URL, with the file name appended if the URL ends in a slash. For one of several
// files it is the web seed's URL with the names of the torrent, its folders and the file
// appended.
func (s *Source) URL(i int) (*url.URL, error) {
	path := s.base.EscapedPath()
	if path == "" {
		path = "/"
	}
	info := s.layout.info
	switch folder := strings.HasSuffix(path, "/"); {
	case info.Single() && !folder:
		return s.base, nil
	case info.Single():
		path += escape(s.layout.name)
	default:
		if !folder {
			path += "/"
		}
		path += escape(s.layout.name)
		parts, renamed := s.layout.raw[i]
		if !renamed {
			parts = info.Files[i].Path
		}
		for _, part := range parts {
			path += "/" + escape(part)
		}
	}
	plain, err := url.PathUnescape(path)
	if err != nil {
		return nil, err
	}
	u := *s.base
	u.Path, u.RawPath = plain, path
	return &u, nil
}

// escape percent-encodes every byte of a name except unreserved characters, because some
// servers and proxies misread other characters. For example, they read a plus sign as a
// space.
func escape(name string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-._~", c) >= 0:
			b.WriteByte(c)
		default:
			b.WriteString(string([]byte{'%', hex[c>>4], hex[c&15]}))
		}
	}
	return b.String()
}
