package metainfo

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net"
	"slices"
	"strconv"

	"spate/bencode"
)

// New makes a torrent from info and the piece layers of its files (BEP 52), which are
// nil for a v1 torrent. The caller can then set trackers and other fields.
//
// The info dictionary is encoded canonically, so that the same Info always gives the
// same info-hash. The files keep their order, including pad files; for v2 and hybrid
// torrents they must be in the order of the sorted file tree. New ignores File.Offset
// and computes it. If there is only one file and its Path is nil, the torrent is a
// single file.
//
// New returns an error if [Parse] would reject the torrent, or would have to rename a
// file because its path collides with another one or is not a valid file name.
func New(info Info, layers map[[32]byte][]byte) (*MetaInfo, error) {
	raw, err := encodeInfo(&info)
	if err != nil {
		return nil, err
	}
	info.Files = nil // the garbage collector may free them while the parser makes its own
	o := Options{Names: NamesNative}
	m, err := o.FromInfo(raw)
	if err != nil {
		return nil, err
	}
	if m.Info.renamed > 0 || m.Info.RawName != "" {
		return nil, &Error{Field: "info", Offset: -1, Reason: firstRenamed(m)}
	}
	if err := m.setLayers(layers); err != nil {
		return nil, err
	}
	return m, nil
}

// SetLayers sets the piece layers of a torrent, and computes the info-hashes again. Call it
// after changing hashes in place: the bytes of Info.Pieces and of the PiecesRoot of each file
// are parts of InfoBytes. So a torrent that was made before its data was hashed need not be
// encoded twice.
func (m *MetaInfo) SetLayers(layers map[[32]byte][]byte) error {
	m.PieceLayers = nil
	m.computeHashes()
	return m.setLayers(layers)
}

func (m *MetaInfo) setLayers(layers map[[32]byte][]byte) error {
	if len(layers) > 0 {
		m.PieceLayers = maps.Clone(layers)
	}
	return m.verifyLayers()
}

func firstRenamed(m *MetaInfo) string {
	for _, r := range m.Info.Renames(m.InfoBytes) {
		return fmt.Sprintf("%q collides with another file or is not a valid file name", bytes.Join(r.Raw, []byte("/")))
	}
	return fmt.Sprintf("%q is not a valid file name", m.Info.RawName)
}

// Bytes returns the torrent file. Its info dictionary is InfoBytes; changes of Info
// have no effect. If the torrent was read from a file, all values that were not changed
// keep their bytes, including those of unknown keys. A value that was changed replaces
// all values for the same field in the file; see [Field].
func (m *MetaInfo) Bytes() ([]byte, error) {
	if m.InfoBytes == nil {
		return nil, errors.New("torrent: no info dictionary: use New")
	}
	now := m.fields()
	if m.raw == nil {
		return m.assemble(now), nil
	}
	old, err := Parse(m.raw)
	if err != nil {
		// Parse fails if the torrent was read with higher limits than the defaults. The
		// limits here allow all its values, because the first call of Parse limited its
		// cost.
		o := Options{Limits: Limits{
			Size: len(m.raw), Pieces: math.MaxInt, PieceLength: 1 << 62, Tokens: len(m.raw) + 1,
			Names: math.MaxInt, List: len(m.raw) + 1,
		}}
		if old, err = o.Parse(m.raw); err != nil {
			return nil, err
		}
	}
	if !bytes.Equal(old.InfoBytes, m.InfoBytes) {
		now["info"] = m.InfoBytes
	}
	changes := map[string][]byte{}
	before := old.fields()
	for _, key := range topKeys {
		if !bytes.Equal(before[key], now[key]) {
			changes[key] = now[key]
		}
	}
	for field, keys := range fieldKeys {
		if m.overwritten[field] || !old.sameField(m, Field(field)) {
			for _, key := range keys {
				changes[key] = now[key]
			}
		}
	}
	file, err := Edit(m.raw, changes)
	if err == nil && len(file) > libtorrentSize && m.V2Hashes != nil && len(changes) > 0 {
		changes[keyV2Hashes] = nil
		return Edit(m.raw, changes)
	}
	return file, err
}

// Field is a field of a torrent that a file can store under several keys.
type Field int

// The fields, with their keys in a file.
const (
	FieldTrackers     Field = iota // AnnounceList: announce, announce-list (BEP 12)
	FieldWebSeeds                  // WebSeeds: url-list (BEP 19)
	FieldHTTPSeeds                 // HTTPSeeds: httpseeds (BEP 17)
	FieldComment                   // Comment: comment, comment.utf-8
	FieldCreatedBy                 // CreatedBy: created by, created by.utf-8
	FieldCreationDate              // CreationDate: creation date
	numFields
)

// fieldKeys lists the top-level keys of each field.
var fieldKeys = [numFields][]string{
	FieldTrackers:     {"announce", "announce-list"},
	FieldWebSeeds:     {"url-list"},
	FieldHTTPSeeds:    {"httpseeds"},
	FieldComment:      {"comment", "comment.utf-8"},
	FieldCreatedBy:    {"created by", "created by.utf-8"},
	FieldCreationDate: {"creation date"},
}

