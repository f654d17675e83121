package trackerserver

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"strings"
)

// ErrProxyHeader is the error of a connection from a named proxy that does not
// begin with a header of the PROXY protocol.
var ErrProxyHeader = errors.New("not a header of the PROXY protocol")

// Lengths of headers of the PROXY protocol, in bytes.
const (
	proxyV1Max  = 107
	proxyV2Head = 16
	proxyV2Max  = 2048 // addresses and extensions
)

var (
	proxyV1 = []byte("PROXY ")
	proxyV2 = []byte("\r\n\r\n\x00\r\nQUIT\n")
)

// readProxyHeader reads a header of version 1 or 2 of the PROXY protocol, as
// HAProxy's specification has it. client is not valid where the proxy speaks for
// itself. rest is what was read behind the header.
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
			return client, nil, ErrProxyHeader
		}
	}
}

// parseProxyHeader reads the header that b begins with, of size bytes; done is
// false while there is more of it to come.
func parseProxyHeader(b []byte) (client netip.AddrPort, size int, done bool, err error) {
	switch {
	case hasPrefixSoFar(b, proxyV1):
		end := bytes.Index(b, []byte("\r\n"))
		if end < 0 {
			if len(b) > proxyV1Max {
				err = ErrProxyHeader
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
			return client, 0, false, ErrProxyHeader
		}
		if len(b) < size {
			return client, 0, false, nil
		}
		client, err = parseProxyV2(b[:size])
		return client, size, err == nil, err
	}
	return client, 0, false, ErrProxyHeader
}

// hasPrefixSoFar reports whether b begins with prefix as far as b goes.
func hasPrefixSoFar(b, prefix []byte) bool {
	n := min(len(b), len(prefix))
	return bytes.Equal(b[:n], prefix[:n])
}

// parseProxyV1 reads "PROXY TCP4 SOURCE DESTINATION SPORT DPORT".
func parseProxyV1(line string) (netip.AddrPort, error) {
	f := strings.Split(line, " ")
	if len(f) >= 2 && f[1] == "UNKNOWN" {
		return netip.AddrPort{}, nil
	}
	if len(f) != 6 || f[1] != "TCP4" && f[1] != "TCP6" {
		return netip.AddrPort{}, ErrProxyHeader
	}
	a, err := netip.ParseAddr(f[2])
	if err != nil || a.Is4() != (f[1] == "TCP4") || a.Zone() != "" {
		return netip.AddrPort{}, ErrProxyHeader
	}
	port := 0
	for _, c := range f[4] {
		if c < '0' || c > '9' || port > 65535 {
			return netip.AddrPort{}, ErrProxyHeader
		}
		port = port*10 + int(c-'0')
	}
	if f[4] == "" || port > 65535 {
		return netip.AddrPort{}, ErrProxyHeader
	}
	return netip.AddrPortFrom(a.Unmap(), uint16(port)), nil
}

// parseProxyV2 reads a whole header of version 2.
func parseProxyV2(b []byte) (netip.AddrPort, error) {
	command, family, data := b[12], b[13], b[proxyV2Head:]
	switch {
	case command == 0x20: // LOCAL: a health check
		return netip.AddrPort{}, nil
	case command != 0x21:
		return netip.AddrPort{}, ErrProxyHeader
	case family == 0x11 && len(data) >= 12:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(data)), binary.BigEndian.Uint16(data[8:])), nil
	case family == 0x21 && len(data) >= 36:
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(data)).Unmap(), binary.BigEndian.Uint16(data[32:])), nil
	case family == 0x11 || family == 0x21:
		return netip.AddrPort{}, ErrProxyHeader
	}
	return netip.AddrPort{}, nil // other families: the proxy's address stands
}
