package maker

import (
	"fmt"
	"io/fs"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"spate/internal/invisible"
	"spate/metainfo"
)

// NameError is returned for a file name that not all clients could use.
type NameError struct {
	Path   string // below the root, separated by slashes
	Reason string
}

func (e *NameError) Error() string { return fmt.Sprintf("%q: %s", e.Path, e.Reason) }

// CollisionError is returned for two paths that are the same on file systems that
// ignore case, Unicode normalization or joiners. One of the files would be lost there.
type CollisionError struct{ A, B string }

func (e *CollisionError) Error() string {
	return fmt.Sprintf("%q and %q are the same name on some systems; rename or exclude one", e.A, e.B)
}

// junk lists the files that operating systems and archivers add to directories.
var junk = map[string]bool{
	"thumbs.db": true, "ehthumbs.db": true, "ehthumbs_vista.db": true, "desktop.ini": true,
	"$recycle.bin": true, "system volume information": true, "recycler": true,
	"icon\r": true, "__macosx": true, "lost+found": true, "@eadir": true,
}

// hiddenName reports whether a name is skipped by default, because it starts with a dot
// or is in junk.
func hiddenName(name string) bool {
	return strings.HasPrefix(name, ".") || junk[strings.ToLower(name)]
}

// Hidden reports whether a directory entry is skipped unless [Options.Hidden] is set.
func Hidden(d fs.DirEntry) bool { return hiddenName(d.Name()) || hiddenByAttribute(d) }

// checkName returns an error unless a torrent of format f can contain the path. BEP 52
// requires UTF-8. BEP 3 does too, but most programs write the bytes of the name into a v1
// torrent, and clients read them.
func checkName(path string, f metainfo.Format) error {
	if f != metainfo.V1 && !utf8.ValidString(path) {
		return &NameError{path, "the name is not valid UTF-8, which v2 and hybrid torrents require; rename it, or make a v1 torrent"}
	}
	return nil
}

// foldName maps a name to a key. Two names have the same key if any common file system
// treats them as equal.
type foldName struct{ fold cases.Caser }

func newFoldName() foldName { return foldName{cases.Fold()} }

func (f foldName) key(name string) string {
	ascii := true
	for i := 0; i < len(name); i++ {
		if name[i] >= utf8.RuneSelf {
			ascii = false
			break
		}
	}
	if ascii {
		return strings.ToLower(name)
	}
	name = strings.Map(func(r rune) rune {
		switch invisible.Of(r) {
		case invisible.Visible, invisible.Unsafe:
			return r
		}
		return -1 // nobody sees a joiner or a selector, and some file systems ignore them
	}, name)
	// Folding can denormalize the name, so normalize it again.
	return norm.NFC.String(f.fold.String(norm.NFD.String(name)))
}

// checkCollisions returns a *CollisionError if two entries, or two of their
// directories, have the same folded path.
func checkCollisions(entries []entry) error {
	f := newFoldName()
	seen := make(map[string]string, len(entries)) // folded path to path
	var dir, dirKey string                        // the previous directory
	for _, e := range entries {
		d, name := splitRel(e.rel)
		if d != dir || dirKey == "" {
			key, err := f.addDirs(seen, d)
			if err != nil {
				return err
			}
			dir, dirKey = d, key
		}
		if err := add(seen, dirKey+f.key(name), e.rel); err != nil {
			return err
		}
	}
	return nil
}

// addDirs records d and all directories above it. It returns the prefix for the keys of
// the names in d.
func (f foldName) addDirs(seen map[string]string, d string) (string, error) {
	key := "/"
	for i := 0; i < len(d); {
		n := strings.IndexByte(d[i:], '/')
		if n < 0 {
			n = len(d) - i
		}
		key += f.key(d[i : i+n])
		if err := add(seen, key, d[:i+n]); err != nil {
			return "", err
		}
		key += "/"
		i += n + 1
	}
	return key, nil
}

func add(seen map[string]string, key, rel string) error {
	if other, ok := seen[key]; ok && other != rel {
		return &CollisionError{other, rel}
	}
	seen[key] = rel
	return nil
}

// splitRel splits a slash-separated path into its directory, without the slash, and its
// last element.
func splitRel(rel string) (dir, name string) {
	i := strings.LastIndexByte(rel, '/')
	if i < 0 {
		return "", rel
	}
	return rel[:i], rel[i+1:]
}
