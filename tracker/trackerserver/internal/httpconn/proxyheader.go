package httpconn

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"strings"
)

// errProxyHeader is returned for a connection that does not start with a header of the
// PROXY protocol.
var errProxyHeader = errors.New("no header of the PROXY protocol")

// Sizes in bytes.
const (
	proxyV1Max  = 107  // maximum of a header of version 1
	proxyV2Head = 16   // fixed part of a header of version 2
	proxyV2Max  = 2048 // limit for addresses and extensions in version 2
)

var (
	proxyV1 = []byte("PROXY ")
	proxyV2 = []byte("\r\n\r\n\x00\r\nQUIT\n")
)

// readProxyHeader reads a header of version 1 or 2 of the PROXY protocol, which the
// specification of HAProxy defines. client is not valid if the proxy made the connection
// for itself. rest are the bytes after the header that were read with it.
func readProxyHeader(r io.Reader) (client netip.AddrPort, rest []byte, err error) {
	buf := make([]byte, proxyV2Head+proxyV2Max)
	n := 0
	for {
		m, err := r.Read(buf[n:])
		n += m
		client, size, done, perr := parseProxyHeader(buf[:n])
		switch {
		case perr != nil:
			return client, nil, perr
		case done:
			return client, buf[size:n], nil
		case err != nil:
			return client, nil, err
		case n == len(buf):
			return client, nil, errProxyHeader
		}
	}
}

// parseProxyHeader parses the header at the start of b and returns its size in bytes. done
// is false if the header is incomplete.
func parseProxyHeader(b []byte) (client netip.AddrPort, size int, done bool, err error) {
	switch {
	case hasPrefixSoFar(b, proxyV1):
		end := bytes.Index(b, []byte("\r\n"))
		if end < 0 {
			if len(b) > proxyV1Max {
				err = errProxyHeader
			}
			return client, 0, false, err
		}
		client, err = parseProxyV1(string(b[:end]))
		return client, end + 2, err == nil, err
	case hasPrefixSoFar(b, proxyV2):
		if len(b) < proxyV2Head {
			return client, 0, false, nil
		}
		size = proxyV2Head + int(binary.BigEndian.Uint16(b[14:]))
		if size > proxyV2Head+proxyV2Max {
			return client, 0, false, errProxyHeader
		}
		if len(b) < size {
			return client, 0, false, nil
		}
		client, err = parseProxyV2(b[:size])
		return client, size, err == nil, err
	}
	return client, 0, false, errProxyHeader
}

// hasPrefixSoFar reports whether b starts with prefix, or prefix starts with b.
func hasPrefixSoFar(b, prefix []byte) bool {
	n := min(len(b), len(prefix))
	return bytes.Equal(b[:n], prefix[:n])
}

// parseProxyV1 parses "PROXY TCP4 SOURCE DESTINATION SPORT DPORT".
func parseProxyV1(line string) (netip.AddrPort, error) {
	f := strings.Split(line, " ")
	if len(f) >= 2 && f[1] == "UNKNOWN" {
		return netip.AddrPort{}, nil
	}
	if len(f) != 6 || f[1] != "TCP4" && f[1] != "TCP6" {
		return netip.AddrPort{}, errProxyHeader
	}
	a, err := netip.ParseAddr(f[2])
	if err != nil || a.Is4() != (f[1] == "TCP4") || a.Zone() != "" {
		return netip.AddrPort{}, errProxyHeader
	}
	port := 0
	for _, c := range f[4] {
		if c < '0' || c > '9' || port > 65535 {
			return netip.AddrPort{}, errProxyHeader
		}
		port = port*10 + int(c-'0')
	}
	if f[4] == "" || port > 65535 {
		return netip.AddrPort{}, errProxyHeader
	}
	return netip.AddrPortFrom(a.Unmap(), uint16(port)), nil
}

// parseProxyV2 parses a complete header of version 2.
func parseProxyV2(b []byte) (netip.AddrPort, error) {
	command, family, data := b[12], b[13], b[proxyV2Head:]
	switch {
	case command == 0x20: // LOCAL: a health check
		return netip.AddrPort{}, nil
	case command != 0x21:
		return netip.AddrPort{}, errProxyHeader
	case family == 0x11 && len(data) >= 12:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(data)), binary.BigEndian.Uint16(data[8:])), nil
	case family == 0x21 && len(data) >= 36:
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(data)).Unmap(), binary.BigEndian.Uint16(data[32:])), nil
	case family == 0x11 || family == 0x21:
		return netip.AddrPort{}, errProxyHeader
	}
	return netip.AddrPort{}, nil // other address families count as the proxy itself
}
