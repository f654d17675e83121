package metainfo

import (
	"fmt"

	"spate/bencode"
	"spate/merkle"
)

// V2Hashes are the SHA-256 hashes of BEP 52 for the data of a v1 torrent. They stand beside
// the info dictionary, so that the torrent has the info-hash and the swarm of any v1 torrent,
// but blocks of 16 KiB can be checked, and files can be compared by their roots. The info-hash
// does not cover the hashes: they are as trustworthy as what brought them.
//
// A torrent file holds them as one string of bytes with the key "v2 hashes": the roots of
// the pieces, then the roots of the files. The piece length must be one that BEP 52 allows:
// a power of two of at least 16 KiB.
type V2Hashes struct {
	// Pieces holds a hash of 32 bytes for each piece: the root of the tree over the blocks of
	// the piece, padded to the height of the tree of a piece of the full length, as in
	// the piece layers of BEP 52.
	Pieces []byte
	// Files holds a hash of 32 bytes for each entry of [Info.Files]: the pieces root of BEP 52,
	// and zeros for an entry without data and for a pad file.
	Files []byte
}

// V2HashesExtension is the extension of a file that holds the string of the v2 hashes that a torrent
// file leaves out because of its size. It follows the whole name of the torrent file.
const V2HashesExtension = ".v2"

// V2HashesType is the media type of such a file. A site and a page name it in their links to the
// file.
const V2HashesType = "application/x-spate-v2-hashes"

// ParseV2Hashes takes apart the string that [V2Hashes.Append] made for a v1 torrent with the
// info dictionary i. The error is an *[Error]. The result keeps slices of b. Hashes that
// contradict each other are an error: the root of a file whose data consists of whole pieces
// must follow from the roots of these pieces.
func ParseV2Hashes(i *Info, b []byte) (*V2Hashes, error) {
	size := i.V2HashesSize()
	switch {
	case i.HasV2():
		return nil, v2HashesError("only a v1 torrent has v2 hashes beside its info dictionary")
	case size == 0:
		return nil, v2HashesError("the piece length is not a power of two of at least 16 KiB")
	case len(b) != size:
		return nil, v2HashesError("the length is %d instead of %d", len(b), size)
	}
	pieces := merkle.HashSize * i.NumPieces()
	h := &V2Hashes{Pieces: b[:pieces:pieces], Files: b[pieces:]}
	for k := range i.Files {
		f := &i.Files[k]
		root := h.FileRoot(k)
		switch {
		case (f.Length == 0 || f.Pad()) != (root == nil):
			return nil, v2HashesError("the root of file %d does not fit its length", k)
		case root == nil || !i.wholePieces(f):
		case merkle.Root(h.layer(i, f), merkle.Layer(i.PieceLength)) != *root:
			return nil, v2HashesError("the root of file %d does not match its pieces", k)
		}
	}
	return h, nil
}

// V2HashesSize returns the number of bytes of the v2 hashes beside i, or 0 if i cannot have any.
func (i *Info) V2HashesSize() int {
	if i.HasV2() || i.PieceLength < merkle.BlockSize || i.PieceLength&(i.PieceLength-1) != 0 {
		return 0
	}
	return merkle.HashSize * (i.NumPieces() + len(i.Files))
}

// RawV2Hashes returns the string of the v2 hashes in a torrent file, or nil if it has none. The
// result is a slice of file. RawV2Hashes does not check the hashes.
func RawV2Hashes(file []byte) (hashes []byte) {
	d := bencode.NewDecoder(file, bencode.Options{})
	if d.Kind() != bencode.Dict {
		return nil
	}
	for key := range d.Dict {
		if string(key) == keyV2Hashes && d.Kind() == bencode.String {
			hashes = d.Bytes()
		}
	}
	return hashes
}

func v2HashesError(format string, a ...any) *Error {
	return &Error{Field: keyV2Hashes, Offset: -1, Reason: fmt.Sprintf(format, a...)}
}

// keyV2Hashes is the key of the v2 hashes in a torrent file.
const keyV2Hashes = "v2 hashes"

// wholePieces reports whether f consists of pieces of its own, at least one of them of the full
// length, so that its tree is made of the trees of the pieces.
func (i *Info) wholePieces(f *File) bool {
	end := f.Offset + f.Length
	return f.Length >= i.PieceLength && f.Offset%i.PieceLength == 0 &&
		(end%i.PieceLength == 0 || end == i.TotalLength())
}

// layer returns the roots of the pieces of a file that consists of whole pieces.
func (h *V2Hashes) layer(i *Info, f *File) []byte {
	first, n := f.Offset/i.PieceLength, ceilDiv(f.Length, i.PieceLength)
	return h.Pieces[merkle.HashSize*first : merkle.HashSize*(first+n)]
}

// FileRoot returns the pieces root (BEP 52) of entry k of [Info.Files]: that of the info
// dictionary, or of the v2 hashes of a v1 torrent. It returns nil if the entry has no data, or
// no such hash.
func (m *MetaInfo) FileRoot(k int) *[merkle.HashSize]byte {
	if m.V2Hashes != nil {
		return m.V2Hashes.FileRoot(k)
	}
	return m.Info.Files[k].PiecesRoot
}

// FileRoot returns the pieces root of entry k of [Info.Files], or nil if the entry has no
// data.
func (h *V2Hashes) FileRoot(k int) *[merkle.HashSize]byte {
	root := (*[merkle.HashSize]byte)(h.Files[merkle.HashSize*k:])
	if *root == ([merkle.HashSize]byte{}) {
		return nil
	}
	return root
}

// PieceRoot returns the root of piece k.
func (h *V2Hashes) PieceRoot(k int) []byte {
	return h.Pieces[merkle.HashSize*k : merkle.HashSize*(k+1)]
}

// Append appends the hashes to b as one string of bytes.
func (h *V2Hashes) Append(b []byte) []byte { return append(append(b, h.Pieces...), h.Files...) }

// v2HashesBeside reads the v2 hashes of a v1 torrent. It ignores hashes that are wrong with a
// warning, because the data can be checked without them.
func (p *parser) v2HashesBeside() {
	if p.v2HashesAt < 0 || p.m.Info.HasV2() {
		return
	}
	c := cursor{p.b, p.v2HashesAt}
	if !c.isString() {
		p.warn(keyV2Hashes, p.v2HashesAt, "ignored: not a string")
		return
	}
	h, err := ParseV2Hashes(&p.m.Info, c.str())
	if err != nil {
		p.warn(keyV2Hashes, p.v2HashesAt, "ignored: "+err.(*Error).Reason)
		return
	}
	p.m.V2Hashes = h
}
