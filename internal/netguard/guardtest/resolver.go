// Package guardtest helps to test requests to URLs from untrusted sources. It provides
// resolvers with names that a test chooses, servers to which connecting is slow, and a
// network namespace in which this machine has public addresses.
package guardtest

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strings"
)

// Resolver returns a resolver that calls addrs for the addresses of a name and sends no
// packets. A name with nil addresses does not exist. The resolver caches nothing; it calls
// addrs for each address family, from several goroutines at once.
func Resolver(addrs func(name string) []string) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go answer(theirs, addrs)
		return ours, nil
	}}
}

// Names returns a resolver that knows the names in addrs.
func Names(addrs map[string][]string) *net.Resolver {
	return Resolver(func(name string) []string { return addrs[name] })
}

// Types of DNS records (RFC 1035, RFC 3596).
const (
	typeA    = 1
	typeAAAA = 28
)

// answer answers DNS queries on a stream, in which the length of each message precedes it
// (RFC 1035, 4.2.2).
func answer(conn net.Conn, addrs func(string) []string) {
	defer conn.Close()
	for {
		var size [2]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return
		}
		query := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(conn, query); err != nil {
			return
		}
		reply := reply(query, addrs)
		if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...)); err != nil {
			return
		}
	}
}

// reply returns the response to a query with one question.
func reply(query []byte, addrs func(string) []string) []byte {
	const header, nameAt = 12, 0xc00c // nameAt is a pointer to the name in the question
	name, end := question(query[header:])
	end += header
	kind := binary.BigEndian.Uint16(query[end-4:])
	known := addrs(name)
	var records [][]byte
	for _, s := range known {
		if a := netip.MustParseAddr(s); a.Is4() == (kind == typeA) && (kind == typeA || kind == typeAAAA) {
			records = append(records, a.AsSlice())
		}
	}
	flags := uint16(0x8180) // a response, recursion available
	if known == nil {
		flags |= 3 // no such name
	}
	b := append([]byte(nil), query[:2]...)
	for _, v := range []uint16{flags, 1, uint16(len(records)), 0, 0} {
		b = binary.BigEndian.AppendUint16(b, v)
	}
	b = append(b, query[header:end]...)
	for _, r := range records {
		for _, v := range []uint16{nameAt, kind, 1, 0, 0, uint16(len(r))} { // class IN, time to live 0
			b = binary.BigEndian.AppendUint16(b, v)
		}
		b = append(b, r...)
	}
	return b
}

// question returns the name in the question b and the length of the question, including its
// type and class.
func question(b []byte) (name string, n int) {
	var labels []string
	for b[n] != 0 {
		size := int(b[n])
		labels = append(labels, string(b[n+1:n+1+size]))
		n += 1 + size
	}
	return strings.ToLower(strings.Join(labels, ".")), n + 5
}
