package metainfo

import "spate/bencode"

// Limits bounds the memory and time that a torrent can cost. A zero field selects the
// default given below. Exceeding a limit is an [Error] that wraps [ErrLimit].
type Limits struct {
	Size        int   // in bytes, of a torrent file and of metadata from peers: 256,000,000
	Pieces      int   // number of pieces: 4,194,304
	Files       int   // number of files and links, without pad files: 1,048,576
	PieceLength int64 // in bytes: 512 MiB
	Tokens      int   // number of bencoded tokens: 3,000,000, or one for two bytes of the torrent if that is more
	Nesting     int   // depth of bencoded lists and dictionaries: 100, which is also the maximum
	Depth       int   // number of directories in a path: 100, which is also the maximum
	Names       int   // memory in bytes for files and their names: 20 MiB, or five bytes for each byte of the torrent if that is more
	List        int   // number of trackers, web seeds, nodes, similar torrents, collections and symbolic links: 10,000 each
}

// The defaults of [Limits], and limits that cannot be changed. All programs and packages of
// this module use these limits, for the torrents that they write and for those that they
// read. They are higher than those of other programs; see [MetaInfo.Exceeds].
const (
	MaxSize        = 256_000_000 // a hybrid torrent of MaxFiles small files with names of 30 bytes
	MaxPieces      = 1 << 22
	MaxFiles       = 1 << 20
	MaxPieceLength = 512 << 20
	MaxDepth       = 100
	MaxText        = 64 << 10 // length in bytes of a comment and similar text; the rest is cut off
	MaxURL         = 8 << 10  // length in bytes of a URL; longer ones are ignored

	minNames     = 20 << 20
	namesPerByte = 5
	maxList      = 10_000
	maxKeys      = 4096 // number of keys in a dictionary inside info, if they are not sorted
)

// Names is a policy for names of files from outside.
type Names uint8

const (
	// NamesSafe makes names safe on all systems. It removes or replaces empty parts,
	// ".", "..", slashes, backslashes, drive letters, device names of Windows, control,
	// bidirectional and invisible characters, invalid UTF-8, and parts of more than 255
	// bytes. It keeps joiners and selectors where a script or an emoji needs them. On
	// Windows it is the same as NamesWindows.
	NamesSafe Names = iota
	// NamesWindows also replaces < > : " | ? * and trailing dots and spaces.
	NamesWindows
	// NamesNative changes only names that would leave the directory or are not valid on
	// this system. Use it for data that already exists.
	NamesNative
)

// Options configures the parser. The zero value selects the defaults.
type Options struct {
	Limits Limits
	Names  Names
}

// withDefaults returns o with the default limits for a torrent of size bytes.
func (o Options) withDefaults(size int) Options {
	setDefault(&o.Limits.Pieces, MaxPieces)
	setDefault(&o.Limits.PieceLength, MaxPieceLength)
	setDefault(&o.Limits.Files, MaxFiles)
	setDefault(&o.Limits.Nesting, bencode.MaxDepth)
	setDefault(&o.Limits.Depth, MaxDepth)
	setDefault(&o.Limits.Names, max(minNames, namesPerByte*size))
	setDefault(&o.Limits.List, maxList)
	o.Limits.Depth = min(o.Limits.Depth, MaxDepth)
	return o
}

func setDefault[T int | int64](v *T, standard T) {
	if *v <= 0 {
		*v = standard
	}
}
