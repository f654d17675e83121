// Package metainfo reads and writes torrents: .torrent files in the formats v1 (BEP 3), v2
// and hybrid (BEP 52), info dictionaries that peers send (BEP 9), and magnet links (BEP 9,
// BEP 53).
//
// The package accepts input from untrusted sources. [Limits] bounds the time and memory of
// the parser. The parser makes file names safe ([Names]), checks sums for overflow, checks
// piece layers against their roots, and returns an error if the v1 file list and the v2
// file tree of a hybrid torrent describe different files. The info-hash is always the hash
// of the original bytes.
//
// Values are plain data. Concurrent reads are safe, concurrent changes are not. Values keep
// slices of the input, so the caller must not change the input.
package metainfo

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"time"

	"spate"
	"spate/internal/units"
)

// MetaInfo is a torrent: a description of its data, and where to find peers and seeds.
type MetaInfo struct {
	Info         Info
	InfoBytes    []byte     // the original info dictionary, from which the info-hashes are computed
	AnnounceList [][]string // BEP 12: tiers of tracker URLs; a lone "announce" becomes one tier with one tracker
	WebSeeds     []string   // BEP 19: url-list
	HTTPSeeds    []string   // BEP 17: httpseeds
	Nodes        []string   // BEP 5: DHT nodes, host:port
	Comment      string
	CreatedBy    string
	Encoding     string
	CreationDate time.Time        // zero if absent
	Similar      []spate.InfoHash // BEP 38, outside of the info dictionary
	Collections  []string         // BEP 38, outside of the info dictionary
	// PieceLayers maps the pieces root of a file to the concatenated hashes of its
	// pieces, 32 bytes each (BEP 52). Each layer was checked against its root. Files of
	// at most one piece have no entry. Other entries may be missing, see MissingLayers.
	PieceLayers map[[32]byte][]byte
	// V2Hashes are the v2 hashes of a v1 torrent, or nil if it has none. Bytes leaves them
	// out of a new or changed torrent file that would exceed the 10,000,000 bytes that other
	// programs accept.
	V2Hashes *V2Hashes
	Warnings []Warning // defects that other programs may reject; at most about 100
	Trailing int       // number of bytes after the end of the torrent

	hashV1      spate.InfoHash
	hashV2      spate.InfoHashV2
	raw         []byte          // the original torrent file; nil for a torrent that New made
	overwritten [numFields]bool // set by Overwrite
}

// Parse parses a torrent file with default options. The error is an *[Error]. Parse
// takes time and memory proportional to the length of b: for the most expensive torrents of
// up to 4 MiB less than 100 ms and 28 MiB, and as much for each further 4 MiB.
func Parse(b []byte) (*MetaInfo, error) { return Options{}.Parse(b) }

// Read reads a torrent file from r until its end, or until the maximum size.
func Read(r io.Reader) (*MetaInfo, error) { return Options{}.Read(r) }

// ReadFile reads the torrent file at path.
func ReadFile(path string) (*MetaInfo, error) { return Options{}.ReadFile(path) }

// FromInfo returns a torrent for an info dictionary, such as metadata from peers (BEP
// 9). It has no trackers and no piece layers. The caller must have checked the
// info-hash of raw.
func FromInfo(raw []byte) (*MetaInfo, error) { return Options{}.FromInfo(raw) }

// Read is like the function [Read] with the options o.
func (o Options) Read(r io.Reader) (*MetaInfo, error) {
	size := o.Limits.Size
	setDefault(&size, MaxSize)
	b, err := readAll(r, 0, size)
	if err != nil {
		return nil, err
	}
	return o.Parse(b)
}

// ReadAll reads the bytes of a torrent file from r until its end. It returns an [*Error] if
// they are more than [MaxSize], or as soon as they do not start like a torrent file.
func ReadAll(r io.Reader) ([]byte, error) { return readAll(r, 0, MaxSize) }

