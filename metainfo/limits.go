package metainfo

import "spate/bencode"

// Limits bound what a torrent may cost its reader. A zero field has the default
// that is given with it; crossing one is an [Error] that wraps [ErrLimit].
type Limits struct {
	Size        int   // bytes of the torrent file: 10 MiB; of metadata from peers: 16 MiB
	Pieces      int   // 2,097,152
	PieceLength int64 // bytes: 512 MiB
	Tokens      int   // of the encoding: 3,000,000
	Nesting     int   // of the encoding: 100, which is also the most
	Depth       int   // directories of a path: 100, which is also the most
	Names       int   // bytes of memory for the files and their names: 20 MiB, about 200,000 files
	List        int   // trackers, web seeds, nodes, similar torrents, collections, symbolic links: 10,000 of each
}

// The defaults of Limits, and what is not worth a setting.
const (
	MaxSize        = 10 << 20
	MaxMetadata    = 16 << 20
	MaxPieces      = 2_097_152
	MaxPieceLength = 512 << 20
	MaxDepth       = 100

	maxNames = 20 << 20
	maxList  = 10_000
	maxText  = 64 << 10 // bytes of a comment and its like; the rest is cut
	maxURL   = 8 << 10  // bytes of a URL; a longer one is left out
	maxKeys  = 4096     // of a dictionary in info whose keys are unsorted
)

// Names is a policy for file names that came from outside.
type Names uint8

const (
	// NamesSafe makes names harmless on every system: no parts that are empty,
	// "." or "..", no slashes of either kind, drive letters, device names of
	// Windows, control or bidirectional characters, invalid UTF-8, or parts of
	// over 255 bytes. On Windows it is NamesWindows.
	NamesSafe Names = iota
	// NamesWindows also replaces < > : " | ? * and trailing dots and spaces.
	NamesWindows
	// NamesNative changes only what would leave the directory or cannot be the
	// name of a file on this system: for data that already lies there.
	NamesNative
)

// Options are how to read a torrent. The zero value has the defaults.
type Options struct {
	Limits Limits
	Names  Names
}

func (o Options) withDefaults() Options {
	or(&o.Limits.Pieces, MaxPieces)
	or(&o.Limits.PieceLength, MaxPieceLength)
	or(&o.Limits.Tokens, bencode.MaxTokens)
	or(&o.Limits.Nesting, bencode.MaxDepth)
	or(&o.Limits.Depth, MaxDepth)
	or(&o.Limits.Names, maxNames)
	or(&o.Limits.List, maxList)
	o.Limits.Depth = min(o.Limits.Depth, MaxDepth)
	return o
}

func or[T int | int64](v *T, standard T) {
	if *v <= 0 {
		*v = standard
	}
}
