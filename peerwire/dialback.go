package peerwire

import (
	"fmt"

	"spate/bencode"
	"spate/internal/units"
)

// ExtDialBack is the name of the dial-back message, an extension of spate: a peer asks another one
// to connect to it, so that it learns whether others can. The asker names ports only. The other
// peer uses the address from which the asker is connected.
const ExtDialBack = "spate_dialback"

// DialBackType is the type of a dial-back message.
type DialBackType uint8

// The types of dial-back messages.
const (
	DialBackRequest DialBackType = 0
	DialBackAnswer  DialBackType = 1
)

// DialBackNonce identifies a request. It is the info-hash in the handshake of the connection and
// the id in the UDP packet that the request causes, so that the asker recognizes both.
type DialBackNonce [20]byte

// DialBackOutcome says what came of a request for one protocol. Receivers must treat an unknown
// one as [DialBackFailed].
type DialBackOutcome uint8

// The outcomes of a dial-back.
const (
	DialBackNone     DialBackOutcome = 0 // the request did not ask for the protocol
	DialBackReached  DialBackOutcome = 1 // TCP: the asker answered the handshake
	DialBackSent     DialBackOutcome = 2 // UDP: a packet was sent; only the asker knows whether it arrived
	DialBackRefused  DialBackOutcome = 3 // TCP: the connection was refused
	DialBackTimedOut DialBackOutcome = 4 // TCP: nothing answered
	DialBackOther    DialBackOutcome = 5 // TCP: the port is open, but not that of the asker
	DialBackNotNow   DialBackOutcome = 6 // nothing was tried, because of a limit
	DialBackFailed   DialBackOutcome = 7 // the peer cannot or will not try
)

// DialBackMessage is a dial-back message.
type DialBackMessage struct {
	Type  DialBackType
	Nonce DialBackNonce
	// TCPPort and UDPPort are the ports of a request; 0 does not ask for the protocol.
	TCPPort, UDPPort uint16
	// TCP and UDP are the outcomes in an answer.
	TCP, UDP DialBackOutcome
}

// AppendDialBack appends the complete message to b. number is the message number that the
// receiver assigned to the extension.
func AppendDialBack(b []byte, number uint8, m *DialBackMessage) []byte {
	tcp, udp := int64(m.TCPPort), int64(m.UDPPort)
	if m.Type == DialBackAnswer {
		tcp, udp = int64(m.TCP), int64(m.UDP)
	}
	d := bencode.AppendDict(nil)
	d = bencode.AppendInt(bencode.AppendString(d, "msg_type"), int64(m.Type))
	d = bencode.AppendString(bencode.AppendString(d, "nonce"), m.Nonce[:])
	if tcp != 0 {
		d = bencode.AppendInt(bencode.AppendString(d, "tcp"), tcp)
	}
	if udp != 0 {
		d = bencode.AppendInt(bencode.AppendString(d, "udp"), udp)
	}
	return AppendExtended(b, number, bencode.AppendEnd(d))
}

// ParseDialBack parses the payload of a dial-back message. It accepts unknown types, which the
// caller must ignore. The error wraps [ErrExtension].
func ParseDialBack(payload []byte) (DialBackMessage, error) {
	var m DialBackMessage
	typ, tcp, udp, nonce := int64(-1), int64(0), int64(0), 0
	d := bencode.NewDecoder(payload, extLimits)
	for key := range d.Dict {
		switch kind := d.Kind(); {
		case kind == bencode.String && string(key) == "nonce":
			s := d.Bytes()
			copy(m.Nonce[:], s)
			nonce = len(s)
		case kind != bencode.Int:
		case string(key) == "msg_type":
			typ = d.Int()
		case string(key) == "tcp":
			tcp = d.Int()
		case string(key) == "udp":
			udp = d.Int()
		}
	}
	if err := d.Err(); err != nil {
		return m, fmt.Errorf("%w: dial-back: %v", ErrExtension, err)
	}
	if typ < 0 || typ > 255 || nonce != len(m.Nonce) || tcp < 0 || tcp > 0xffff || udp < 0 || udp > 0xffff {
		return m, fmt.Errorf("%w: dial-back: type %d, nonce of %s, tcp %d, udp %d", ErrExtension, typ, units.Plural(nonce, "byte"), tcp, udp)
	}
	switch m.Type = DialBackType(typ); m.Type {
	case DialBackRequest:
		m.TCPPort, m.UDPPort = uint16(tcp), uint16(udp)
	case DialBackAnswer:
		m.TCP, m.UDP = outcomeOf(tcp), outcomeOf(udp)
	}
	return m, nil
}

// outcomeOf returns the outcome with the number n, or [DialBackFailed] if n is unknown.
func outcomeOf(n int64) DialBackOutcome {
	return DialBackOutcome(min(n, int64(DialBackFailed)))
}