// readAll is like ReadAll for at most most bytes. size is the probable number of bytes, for
// which it allocates memory, or 0.
func readAll(r io.Reader, size int64, most int) ([]byte, error) {
	buf := bytes.NewBuffer(make([]byte, 0, min(size, HeadSize)+bytes.MinRead))
	from := io.LimitReader(r, int64(most)+1)
	_, err := io.CopyN(buf, from, 1)
	if err == nil && buf.Bytes()[0] == 'd' {
		_, err = io.CopyN(buf, from, HeadSize-1)
	}
	if problem := CheckHead(buf.Bytes()); problem != nil {
		return nil, problem
	}
	if err == nil {
		buf.Grow(int(max(0, size-HeadSize)) + bytes.MinRead)
		_, err = buf.ReadFrom(from)
	}
	switch {
	case err != nil && err != io.EOF:
		return nil, fmt.Errorf("read torrent: %w", err)
	case buf.Len() > most:
		return nil, tooLarge(int64(buf.Len()), most)
	}
	return buf.Bytes(), nil
}

func notDictionary() *Error {
	return &Error{Offset: 0, Reason: "not a torrent: it does not start with a dictionary"}
}

// ReadFile is like the function [ReadFile] with the options o.
func (o Options) ReadFile(path string) (*MetaInfo, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size := o.Limits.Size
	setDefault(&size, MaxSize)
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return o.Read(f)
	}
	if st.Size() > int64(size) {
		return nil, tooLarge(st.Size(), size)
	}
	b, err := readAll(f, st.Size(), size)
	if err != nil {
		return nil, err
	}
	return o.Parse(b)
}

func tooLarge(n int64, most int) *Error {
	return &Error{Offset: -1, Reason: fmt.Sprintf("%s exceed the limit of %d", units.Plural(n, "byte"), most), cause: ErrLimit}
}

// HashV1 returns the SHA-1 of the info dictionary. It returns false for a v2 torrent.
func (m *MetaInfo) HashV1() (spate.InfoHash, bool) {
	return m.hashV1, !m.hashV1.IsZero()
}

// HashV2 returns the SHA-256 of the info dictionary. It returns false for a v1 torrent.
func (m *MetaInfo) HashV2() (spate.InfoHashV2, bool) {
	return m.hashV2, !m.hashV2.IsZero()
}

// Hash returns the info-hash that identifies the swarm: the v1 info-hash of a v1 or
// hybrid torrent, and the truncated v2 info-hash of a v2 torrent.
func (m *MetaInfo) Hash() spate.InfoHash {
	if !m.hashV1.IsZero() {
		return m.hashV1
	}
	return m.hashV2.Truncate()
}

func (m *MetaInfo) computeHashes() {
	if m.Info.HasV1() {
		m.hashV1 = sha1.Sum(m.InfoBytes)
	}
	if m.Info.HasV2() {
		m.hashV2 = sha256.Sum256(m.InfoBytes)
	}
}

// MissingLayers returns the number of files of more than one piece whose piece layer is
// missing. The layers must be requested from peers before the data can be checked with
// v2 hashes.
func (m *MetaInfo) MissingLayers() int {
	n := 0
	for k := range m.Info.Files {
		f := &m.Info.Files[k]
		if f.PiecesRoot != nil && f.Length > m.Info.PieceLength && m.PieceLayers[*f.PiecesRoot] == nil {
			n++
		}
	}
	return n
}

// PieceLayer returns the concatenated hashes of the pieces of f, 32 bytes each (BEP 52).
// The layer of a file with one piece is its root. PieceLayer returns nil for an empty file,
// in a v1 torrent, and if the layer is missing.
func (m *MetaInfo) PieceLayer(f *File) []byte {
	switch {
	case f.PiecesRoot == nil:
		return nil
	case f.Length <= m.Info.PieceLength:
		return f.PiecesRoot[:]
	}
	return m.PieceLayers[*f.PiecesRoot]
}
