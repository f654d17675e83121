package metainfo

import (
	"hash/maphash"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"unicode/utf8"
)

// OtherNames returns the names, other than Info.Name, that the data may have on this
// machine: the bytes of the torrent, which the data has on the machine where the torrent was
// made, and the names that other programs make of them. All are valid file names on this
// system. There are none for almost all torrents.
func (m *MetaInfo) OtherNames() []string {
	if m.Info.RawName == "" && !m.Info.twoNames {
		return nil
	}
	p := m.Info.walkRaw(m.InfoBytes, func(int, *entry) {})
	var list []string
	if u := m.undecoded(); u != nil && u.Name != m.Info.Name {
		list = append(list, u.Name)
	}
	for _, raw := range [][]byte{p.info.nameUTF8, p.info.name} {
		for _, style := range styles {
			if s := style(string(raw)); s != m.Info.Name && isLocalName(s) && !slices.Contains(list, s) {
				list = append(list, s)
			}
		}
	}
	return list
}

// OtherPaths returns by file index the paths, other than File.Path, at which a file may be
// on this machine, for the same reasons as [MetaInfo.OtherNames]. A path is relative to the
// torrent's name, its elements are separated by '/', and it never leads out of the
// directory. No two files have the same path.
//
// If distinct is set, OtherPaths leaves out paths that a file system could take for the
// path of another file. Set it if the file may be written.
func (m *MetaInfo) OtherPaths(distinct bool) map[int][]string {
	i := &m.Info
	if i.Single() || i.renamed == 0 && !i.twoNames {
		return nil
	}
	o := newOtherPaths(i)
	if u := m.undecoded(); u != nil {
		for k := range u.Files {
			if f := &u.Files[k]; !f.Pad() {
				o.addPath(k, f.DisplayPath(), f.Path, !distinct)
			}
		}
	}
	i.walkRaw(m.InfoBytes, func(k int, e *entry) {
		if i.Files[k].Pad() || len(e.utf8) == 0 && equalPath(i.Files[k].Path, e.path) {
			return
		}
		for _, raw := range [][][]byte{e.path, e.utf8} {
			for n, style := range styles {
				o.add(k, raw, style, n == 0 && !distinct)
			}
		}
	})
	return o.paths
}

// undecoded returns the files under the names that spate gives them if it has only the info
// dictionary, and that spate 0.1 gave them. It returns nil if no name was decoded.
func (m *MetaInfo) undecoded() *Info {
	if !m.Info.decoded {
		return nil
	}
	u, err := FromInfo(m.InfoBytes)
	if err != nil || len(u.Info.Files) != len(m.Info.Files) {
		return nil
	}
	return &u.Info
}

// otherPaths collects the result of OtherPaths.
type otherPaths struct {
	hash  pathHasher
	known hashSet         // folded paths of all files
	exact hashSet         // paths of all files
	taken map[string]bool // the paths in paths
	paths map[int][]string
}

func newOtherPaths(i *Info) *otherPaths {
	n := len(i.Files)
	o := &otherPaths{hash: pathHasher{seed: maphash.MakeSeed()}, known: newHashSet(n), exact: newHashSet(n), taken: map[string]bool{}}
	for k := range i.Files {
		if f := &i.Files[k]; !f.Pad() {
			o.known.add(o.key(f.Path))
			o.exact.add(o.exactKey(f.DisplayPath()))
		}
	}
	return o
}

// key returns the hash of a folded path.
func (o *otherPaths) key(path []string) uint64 {
	key, _ := o.hash.fold.key(path[len(path)-1])
	return o.hash.child(o.hash.dir(path), key)
}

func (o *otherPaths) exactKey(path string) uint64 { return mix(0, maphash.String(o.hash.seed, path)) }

// add adds the path that a program makes of raw for file k. It adds the path of another
// file in another case only if alike is set.
func (o *otherPaths) add(k int, raw [][]byte, style func(string) string, alike bool) {
	path := make([]string, 0, len(raw))
	for _, part := range raw {
		s := style(string(part))
		if !isLocalName(s) {
			return
		}
		path = append(path, s)
	}
	if len(path) == 0 {
		return
	}
	o.addPath(k, strings.Join(path, "/"), path, alike)
}

// addPath adds a path, which s joins, for file k.
func (o *otherPaths) addPath(k int, s string, path []string, alike bool) {
	if o.taken[s] || o.exact.has(o.exactKey(s)) || o.known.has(o.key(path)) && !alike {
		return
	}
	o.taken[s] = true
	if o.paths == nil {
		o.paths = map[int][]string{}
	}
	o.paths[k] = append(o.paths[k], s)
}

// styles are the ways in which programs make a file name of the bytes in a torrent. The
// first one keeps them, as most programs do on Unix.
var styles = []func(string) string{
	func(s string) string { return s },
	underscored,
	replacedByte,
	percentEncoded,
}

// underscored returns the name that libtorrent makes: it leaves out slashes, backslashes
// and some bidirectional controls, and writes an underscore for the bytes that the first
// byte of an invalid character announces.
func underscored(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			n = announced(s[i])
			b.WriteByte('_')
		case !isSeparator(r) && r != 0x200e && r != 0x200f && (r < 0x202a || r > 0x202e):
			b.WriteString(s[i : i+n])
		}
		i += n
	}
	return b.String()
}

// announced returns the length of the UTF-8 sequence that starts with c.
func announced(c byte) int {
	switch {
	case c >= 0xf8 || c < 0xc0:
		return 1
	case c >= 0xf0:
		return 4
	case c >= 0xe0:
		return 3
	}
	return 2
}

// replacedByte returns the name that Transmission makes: U+FFFD stands for each byte that is
// not UTF-8.
func replacedByte(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return string([]rune(s))
}

// percentEncoded returns the name that aria2 makes: it percent-encodes names that are not
// UTF-8.
func percentEncoded(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for _, c := range []byte(s) {
		if isLetter(c) || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0 {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return b.String()
}

// isLocalName reports whether s can be the name of a file on this system, and no path.
func isLocalName(s string) bool {
	if s == "" || s == "." || len(s) > maxNameLen || strings.ContainsAny(s, "/\x00") || !filepath.IsLocal(s) {
		return false
	}
	return runtime.GOOS != "windows" || utf8.ValidString(s) && cleanName(s, NamesWindows) == s
}
