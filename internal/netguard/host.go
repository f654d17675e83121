package netguard

import (
	"net/netip"
	"strings"
)

// LocalHost reports whether a host of a URL is this machine: a loopback address, localhost or a
// name below localhost (RFC 6761, 6.3). It resolves no names.
func LocalHost(host string) bool {
	if a, err := netip.ParseAddr(host); err == nil {
		return KindOf(a) == Loopback
	}
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	return name == "localhost" || strings.HasSuffix(name, ".localhost")
}

// CheckHost returns an [*AddressError] for a host that some systems read as an IPv4 address
// although it is not written as one: 127.1, 2130706433, 0x7f.1, 127.0.0.1. with a dot at the
// end. No name ends in a label of digits (RFC 3696, 2), so no public host is lost.
func CheckHost(host string) error {
	if _, err := netip.ParseAddr(host); err == nil {
		return nil
	}
	name := strings.TrimSuffix(host, ".")
	if numeric(name[strings.LastIndexByte(name, '.')+1:]) {
		return &AddressError{Host: host, Reason: "it is neither a name nor an address in its usual form"}
	}
	return nil
}

// numeric reports whether a label is a decimal, octal or hexadecimal number.
func numeric(label string) bool {
	digits := "0123456789"
	if len(label) >= 2 && strings.EqualFold(label[:2], "0x") {
		label, digits = label[2:], "0123456789abcdefABCDEF"
		if label == "" {
			return true // some systems read it as 0
		}
	}
	return label != "" && strings.Trim(label, digits) == ""
}
