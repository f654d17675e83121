package peerwire

import (
	"fmt"
	"net/netip"

	"spate"
	"spate/bencode"
)

// MaxPEX limits the addresses that one message may add, and those that it may drop (BEP
// 11).
const MaxPEX = 50

// PEXFlags describes a peer in a PEX message (BEP 11).
type PEXFlags uint8

// The flags of BEP 11.
const (
	PEXEncryption PEXFlags = 0x01
	PEXSeed       PEXFlags = 0x02
	PEXUTP        PEXFlags = 0x04
	PEXHolepunch  PEXFlags = 0x08
	PEXReachable  PEXFlags = 0x10
)

// PEXMessage is a message of the ut_pex extension (BEP 11).
type PEXMessage struct {
	Added   []netip.AddrPort
	Flags   []PEXFlags // the flags of each peer in Added
	Dropped []netip.AddrPort
}

// AppendPEX appends the complete message to b. number is the message number that the
// receiver assigned to the extension. m.Flags must be as long as m.Added.
func AppendPEX(b []byte, number uint8, m *PEXMessage) []byte {
	var added4, added6, flags4, flags6, dropped4, dropped6 []byte
	for i, a := range m.Added {
		if a.Addr().Unmap().Is4() {
			added4, flags4 = spate.AppendCompact(added4, a), append(flags4, byte(m.Flags[i]))
		} else {
			added6, flags6 = spate.AppendCompact(added6, a), append(flags6, byte(m.Flags[i]))
		}
	}
	for _, a := range m.Dropped {
		if a.Addr().Unmap().Is4() {
			dropped4 = spate.AppendCompact(dropped4, a)
		} else {
			dropped6 = spate.AppendCompact(dropped6, a)
		}
	}
	d := bencode.AppendDict(nil)
	for _, e := range []struct {
		key   string
		value []byte
	}{
		{"added", added4}, {"added.f", flags4}, {"added6", added6}, {"added6.f", flags6},
		{"dropped", dropped4}, {"dropped6", dropped6},
	} {
		d = bencode.AppendString(bencode.AppendString(d, e.key), e.value)
	}
	return AppendExtended(b, number, bencode.AppendEnd(d))
}

// ParsePEX parses the payload of a PEX message. It reads at most MaxPEX addresses of
// each address family in each list and ignores the others. The error wraps
// [ErrExtension].
func ParsePEX(payload []byte) (PEXMessage, error) {
	var m PEXMessage
	var lists [6][]byte
	d := bencode.NewDecoder(payload, extLimits)
	for key := range d.Dict {
		if d.Kind() != bencode.String {
			continue
		}
		s := d.Bytes()
		switch string(key) {
		case "added":
			lists[0] = s
		case "added.f":
			lists[1] = s
		case "added6":
			lists[2] = s
		case "added6.f":
			lists[3] = s
		case "dropped":
			lists[4] = s
		case "dropped6":
			lists[5] = s
		}
	}
	err := d.Err()
	take := func(dst []netip.AddrPort, b []byte, stride int) []netip.AddrPort {
		whole := b
		b = b[:min(len(b), MaxPEX*stride)]
		var e error
		if stride == spate.CompactLen4 {
			dst, e = spate.AppendPeers4(dst, b)
		} else {
			dst, e = spate.AppendPeers6(dst, b)
		}
		if err == nil && (e != nil || len(whole)%stride != 0) {
			err = spate.ErrBadCompact
		}
		return dst
	}
	m.Added = take(nil, lists[0], spate.CompactLen4)
	m.Flags = appendFlags(m.Flags, lists[1], len(m.Added))
	n := len(m.Added)
	m.Added = take(m.Added, lists[2], spate.CompactLen6)
	m.Flags = appendFlags(m.Flags, lists[3], len(m.Added)-n)
	m.Dropped = take(m.Dropped, lists[4], spate.CompactLen4)
	m.Dropped = take(m.Dropped, lists[5], spate.CompactLen6)
	if err != nil {
		return PEXMessage{}, fmt.Errorf("%w: pex: %v", ErrExtension, err)
	}
	return m, nil
}

// appendFlags appends n flags to dst. Flags that are missing from b are 0.
func appendFlags(dst []PEXFlags, b []byte, n int) []PEXFlags {
	for i := range n {
		f := PEXFlags(0)
		if i < len(b) {
			f = PEXFlags(b[i])
		}
		dst = append(dst, f)
	}
	return dst
}
