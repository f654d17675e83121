package metainfo

import "strings"

// File is an entry of a torrent: a file with data, a pad file or a symbolic link.
type File struct {
	// Path is the path below Info.Name, safe and unique. It is nil for the only file of
	// a single-file torrent, whose name is Info.Name.
	Path       []string
	Length     int64     // in bytes
	Offset     int64     // of the first byte in the byte space of Info
	PiecesRoot *[32]byte // BEP 52: root of the merkle tree; nil for an empty file and in a v1 torrent
	Symlink    *Symlink  // BEP 47: nil unless this is a symbolic link with a safe target
	Attr       Attr
}

// Symlink is the target of a symbolic link.
type Symlink struct {
	// Target is the path below Info.Name of a file or directory of this torrent.
	// Following it never leaves the torrent and never leads into a cycle.
	Target []string
}

// Attr is the set of attributes of a file (BEP 47).
type Attr uint8

// The attributes of BEP 47. Unknown attributes are ignored.
const (
	AttrPad        Attr = 1 << iota // p: padding, which is not stored
	AttrExecutable                  // x
	AttrHidden                      // h
	AttrSymlink                     // l
)

const attrLetters = "pxhl" // in the order of the bits

// ParseAttr parses the attribute letters of BEP 47. It ignores unknown letters.
func ParseAttr[S ~string | ~[]byte](s S) Attr {
	var a Attr
	for _, c := range []byte(s) {
		if k := strings.IndexByte(attrLetters, c); k >= 0 {
			a |= 1 << k
		}
	}
	return a
}

// String returns the attribute letters of BEP 47.
func (a Attr) String() string {
	var b []byte
	for k := range len(attrLetters) {
		if a&(1<<k) != 0 {
			b = append(b, attrLetters[k])
		}
	}
	return string(b)
}

// Pad reports whether the file is padding: zeros that are neither stored nor requested
// from peers.
func (f *File) Pad() bool { return f.Attr&AttrPad != 0 }

// Executable reports whether the file is marked as executable.
func (f *File) Executable() bool { return f.Attr&AttrExecutable != 0 }

// Hidden reports whether the file is marked as hidden.
func (f *File) Hidden() bool { return f.Attr&AttrHidden != 0 }

// IsSymlink reports whether the file is marked as a symbolic link. If its Symlink is
// nil, the target was unsafe and the link must not be created.
func (f *File) IsSymlink() bool { return f.Attr&AttrSymlink != 0 }

// DisplayPath returns the path joined with slashes, such as "dir/file", and "" for the
// only file of a single-file torrent.
func (f *File) DisplayPath() string { return strings.Join(f.Path, "/") }
