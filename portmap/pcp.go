package portmap

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"spate/internal/units"
)

// The Port Control Protocol (RFC 6887).
const (
	pcpVersion   = 2
	pcpMap       = 1 // the opcode MAP (section 11)
	pcpReply     = 0x80
	pcpHeaderLen = 24
	pcpMapLen    = pcpHeaderLen + 36
	maxPMPPacket = 1100 // largest packet of PCP (section 7)
	pmpPort      = 5351 // UDP port of the gateway for PCP and NAT-PMP
)

// nonce ties the replies and the renewals of a mapping to the process that asked for it.
type nonce [12]byte

// pcpRequest is a MAP request. The package sends no options, and never THIRD_PARTY: it asks
// for mappings of its own address only.
type pcpRequest struct {
	client    netip.Addr // the address from which the request is sent
	lifetime  time.Duration
	nonce     nonce
	protocol  Protocol
	internal  uint16
	suggested netip.AddrPort // the wanted external address; zero parts let the gateway choose
}

// append appends the encoded request to b.
func (r *pcpRequest) append(b []byte) []byte {
	b = append(b, pcpVersion, pcpMap, 0, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(r.lifetime/time.Second))
	b = appendAddr16(b, r.client)
	b = append(b, r.nonce[:]...)
	b = append(b, r.protocol.number(), 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, r.internal)
	b = binary.BigEndian.AppendUint16(b, r.suggested.Port())
	external := r.suggested.Addr()
	if !external.IsValid() {
		external = netip.IPv6Unspecified()
		if r.client.Is4() {
			external = netip.IPv4Unspecified()
		}
	}
	return appendAddr16(b, external)
}

// appendAddr16 appends an address as 16 bytes; an IPv4 address is mapped (section 5).
func appendAddr16(b []byte, a netip.Addr) []byte {
	all := a.WithZone("").As16()
	return append(b, all[:]...)
}

// pcpResponse is a reply to a MAP request.
type pcpResponse struct {
	result   uint8
	lifetime time.Duration
	epoch    uint32 // seconds since the gateway lost its mappings
	nonce    nonce
	protocol Protocol
	internal uint16
	external netip.AddrPort
}

// ResultError is a refusal by a gateway that speaks PCP or NAT-PMP.
type ResultError struct {
	Way  Way // PCP or NATPMP
	Code int
}

// Error implements error.
func (e *ResultError) Error() string {
	return fmt.Sprintf("the router refuses the mapping by %s: %s", e.Way, e.reason())
}

func (e *ResultError) reason() string {
	names := pcpResults
	if e.Way == NATPMP {
		names = natpmpResults
	}
	if e.Code > 0 && e.Code < len(names) {
		return names[e.Code]
	}
	return fmt.Sprintf("result %d", e.Code)
}

// The results of PCP (section 7.4).
const (
	pcpUnsupportedVersion = 1
	pcpUnsupportedOpcode  = 4
)

var pcpResults = []string{
	"success", "unsupported version", "not authorized", "malformed request", "unsupported operation", "unsupported option",
	"malformed option", "network failure", "no resources", "unsupported protocol", "too many mappings of this machine",
	"cannot provide the external port", "another NAT is between this machine and the router", "too many remote peers",
}

// parsePCP parses a reply to a MAP request. It returns an error if the packet is not one. A
// packet with an error result may be shorter than a full reply (section 7.2).
func parsePCP(b []byte) (r pcpResponse, err error) {
	switch {
	case len(b) < pcpHeaderLen || len(b) > maxPMPPacket || len(b)%4 != 0:
		return r, fmt.Errorf("a PCP reply of %s", units.Plural(len(b), "byte"))
	case b[0] != pcpVersion:
		return r, fmt.Errorf("a PCP reply of version %d", b[0])
	case b[1] != pcpReply|pcpMap:
		return r, fmt.Errorf("a PCP packet with operation %#x", b[1])
	}
	r.result = b[3]
	r.lifetime = time.Duration(binary.BigEndian.Uint32(b[4:])) * time.Second
	r.epoch = binary.BigEndian.Uint32(b[8:])
	if len(b) < pcpMapLen {
		if r.result == 0 {
			return r, fmt.Errorf("a PCP reply of %s without a mapping", units.Plural(len(b), "byte"))
		}
		return r, nil
	}
	m := b[pcpHeaderLen:]
	copy(r.nonce[:], m)
	switch m[12] {
	case TCP.number():
		r.protocol = TCP
	case UDP.number():
		r.protocol = UDP
	}
	r.internal = binary.BigEndian.Uint16(m[16:])
	external := netip.AddrFrom16([16]byte(m[20:36])).Unmap()
	r.external = netip.AddrPortFrom(external, binary.BigEndian.Uint16(m[18:]))
	return r, nil
}

// answers reports whether r is the reply to q. Other packets are ignored (section 8.3).
func (r *pcpResponse) answers(q *pcpRequest) bool {
	return r.nonce == q.nonce && r.protocol == q.protocol && r.internal == q.internal
}
