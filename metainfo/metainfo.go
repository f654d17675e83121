// Package metainfo reads and writes torrents: .torrent files of v1 (BEP 3), v2
// and hybrid (BEP 52), the info dictionary alone as peers send it (BEP 9), and
// magnet links (BEP 9, BEP 53).
//
// What it reads is meant to come from anybody. [Limits] bound time and memory,
// names are made safe ([Names]), sums are checked for overflow, the hashes of v2
// are checked against their roots, and the two halves of a hybrid against each
// other. The info-hash is always that of the bytes as they stood.
//
// Values are plain data: reading them from many goroutines is safe, changing
// them is not. They keep parts of the input, which must not change.
package metainfo

import (
	"crypto/sha1"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"time"

	"spate"
)

// MetaInfo is a torrent: what to fetch, and where to find those who have it.
type MetaInfo struct {
	Info         Info
	InfoBytes    []byte     // the info dictionary as it stood: what the info-hashes are of
	AnnounceList [][]string // BEP 12: tiers of tracker URLs; one tier of one where there is only "announce"
	WebSeeds     []string   // BEP 19: url-list
	HTTPSeeds    []string   // BEP 17: httpseeds
	Nodes        []string   // BEP 5: DHT nodes, host:port
	Comment      string
	CreatedBy    string
	Encoding     string
	CreationDate time.Time        // zero when absent
	Similar      []spate.InfoHash // BEP 38, outside of info
	Collections  []string         // BEP 38, outside of info
	// PieceLayers holds, by pieces root, the concatenated hashes of 32 bytes of
	// one file's pieces (BEP 52). Each list was checked to hash to its root. Files
	// of one piece or none have no entry; others can be missing too, see
	// MissingLayers.
	PieceLayers map[[32]byte][]byte
	Warnings    []Warning // what other programs may not accept; at most about 100
	Trailing    int       // bytes that follow the torrent and are no part of it

	hashV1 spate.InfoHash
	hashV2 spate.InfoHashV2
	raw    []byte // the torrent as it stood; nil for one that was made
}

// Parse reads a torrent with default options. Its errors are of type *[Error].
// Time and memory are in proportion to b: for the largest and worst one under
// 100 ms and 22 MiB.
func Parse(b []byte) (*MetaInfo, error) { return Options{}.Parse(b) }

// Read reads a torrent from r up to its end or the limit of its size.
func Read(r io.Reader) (*MetaInfo, error) { return Options{}.Read(r) }

// ReadFile reads the torrent file at path.
func ReadFile(path string) (*MetaInfo, error) { return Options{}.ReadFile(path) }

// FromInfo returns a torrent of an info dictionary alone, such as metadata from
// peers (BEP 9), without trackers and without piece layers. The caller checks its
// hash before.
func FromInfo(raw []byte) (*MetaInfo, error) { return Options{}.FromInfo(raw) }

// Read is like the function Read, with options.
func (o Options) Read(r io.Reader) (*MetaInfo, error) {
	size := o.Limits.Size
	or(&size, MaxSize)
	b, err := io.ReadAll(io.LimitReader(r, int64(size)+1))
	if err != nil {
		return nil, fmt.Errorf("read torrent: %w", err)
	}
	return o.Parse(b)
}

// ReadFile is like the function ReadFile, with options.
func (o Options) ReadFile(path string) (*MetaInfo, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size := o.Limits.Size
	or(&size, MaxSize)
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
	b := make([]byte, st.Size())
	if _, err := io.ReadFull(f, b); err != nil {
		return nil, fmt.Errorf("read torrent %s: %w", path, err)
	}
	return o.Parse(b)
}

func tooLarge(n int64, most int) *Error {
	return &Error{Offset: -1, Reason: fmt.Sprintf("%d bytes, more than %d", n, most), cause: ErrLimit}
}

// HashV1 returns the SHA-1 of the info dictionary, if there is a v1 half.
func (m *MetaInfo) HashV1() (spate.InfoHash, bool) {
	return m.hashV1, !m.hashV1.IsZero()
}

// HashV2 returns the SHA-256 of the info dictionary, if there is a v2 half.
func (m *MetaInfo) HashV2() (spate.InfoHashV2, bool) {
	return m.hashV2, !m.hashV2.IsZero()
}

// Hash returns the name of the torrent's swarm: the v1 info-hash if there is a
// v1 half, otherwise the truncated v2 one.
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

// MissingLayers returns how many files lack their piece layer: v2 files of more
// than one piece that peers have to be asked about before the data can be
// checked by v2.
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

// PieceLayer returns the concatenated hashes of 32 bytes of the pieces of f
// (BEP 52): for a file of one piece its root. It is nil for an empty file, for
// one without a v2 half, and where the layer is missing.
func (m *MetaInfo) PieceLayer(f *File) []byte {
	switch {
	case f.PiecesRoot == nil:
		return nil
	case f.Length <= m.Info.PieceLength:
		return f.PiecesRoot[:]
	}
	return m.PieceLayers[*f.PiecesRoot]
}
