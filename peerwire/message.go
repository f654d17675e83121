package peerwire

import (
	"encoding/binary"
	"fmt"

	"spate/internal/units"
)

// ID is the number of a message type. All but [KeepAlive] are one byte on the wire.
type ID uint16

// The message types of BEP 3, BEP 5, BEP 6, BEP 10 and BEP 52.
const (
	Choke         ID = 0
	Unchoke       ID = 1
	Interested    ID = 2
	NotInterested ID = 3
	Have          ID = 4
	Bitfield      ID = 5
	Request       ID = 6
	Piece         ID = 7
	Cancel        ID = 8
	Port          ID = 9
	Suggest       ID = 13
	HaveAll       ID = 14
	HaveNone      ID = 15
	Reject        ID = 16
	AllowedFast   ID = 17
	Extended      ID = 20
	HashRequest   ID = 21
	Hashes        ID = 22
	HashReject    ID = 23

	// KeepAlive stands for a message of length zero, which has no number on the wire.
	KeepAlive ID = 256
)

var names = [...]string{
	Choke: "choke", Unchoke: "unchoke", Interested: "interested", NotInterested: "not interested",
	Have: "have", Bitfield: "bitfield", Request: "request", Piece: "piece", Cancel: "cancel", Port: "port",
	Suggest: "suggest", HaveAll: "have all", HaveNone: "have none", Reject: "reject", AllowedFast: "allowed fast",
	Extended: "extended", HashRequest: "hash request", Hashes: "hashes", HashReject: "hash reject",
}

// String returns the name of the message type that the BEPs use.
func (id ID) String() string {
	if id == KeepAlive {
		return "keep-alive"
	}
	if int(id) < len(names) && names[id] != "" {
		return names[id]
	}
	return fmt.Sprintf("message %d", uint16(id))
}

// Lengths in bytes.
const (
	// BlockLen is the length of all requested blocks except the last of a piece (BEP
	// 3).
	BlockLen = 16 << 10
	// MaxMessage is the length of the longest message that [Parse] accepts.
	MaxMessage = 1 << 20
	// PieceHeaderLen is the length of the header of a piece message: length prefix,
	// message type, piece index and offset.
	PieceHeaderLen = 13
	// MaxBlockLen is the length of the longest block that is requested or sent. BEP 3
	// recommends 2^14; some old clients request twice that.
	MaxBlockLen = 32 << 10
)

// Message is one parsed message. Its ID decides which other fields are used.
type Message struct {
	ID ID
	// Index is the piece index in have, request, piece, cancel, reject, suggest and
	// allowed fast messages, the port in a port message, and the message number in an
	// extension message.
	Index uint32
	// Begin and Length are the offset and length in bytes of the block in request,
	// piece, cancel and reject messages.
	Begin, Length uint32
	// Payload is the data of a piece, the bits of a bitfield, or the body of an
	// extension message, of a message of BEP 52 or of an unknown message. It is a slice
	// of the parsed buffer.
	Payload []byte
}

// SizeError is returned for a message whose length is not valid for its type.
type SizeError struct {
	ID     ID
	Length uint32
}

func (e *SizeError) Error() string {
	return fmt.Sprintf("%v message of %s", e.ID, units.Plural(e.Length, "byte"))
}

