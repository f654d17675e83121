package metainfo

import "spate/bencode"

// Limits bounds the memory and time that a torrent can cost. A zero field selects the
// default given below. Exceeding a limit is an [Error] that wraps [ErrLimit].
type Limits struct {
	Size        int   // in bytes: 10 MiB for a torrent file, 16 MiB for metadata from peers
	Pieces      int   // number of pieces: 2,097,152
	PieceLength int64 // in bytes: 512 MiB
	Tokens      int   // number of bencoded tokens: 3,000,000
	Nesting     int   // depth of bencoded lists and dictionaries: 100, which is also the maximum
	Depth       int   // number of directories in a path: 100, which is also the maximum
	Names       int   // memory in bytes for files and their names: 20 MiB, about 200,000 files
	List        int   // number of trackers, web seeds, nodes, similar torrents, collections and symbolic links: 10,000 each
}

// The defaults of [Limits], and limits that cannot be changed.
const (
	MaxSize        = 10 << 20
	MaxMetadata    = 16 << 20
	MaxPieces      = 2_097_152
	MaxPieceLength = 512 << 20
	MaxDepth       = 100
	MaxText        = 64 << 10 // length in bytes of a comment and similar text; the rest is cut off
	MaxURL         = 8 << 10  // length in bytes of a URL; longer ones are ignored

	maxNames = 20 << 20
	maxList  = 10_000
	maxKeys  = 4096 // number of keys in a dictionary inside info, if they are not sorted
)

// Names is a policy for names of files from outside.
type Names uint8

const (
	// NamesSafe makes names safe on all systems. It removes or replaces empty parts,
	// ".", "..", slashes, backslashes, drive letters, device names of Windows, control
	// and bidirectional characters, invalid UTF-8, and parts of more than 255 bytes. On
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

func (o Options) withDefaults() Options {
	setDefault(&o.Limits.Pieces, MaxPieces)
	setDefault(&o.Limits.PieceLength, MaxPieceLength)
	setDefault(&o.Limits.Tokens, bencode.MaxTokens)
	setDefault(&o.Limits.Nesting, bencode.MaxDepth)
	setDefault(&o.Limits.Depth, MaxDepth)
	setDefault(&o.Limits.Names, maxNames)
	setDefault(&o.Limits.List, maxList)
	o.Limits.Depth = min(o.Limits.Depth, MaxDepth)
	return o
}

func setDefault[T int | int64](v *T, standard T) {
	if *v <= 0 {
		*v = standard
	}
}
