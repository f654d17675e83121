package peerwire

import (
	"fmt"

	"spate/bencode"
)

// MetadataPieceLen is the length of a piece of metadata, but the last (BEP 9).
const MetadataPieceLen = 16 << 10

// MetadataType says what a metadata message is for.
type MetadataType uint8

// The types of BEP 9.
const (
	MetadataRequest MetadataType = 0
	MetadataData    MetadataType = 1
	MetadataReject  MetadataType = 2
)

// MetadataMessage is a message of the extension ut_metadata (BEP 9).
type MetadataMessage struct {
	Type  MetadataType
	Piece int64
	// Total is the length of all the metadata; in data messages alone.
	Total int64
	// Data is the piece, in the buffer that was parsed; in data messages alone.
	Data []byte
}

// AppendMetadata appends the whole message, under the number that the peer gave.
func AppendMetadata(b []byte, number uint8, m *MetadataMessage) []byte {
	d := bencode.AppendDict(nil)
	d = bencode.AppendInt(bencode.AppendString(d, "msg_type"), int64(m.Type))
	d = bencode.AppendInt(bencode.AppendString(d, "piece"), m.Piece)
	if m.Type == MetadataData {
		d = bencode.AppendInt(bencode.AppendString(d, "total_size"), m.Total)
	}
	d = bencode.AppendEnd(d)
	return AppendExtended(b, number, append(d, m.Data...))
}

// ParseMetadata reads the payload of a metadata message. Types that are not known
// are returned as they are, to be ignored (BEP 9).
func ParseMetadata(payload []byte) (MetadataMessage, error) {
	m := MetadataMessage{Piece: -1}
	d := bencode.NewDecoder(payload, extLimits)
	typ := int64(-1)
	for key := range d.Dict {
		if d.Kind() != bencode.Int {
			continue
		}
		n := d.Int()
		switch string(key) {
		case "msg_type":
			typ = n
		case "piece":
			m.Piece = n
		case "total_size":
			m.Total = n
		}
	}
	if err := d.Err(); err != nil {
		return m, fmt.Errorf("%w: metadata: %v", ErrExtension, err)
	}
	if typ < 0 || typ > 255 || m.Piece < 0 || m.Piece > MaxMetadata/MetadataPieceLen {
		return m, fmt.Errorf("%w: metadata: type %d, piece %d", ErrExtension, typ, m.Piece)
	}
	m.Type = MetadataType(typ)
	if m.Type == MetadataData {
		m.Data = d.Rest()
	}
	return m, nil
}
