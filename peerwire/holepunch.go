package peerwire

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"spate/internal/units"
)

// ExtHolepunch is the name of the messages by which two peers behind routers connect with the help
// of a third one, the relay (BEP 55).
const ExtHolepunch = "ut_holepunch"

// HolepunchType is the type of a holepunch message.
type HolepunchType uint8

// The types of holepunch messages (BEP 55).
const (
	HolepunchRendezvous HolepunchType = 0 // asks the relay to introduce the sender to the peer at the address
	HolepunchConnect    HolepunchType = 1 // the receiver shall dial the address over uTP now
	HolepunchFailed     HolepunchType = 2 // the relay cannot do what the rendezvous message asks
)

// HolepunchError says why a relay does not introduce two peers. Receivers must expect unknown ones.
type HolepunchError uint32

// The errors of BEP 55.
const (
	HolepunchNoSuchPeer   HolepunchError = 1 // the address is not valid
	HolepunchNotConnected HolepunchError = 2 // the relay is not connected to the peer
	HolepunchNoSupport    HolepunchError = 3 // the peer does not support holepunch messages
	HolepunchNoSelf       HolepunchError = 4 // the address is that of the relay
)

// HolepunchMessage is a message of the ut_holepunch extension (BEP 55).
type HolepunchMessage struct {
	Type HolepunchType
	// Addr is the address of the other peer.
	Addr netip.AddrPort
	// Err is the error in a message of type [HolepunchFailed]; else 0.
	Err HolepunchError
}

// AppendHolepunch appends the complete message to b: a payload of 12 bytes with an IPv4 address, and
// of 24 with an IPv6 address. number is the message number that the receiver assigned to the
// extension.
func AppendHolepunch(b []byte, number uint8, m *HolepunchMessage) []byte {
	a := m.Addr.Addr().Unmap()
	kind := byte(0)
	if a.Is6() {
		kind = 1
	}
	p := append(make([]byte, 0, 24), byte(m.Type), kind)
	p = append(p, a.AsSlice()...)
	p = binary.BigEndian.AppendUint16(p, m.Addr.Port())
	return AppendExtended(b, number, binary.BigEndian.AppendUint32(p, uint32(m.Err)))
}

// ParseHolepunch parses the payload of a holepunch message. It accepts unknown types, which the
// caller must ignore, and messages without the error code, which libtorrent omits unless it is an
// error. The error wraps [ErrExtension].
func ParseHolepunch(payload []byte) (HolepunchMessage, error) {
	var m HolepunchMessage
	bad := func() (HolepunchMessage, error) {
		return HolepunchMessage{}, fmt.Errorf("%w: holepunch message of %s", ErrExtension, units.Plural(len(payload), "byte"))
	}
	if len(payload) < 2 {
		return bad()
	}
	m.Type = HolepunchType(payload[0])
	size := 0 // of the address
	switch kind := payload[1]; kind {
	case 0:
		size = 4
	case 1:
		size = 16
	default:
		return HolepunchMessage{}, fmt.Errorf("%w: holepunch message with an address of type %d", ErrExtension, kind)
	}
	rest := payload[2:]
	if len(rest) != size+6 && (len(rest) != size+2 || m.Type == HolepunchFailed) {
		return bad()
	}
	a, _ := netip.AddrFromSlice(rest[:size])
	m.Addr = netip.AddrPortFrom(a.Unmap(), binary.BigEndian.Uint16(rest[size:]))
	if len(rest) == size+6 && m.Type == HolepunchFailed {
		m.Err = HolepunchError(binary.BigEndian.Uint32(rest[size+2:]))
	}
	return m, nil
}
