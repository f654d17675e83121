package proxy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"syscall"
)

// Bytes of SOCKS5 (RFC 1928).
const (
	socksVersion = 5
	authVersion  = 1 // RFC 1929

	methodNone     = 0
	methodPassword = 2
	methodRefused  = 0xff

	commandConnect = 1

	typeIPv4 = 1
	typeName = 3
	typeIPv6 = 4
)

// maxName is the longest name of a host in bytes.
const maxName = 255

// replies maps the replies of a SOCKS5 proxy to errors.
var replies = map[byte]error{
	1: errors.New("general failure of the proxy"),
	2: errors.New("its rules do not allow it"),
	3: syscall.ENETUNREACH,
	4: syscall.EHOSTUNREACH,
	5: syscall.ECONNREFUSED,
	6: errors.New("the time to live has ended"),
	7: errors.New("it does not know the command"),
	8: errors.New("it does not know this kind of address"),
}

// splitHostPort splits "HOST:PORT".
func splitHostPort(address string) (string, uint16, error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, err
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || port == 0 {
		return "", 0, &net.AddrError{Err: "invalid port", Addr: address}
	}
	return host, uint16(port), nil
}

// connectSOCKS makes the proxy connect to a host.
func (h *handshake) connectSOCKS(nc io.ReadWriter, host string, port uint16) error {
	_, err := h.request(nc, commandConnect, host, port)
	return err
}

// request agrees on a method, proves who we are, and sends a command. It returns the address in the
// reply, which is the zero value if the proxy names a host. Each read has a fixed length of at most 255 bytes.
func (h *handshake) request(nc io.ReadWriter, command byte, host string, port uint16) (netip.AddrPort, error) {
	none := netip.AddrPort{}
	to, err := appendAddr([]byte{socksVersion, command, 0}, host, port)
	if err != nil {
		return none, h.fail(Target, err)
	}
	if err := h.authenticate(nc); err != nil {
		return none, err
	}
	h.asked = true
	if _, err := nc.Write(to); err != nil {
		return none, h.broken(err)
	}
	var head [4]byte
	if _, err := io.ReadFull(nc, head[:]); err != nil {
		return none, h.broken(err)
	}
	if head[0] != socksVersion {
		return none, h.fail(Odd, fmt.Errorf("its reply has version %d", head[0]))
	}
	if head[1] != 0 {
		cause, ok := replies[head[1]]
		if !ok {
			cause = fmt.Errorf("reply %d", head[1])
		}
		return none, h.fail(Target, cause)
	}
	return h.readAddr(nc, head[3])
}

// readAddr reads the address in a reply, after the byte with its type.
func (h *handshake) readAddr(nc io.Reader, kind byte) (netip.AddrPort, error) {
	var b [maxName + 2]byte
	n := 0
	switch kind {
	case typeIPv4:
		n = 4
	case typeIPv6:
		n = 16
	case typeName:
		if _, err := io.ReadFull(nc, b[:1]); err != nil {
			return netip.AddrPort{}, h.broken(err)
		}
		n = int(b[0])
	default:
		return netip.AddrPort{}, h.fail(Odd, fmt.Errorf("its reply has an address of type %d", kind))
	}
	if _, err := io.ReadFull(nc, b[:n+2]); err != nil {
		return netip.AddrPort{}, h.broken(err)
	}
	if kind == typeName {
		return netip.AddrPort{}, nil
	}
	a, _ := netip.AddrFromSlice(b[:n])
	return netip.AddrPortFrom(a.Unmap(), binary.BigEndian.Uint16(b[n:])), nil
}

// authenticate agrees on a method and sends the user name and the password if the proxy wants them.
func (h *handshake) authenticate(nc io.ReadWriter) error {
	name, password := credentials(h.via)
	hello := []byte{socksVersion, 1, methodNone}
	if name != "" {
		hello = []byte{socksVersion, 2, methodNone, methodPassword}
	}
	if _, err := nc.Write(hello); err != nil {
		return h.broken(err)
	}
	var chosen [2]byte
	if _, err := io.ReadFull(nc, chosen[:]); err != nil {
		return h.broken(err)
	}
	switch {
	case chosen[0] != socksVersion:
		return h.fail(Odd, fmt.Errorf("its first byte is %#x instead of the version 5", chosen[0]))
	case chosen[1] == methodNone:
		return nil
	case chosen[1] == methodRefused && name == "":
		return h.fail(Denied, errWanted)
	case chosen[1] == methodRefused:
		return h.fail(Denied, errors.New("it accepts neither clients without a name nor those with a password"))
	case chosen[1] != methodPassword || name == "":
		return h.fail(Odd, fmt.Errorf("it chose method %d, which was not offered", chosen[1]))
	}
	login := append([]byte{authVersion, byte(len(name))}, name...)
	login = append(append(login, byte(len(password))), password...)
	if _, err := nc.Write(login); err != nil {
		return h.broken(err)
	}
	if _, err := io.ReadFull(nc, chosen[:]); err != nil {
		return h.broken(err)
	}
	if chosen[1] != 0 {
		return h.fail(Denied, errWrong)
	}
	return nil
}

// appendAddr appends an address to a request. A zone of an address means an interface of this machine, so
// that a proxy cannot use it.
func appendAddr(b []byte, host string, port uint16) ([]byte, error) {
	a, err := netip.ParseAddr(host)
	a = a.Unmap()
	switch {
	case err == nil && a.Zone() != "":
		return nil, errors.New("the address names an interface of this machine")
	case err == nil && a.Is4():
		b = append(append(b, typeIPv4), a.AsSlice()...)
	case err == nil:
		b = append(append(b, typeIPv6), a.AsSlice()...)
	case host == "" || len(host) > maxName:
		return nil, errors.New("the name of the host does not have 1 to 255 bytes")
	default:
		b = append(append(b, typeName, byte(len(host))), host...)
	}
	return binary.BigEndian.AppendUint16(b, port), nil
}
