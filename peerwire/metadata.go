package peerwire

import (
	"fmt"
	"math"

	"spate/bencode"
)

// MetadataPieceLen is the length in bytes of all pieces of metadata except the last
// (BEP 9).
const MetadataPieceLen = 16 << 10

// MetadataType is the type of a metadata message.
type MetadataType uint8

// The metadata message types of BEP 9.
const (
	MetadataRequest MetadataType = 0
	MetadataData    MetadataType = 1
	MetadataReject  MetadataType = 2
)

// MetadataMessage is a message of the ut_metadata extension (BEP 9).
type MetadataMessage struct {
	Type  MetadataType
	Piece int64
	// Total is the size of the complete metadata in bytes. Only data messages have it.
	Total int64
	// Data is the piece of metadata, as a slice of the parsed payload. Only data
	// messages have it.
	Data []byte
}

// AppendMetadata appends the complete message to b. number is the message number that
// the receiver assigned to the extension.
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

// ParseMetadata parses the payload of a metadata message. It accepts unknown types,
// which the caller must ignore (BEP 9). The error wraps [ErrExtension].
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
	if typ < 0 || typ > 255 || m.Piece < 0 || m.Piece > math.MaxInt32 {
		return m, fmt.Errorf("%w: metadata: type %d, piece %d", ErrExtension, typ, m.Piece)
	}
	m.Type = MetadataType(typ)
	if m.Type == MetadataData {
		m.Data = d.Rest()
	}
	return m, nil
}
