package portmap

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"spate/internal/units"
)

// The NAT Port Mapping Protocol (RFC 6886).
const (
	natpmpAddress = 0 // asks for the external address
	natpmpMapUDP  = 1
	natpmpMapTCP  = 2
	natpmpReply   = 0x80

	natpmpErrorLen   = 8
	natpmpAddressLen = 12
	natpmpMapLen     = 16
)

var natpmpResults = []string{"success", "unsupported version", "not authorized", "network failure", "out of resources", "unsupported operation"}

// natpmpOperation returns the operation that maps a port of p.
func natpmpOperation(p Protocol) byte {
	if p == UDP {
		return natpmpMapUDP
	}
	return natpmpMapTCP
}

// appendNATPMPAddress appends a request for the external address to b.
func appendNATPMPAddress(b []byte) []byte { return append(b, 0, natpmpAddress) }

// appendNATPMPMap appends a request for a mapping to b. A lifetime of 0 deletes the mapping; the
// external port must then be 0 (section 3.4).
func appendNATPMPMap(b []byte, p Protocol, internal, external uint16, lifetime time.Duration) []byte {
	b = append(b, 0, natpmpOperation(p), 0, 0)
	b = binary.BigEndian.AppendUint16(b, internal)
	b = binary.BigEndian.AppendUint16(b, external)
	return binary.BigEndian.AppendUint32(b, uint32(lifetime/time.Second))
}

// natpmpResponse is a reply of NAT-PMP.
type natpmpResponse struct {
	operation byte // of the request
	result    uint16
	epoch     uint32     // seconds since the gateway lost its mappings
	address   netip.Addr // the external address, in replies to natpmpAddress
	internal  uint16     // this field and the following ones are in replies with a mapping
	external  uint16
	lifetime  time.Duration
}

// parseNATPMP parses a reply. A reply with an error may end after the epoch. A gateway that
// speaks only NAT-PMP answers a PCP request with such a reply (RFC 6887, section 9).
func parseNATPMP(b []byte) (r natpmpResponse, err error) {
	switch {
	case len(b) < natpmpErrorLen || len(b) > maxPMPPacket:
		return r, fmt.Errorf("a NAT-PMP reply of %s", units.Plural(len(b), "byte"))
	case b[0] != 0:
		return r, fmt.Errorf("a NAT-PMP reply of version %d", b[0])
	case b[1]&natpmpReply == 0:
		return r, fmt.Errorf("a NAT-PMP packet with operation %#x", b[1])
	}
	r.operation = b[1] &^ natpmpReply
	r.result = binary.BigEndian.Uint16(b[2:])
	r.epoch = binary.BigEndian.Uint32(b[4:])
	if r.result != 0 {
		return r, nil
	}
	switch {
	case r.operation == natpmpAddress && len(b) >= natpmpAddressLen:
		r.address = netip.AddrFrom4([4]byte(b[8:12]))
	case (r.operation == natpmpMapUDP || r.operation == natpmpMapTCP) && len(b) >= natpmpMapLen:
		r.internal = binary.BigEndian.Uint16(b[8:])
		r.external = binary.BigEndian.Uint16(b[10:])
		r.lifetime = time.Duration(binary.BigEndian.Uint32(b[12:])) * time.Second
	default:
		return r, fmt.Errorf("a NAT-PMP reply of %s to operation %d", units.Plural(len(b), "byte"), r.operation)
	}
	return r, nil
}