// Parse decodes the message at the start of b into m and returns its length n. If b
// does not hold the complete message, n is 0, err is nil, and need is the length that b
// must have at least before Parse is called again. A message of unknown type is
// returned with its body in Payload.
func Parse(b []byte, m *Message) (n, need int, err error) {
	if len(b) < 4 {
		return 0, 4, nil
	}
	length := binary.BigEndian.Uint32(b)
	if length == 0 {
		*m = Message{ID: KeepAlive}
		return 4, 0, nil
	}
	if len(b) < 5 {
		return 0, 5, nil
	}
	id := ID(b[4])
	if !lengthFits(id, length) {
		return 0, 0, &SizeError{id, length}
	}
	end := 4 + int(length)
	if len(b) < end {
		return 0, end, nil
	}
	body := b[5:end:end]
	*m = Message{ID: id}
	switch id {
	case Have, Suggest, AllowedFast:
		m.Index = binary.BigEndian.Uint32(body)
	case Request, Cancel, Reject:
		m.Index = binary.BigEndian.Uint32(body)
		m.Begin = binary.BigEndian.Uint32(body[4:])
		m.Length = binary.BigEndian.Uint32(body[8:])
	case Piece:
		m.Index = binary.BigEndian.Uint32(body)
		m.Begin = binary.BigEndian.Uint32(body[4:])
		m.Payload = body[8:]
		m.Length = uint32(len(m.Payload))
	case Port:
		m.Index = uint32(binary.BigEndian.Uint16(body))
	case Extended:
		m.Index = uint32(body[0])
		m.Payload = body[1:]
	default:
		m.Payload = body
	}
	return end, 0, nil
}

// lengthFits reports whether a message of type id may have the length n, which includes
// the byte for the type. It is called before the body has arrived, so that a peer
// cannot make the client wait for an invalid message.
func lengthFits(id ID, n uint32) bool {
	switch id {
	case Choke, Unchoke, Interested, NotInterested, HaveAll, HaveNone:
		return n == 1
	case Have, Suggest, AllowedFast:
		return n == 5
	case Request, Cancel, Reject:
		return n == 13
	case Piece:
		return n > 9 && n <= 9+MaxBlockLen
	case Port:
		return n == 3
	case Extended:
		return n >= 2 && n <= MaxMessage
	}
	return n <= MaxMessage
}

// AppendKeepAlive appends a keep-alive message to b.
func AppendKeepAlive(b []byte) []byte { return append(b, 0, 0, 0, 0) }

// AppendSimple appends a message without a body to b: choke, unchoke, interested, not
// interested, have all or have none.
func AppendSimple(b []byte, id ID) []byte { return append(b, 0, 0, 0, 1, byte(id)) }

// AppendIndexed appends a have, suggest or allowed fast message to b.
func AppendIndexed(b []byte, id ID, piece uint32) []byte {
	b = append(b, 0, 0, 0, 5, byte(id))
	return binary.BigEndian.AppendUint32(b, piece)
}

// AppendBlock appends a request, cancel or reject message to b.
func AppendBlock(b []byte, id ID, piece, begin, length uint32) []byte {
	b = append(b, 0, 0, 0, 13, byte(id))
	b = binary.BigEndian.AppendUint32(b, piece)
	b = binary.BigEndian.AppendUint32(b, begin)
	return binary.BigEndian.AppendUint32(b, length)
}

// AppendPieceHeader appends the header of a piece message to b. length is the number of
// bytes of data that follow it.
func AppendPieceHeader(b []byte, piece, begin, length uint32) []byte {
	b = binary.BigEndian.AppendUint32(b, 9+length)
	b = append(b, byte(Piece))
	b = binary.BigEndian.AppendUint32(b, piece)
	return binary.BigEndian.AppendUint32(b, begin)
}

// AppendBytes appends a message of type id with the given body to b, such as a
// bitfield.
func AppendBytes(b []byte, id ID, body []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(1+len(body)))
	b = append(b, byte(id))
	return append(b, body...)
}

// AppendExtended appends an extension message to b (BEP 10). number is the message
// number that the receiver assigned to the extension.
func AppendExtended(b []byte, number uint8, body []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(2+len(body)))
	b = append(b, byte(Extended), number)
	return append(b, body...)
}

// AppendPort appends a port message with the UDP port of this client's DHT node to b
// (BEP 5).
func AppendPort(b []byte, port uint16) []byte {
	b = append(b, 0, 0, 0, 3, byte(Port))
	return binary.BigEndian.AppendUint16(b, port)
}