// Overwrite makes [MetaInfo.Bytes] write the current value of a field even if it equals the
// value that was read. All values for the field in the file are replaced, also those that
// were ignored because they have a wrong type or because another key takes precedence.
func (m *MetaInfo) Overwrite(f Field) { m.overwritten[f] = true }

// sameField reports whether m and n have the same value of a field.
func (m *MetaInfo) sameField(n *MetaInfo, f Field) bool {
	switch f {
	case FieldTrackers:
		return slices.EqualFunc(m.AnnounceList, n.AnnounceList, slices.Equal)
	case FieldWebSeeds:
		return slices.Equal(m.WebSeeds, n.WebSeeds)
	case FieldHTTPSeeds:
		return slices.Equal(m.HTTPSeeds, n.HTTPSeeds)
	case FieldComment:
		return m.Comment == n.Comment
	case FieldCreatedBy:
		return m.CreatedBy == n.CreatedBy
	}
	return m.CreationDate.Equal(n.CreationDate)
}

// Write writes the torrent file that [MetaInfo.Bytes] returns to w.
func (m *MetaInfo) Write(w io.Writer) error {
	b, err := m.Bytes()
	if err != nil {
		return err
	}
	_, err = w.Write(b)
	return err
}

// topKeys lists the top-level keys that this package writes, in sorted order.
var topKeys = []string{
	"announce", "announce-list", "collections", "comment", "created by", "creation date",
	"encoding", "httpseeds", "info", "nodes", "piece layers", "similar", "url-list",
	keyV2Hashes,
}

// assemble returns a torrent file that contains the given fields and the info
// dictionary.
func (m *MetaInfo) assemble(fields map[string][]byte) []byte {
	size := len(m.InfoBytes)
	for _, value := range fields {
		size += len(value)
	}
	b := bencode.AppendDict(nil)
	for _, key := range topKeys {
		value := fields[key]
		if key == keyV2Hashes && size > libtorrentSize {
			continue
		}
		if key == "info" {
			value = m.InfoBytes
		}
		if value != nil {
			b = append(bencode.AppendString(b, key), value...)
		}
	}
	return bencode.AppendEnd(b)
}

// fields returns the encoded values of all topKeys except info that are not empty.
func (m *MetaInfo) fields() map[string][]byte {
	f := map[string][]byte{}
	text := func(key, s string) {
		if s != "" {
			f[key] = bencode.AppendString(nil, s)
		}
	}
	list := func(key string, l []string) {
		if len(l) > 0 {
			f[key] = appendList(nil, l)
		}
	}
	f["announce"], f["announce-list"] = announceFields(m.AnnounceList)
	list("collections", m.Collections)
	text("comment", m.Comment)
	text("created by", m.CreatedBy)
	if !m.CreationDate.IsZero() {
		f["creation date"] = bencode.AppendInt(nil, m.CreationDate.Unix())
	}
	text("encoding", m.Encoding)
	list("httpseeds", m.HTTPSeeds)
	f["nodes"] = nodesField(m.Nodes)
	f["piece layers"] = m.layersField()
	if b := appendSimilar(nil, m.Similar); b != nil {
		f["similar"] = b[len("7:similar"):]
	}
	if h := m.V2Hashes; h != nil {
		f[keyV2Hashes] = bencode.AppendString(nil, h.Append(nil))
	}
	if len(m.WebSeeds) == 1 {
		text("url-list", m.WebSeeds[0])
	} else {
		list("url-list", m.WebSeeds)
	}
	return f
}

// announceFields returns the values of announce and announce-list. The latter is nil if
// there is only one tracker.
func announceFields(tiers [][]string) (first, list []byte) {
	n := 0
	b := bencode.AppendList(nil)
	for _, tier := range tiers {
		if len(tier) == 0 {
			continue
		}
		if n == 0 {
			first = bencode.AppendString(nil, tier[0])
		}
		n += len(tier)
		b = appendList(b, tier)
	}
	if n > 1 {
		list = bencode.AppendEnd(b)
	}
	return first, list
}

// nodesField returns the encoded DHT nodes (BEP 5). It leaves out nodes without a port.
func nodesField(nodes []string) []byte {
	b := bencode.AppendList(nil)
	n := 0
	for _, node := range nodes {
		host, port, err := net.SplitHostPort(node)
		p, perr := strconv.ParseUint(port, 10, 16)
		if err != nil || perr != nil || host == "" {
			continue
		}
		n++
		b = bencode.AppendString(bencode.AppendList(b), host)
		b = bencode.AppendEnd(bencode.AppendInt(b, int64(p)))
	}
	if n == 0 {
		return nil
	}
	return bencode.AppendEnd(b)
}

// layersField returns the encoded piece layers, sorted by root, or nil for a v1
// torrent.
func (m *MetaInfo) layersField() []byte {
	if !m.Info.HasV2() {
		return nil
	}
	roots := make([][32]byte, 0, len(m.PieceLayers))
	for r := range m.PieceLayers {
		roots = append(roots, r)
	}
	slices.SortFunc(roots, func(a, b [32]byte) int { return bytes.Compare(a[:], b[:]) })
	b := bencode.AppendDict(nil)
	for _, r := range roots {
		b = appendPair(b, string(r[:]), m.PieceLayers[r])
	}
	return bencode.AppendEnd(b)
}
