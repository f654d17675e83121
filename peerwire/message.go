package peerwire

import (
	"encoding/binary"
	"fmt"
)

// ID is the number of a message: one byte on the wire, and KeepAlive beyond.
type ID uint16

// The messages of BEP 3, BEP 5, BEP 6, BEP 10 and BEP 52.
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

	// KeepAlive is not on the wire: it stands for the message of length zero.
	KeepAlive ID = 256
)

var names = [...]string{
	Choke: "choke", Unchoke: "unchoke", Interested: "interested", NotInterested: "not interested",
	Have: "have", Bitfield: "bitfield", Request: "request", Piece: "piece", Cancel: "cancel", Port: "port",
	Suggest: "suggest", HaveAll: "have all", HaveNone: "have none", Reject: "reject", AllowedFast: "allowed fast",
	Extended: "extended", HashRequest: "hash request", Hashes: "hashes", HashReject: "hash reject",
}

// String returns the name that the BEPs use.
func (id ID) String() string {
	if id == KeepAlive {
		return "keep-alive"
	}
	if int(id) < len(names) && names[id] != "" {
		return names[id]
	}
	return fmt.Sprintf("message %d", uint16(id))
}

// Sizes in bytes.
const (
	// BlockLen is what a request asks for, but at the end of a piece (BEP 3).
	BlockLen = 16 << 10
	// MaxMessage is the longest message that is taken.
	MaxMessage = 1 << 20
	// PieceHeaderLen is what stands before the data of a piece message: length,
	// id, piece and offset.
	PieceHeaderLen = 13
	// MaxBlockLen is the longest block that is taken or given. BEP 3 names 2^14;
	// some old clients ask for twice that.
	MaxBlockLen = 32 << 10
)

// Message is one message, as parsed. Which fields mean something depends on ID.
type Message struct {
	ID ID
	// Index is the piece of have, request, piece, cancel, reject, suggest and
	// allowed fast; the port of port; the number of an extended message.
	Index uint32
	// Begin and Length are the block of request, cancel and reject in bytes;
	// Begin alone that of piece.
	Begin, Length uint32
	// Payload is the data of piece, the bits of bitfield, the body of an extended
	// message or of one of BEP 52. It lies in the buffer that was parsed.
	Payload []byte
}

// SizeError is the error for a message whose length cannot be right.
type SizeError struct {
	ID     ID
	Length uint32
}

func (e *SizeError) Error() string {
	return fmt.Sprintf("%v message of %d bytes", e.ID, e.Length)
}

// Parse reads the message at the start of b into m and returns how many bytes it
// took. It returns 0 and no error when b does not hold the whole message yet:
// need is then how many bytes the message takes in all, as far as is known.
// A message of an unknown id is returned with its body as Payload.
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

// lengthFits reports whether a message of this id may have this length, its id
// counted. It is asked before anything of the message is kept.
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

// AppendKeepAlive appends a message of length zero.
func AppendKeepAlive(b []byte) []byte { return append(b, 0, 0, 0, 0) }

// AppendSimple appends a message that has no body: choke to not interested, have
// all, have none.
func AppendSimple(b []byte, id ID) []byte { return append(b, 0, 0, 0, 1, byte(id)) }

// AppendIndexed appends a message whose body is a piece: have, suggest, allowed fast.
func AppendIndexed(b []byte, id ID, piece uint32) []byte {
	b = append(b, 0, 0, 0, 5, byte(id))
	return binary.BigEndian.AppendUint32(b, piece)
}

// AppendBlock appends a message whose body is a block: request, cancel, reject.
func AppendBlock(b []byte, id ID, piece, begin, length uint32) []byte {
	b = append(b, 0, 0, 0, 13, byte(id))
	b = binary.BigEndian.AppendUint32(b, piece)
	b = binary.BigEndian.AppendUint32(b, begin)
	return binary.BigEndian.AppendUint32(b, length)
}

// AppendPieceHeader appends what stands before length bytes of data.
func AppendPieceHeader(b []byte, piece, begin, length uint32) []byte {
	b = binary.BigEndian.AppendUint32(b, 9+length)
	b = append(b, byte(Piece))
	b = binary.BigEndian.AppendUint32(b, piece)
	return binary.BigEndian.AppendUint32(b, begin)
}

// AppendBytes appends a message with any body: bitfield and those of BEP 52.
func AppendBytes(b []byte, id ID, body []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(1+len(body)))
	b = append(b, byte(id))
	return append(b, body...)
}

// AppendExtended appends an extended message of the number that the peer gave (BEP 10).
func AppendExtended(b []byte, number uint8, body []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(2+len(body)))
	b = append(b, byte(Extended), number)
	return append(b, body...)
}

// AppendPort appends the UDP port of this side's DHT node (BEP 5).
func AppendPort(b []byte, port uint16) []byte {
	b = append(b, 0, 0, 0, 3, byte(Port))
	return binary.BigEndian.AppendUint16(b, port)
}
