package portmap

import (
	"bufio"
	"bytes"
	"fmt"
	"net/netip"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
)

// The search for gateways (UPnP Device Architecture 1.1, section 1.3).
const (
	ssdpPort       = 1900
	maxSSDPPacket  = 2048 // longer packets are cut, and then usually not understood
	maxSSDPAnswers = 16   // answers of one search that are read
)

// The multicast groups of SSDP; the second one is of the local link.
var (
	ssdpGroup4 = netip.MustParseAddr("239.255.255.250")
	ssdpGroup6 = netip.MustParseAddr("ff02::c")
)

// The searched types. A gateway answers a search for an older version of its type, but some
// gateways of version 2 do not.
var ssdpTargets = []string{
	"urn:schemas-upnp-org:device:InternetGatewayDevice:1",
	"urn:schemas-upnp-org:device:InternetGatewayDevice:2",
}

// appendSearch appends a search for devices of a type to b. The host is the address to which
// the search is sent.
func appendSearch(b []byte, host netip.AddrPort, target string) []byte {
	return fmt.Appendf(b, "M-SEARCH * HTTP/1.1\r\nHOST: %s\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\nST: %s\r\n\r\n", host, target)
}

// parseSearchAnswer returns the URL of the description in an answer to a search. The answer
// came from the address from. parseSearchAnswer returns an error unless the URL leads to that
// address, because an answer must not direct requests to another machine.
func parseSearchAnswer(b []byte, from netip.Addr) (*url.URL, error) {
	in := textproto.NewReader(bufio.NewReader(bytes.NewReader(b)))
	line, err := in.ReadLine()
	if err != nil {
		return nil, err
	}
	if version, rest, _ := strings.Cut(line, " "); !strings.HasPrefix(version, "HTTP/1.") || !strings.HasPrefix(rest, "200") {
		return nil, fmt.Errorf("an answer to a search begins with %.40q", line)
	}
	header, err := in.ReadMIMEHeader()
	if header.Get("Location") == "" {
		return nil, fmt.Errorf("an answer to a search names no description (%v)", err)
	}
	if t := header.Get("St"); !strings.Contains(t, "InternetGatewayDevice") {
		return nil, fmt.Errorf("an answer to a search is from a device of type %.60q", t)
	}
	u, err := url.Parse(header.Get("Location"))
	if err != nil {
		return nil, err
	}
	return u, checkURL(u, from)
}

// checkURL returns an error unless u is an http URL whose host is the address at. It ignores
// zones, which only this machine knows.
func checkURL(u *url.URL, at netip.Addr) error {
	host, err := netip.ParseAddr(u.Hostname())
	switch {
	case u.Scheme != "http" || u.User != nil:
		return fmt.Errorf("the router names the URL %.100q, which is not a plain http URL", u.Redacted())
	case err != nil || host.Unmap().WithZone("") != at.Unmap().WithZone(""):
		return fmt.Errorf("the router at %v names the URL %.100q of another host", at, u.Redacted())
	case u.Port() != "":
		if n, err := strconv.ParseUint(u.Port(), 10, 16); err != nil || n == 0 {
			return fmt.Errorf("the router names the URL %.100q, which has no valid port", u.Redacted())
		}
	}
	return nil
}
