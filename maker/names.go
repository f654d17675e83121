package maker

import (
	"fmt"
	"io/fs"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// NameError is a file name that a torrent cannot carry to every reader.
type NameError struct {
	Path   string // slash-separated, below the root
	Reason string
}

func (e *NameError) Error() string { return fmt.Sprintf("%q: %s", e.Path, e.Reason) }

// CollisionError are two names that are one file on systems which fold case or
// normalise Unicode: data would be lost there.
type CollisionError struct{ A, B string }

func (e *CollisionError) Error() string {
	return fmt.Sprintf("%q and %q are the same name on some systems; rename or exclude one", e.A, e.B)
}

// junk are the files that systems leave behind in every folder.
var junk = map[string]bool{
	"thumbs.db": true, "ehthumbs.db": true, "ehthumbs_vista.db": true, "desktop.ini": true,
	"$recycle.bin": true, "system volume information": true, "recycler": true,
	"icon\r": true, "__macosx": true, "lost+found": true, "@eadir": true,
}

// hiddenName reports a name that is left out by default: hidden by the custom of
// Unix (.DS_Store is), or junk of some system.
func hiddenName(name string) bool {
	return strings.HasPrefix(name, ".") || junk[strings.ToLower(name)]
}

// Hidden reports whether an entry of a directory is left out unless
// [Options.Hidden] is set.
func Hidden(d fs.DirEntry) bool { return hiddenName(d.Name()) || hiddenByAttribute(d) }

// checkName reports whether one name of a path can be written.
func checkName(rel, name string) error {
	if !utf8.ValidString(name) {
		return &NameError{rel, "the name is not valid UTF-8; rename it"}
	}
	return nil
}

// foldName maps names that some file system takes for the same to one key.
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
	// Folding can undo the normal form, so it is restored.
	return norm.NFC.String(f.fold.String(norm.NFD.String(name)))
}

// checkCollisions returns a *CollisionError when two entries, or two of their
// directories, are one after folding.
func checkCollisions(entries []entry) error {
	f := newFoldName()
	seen := make(map[string]string, len(entries)) // folded path -> path
	var dir, dirKey string                        // the last directory looked at
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

// addDirs records d and every directory above it, and returns the key that the
// names below it begin with.
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

// splitRel splits a slash-separated path into its directory, without the slash,
// and its last name.
func splitRel(rel string) (dir, name string) {
	i := strings.LastIndexByte(rel, '/')
	if i < 0 {
		return "", rel
	}
	return rel[:i], rel[i+1:]
}
