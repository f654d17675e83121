package portmap

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Limits of the XML of a gateway.
const (
	maxDescription = 256 << 10 // bytes of a description
	maxSOAPAnswer  = 64 << 10  // bytes of an answer to an action
	maxXMLDepth    = 32
	maxXMLTokens   = 20_000
	maxXMLText     = 1024 // bytes of the text of one element that are kept
	maxServices    = 8    // services of one gateway that are tried
)

// service is a service of a gateway that opens ports.
type service struct {
	kind    string // its type, such as wanIP1
	control *url.URL
}

// The types of services that open ports, the preferred ones first.
const (
	wanIP2   = "urn:schemas-upnp-org:service:WANIPConnection:2"
	wanIP1   = "urn:schemas-upnp-org:service:WANIPConnection:1"
	wanPPP1  = "urn:schemas-upnp-org:service:WANPPPConnection:1"
	firewall = "urn:schemas-upnp-org:service:WANIPv6FirewallControl:1"
)

var serviceKinds = []string{wanIP2, wanIP1, wanPPP1, firewall}

// parseDescription returns the services in the description of a gateway that open ports, the
// preferred ones first. The description was read from the URL at. It ignores services whose
// URL leads to another host than at.
func parseDescription(b []byte, at *url.URL) ([]service, error) {
	host, err := netip.ParseAddr(at.Hostname())
	if err != nil {
		return nil, err
	}
	base := at
	var found []service
	var kind, control string
	err = walkXML(b, func(path []string, text string) {
		switch name := path[len(path)-1]; name {
		case "URLBase":
			if u, err := url.Parse(text); err == nil && checkURL(u, host) == nil {
				base = u
			}
		case "serviceType":
			kind = text
		case "controlURL":
			control = text
		case "service":
			ref, err := url.Parse(control)
			if err == nil && control != "" && slices.Contains(serviceKinds, kind) && len(found) < maxServices {
				found = append(found, service{kind, ref})
			}
			kind, control = "", ""
		}
	})
	if err != nil {
		return nil, fmt.Errorf("the description of the router: %w", err)
	}
	var out []service
	for _, s := range found {
		s.control = base.ResolveReference(s.control)
		if checkURL(s.control, host) == nil {
			out = append(out, s)
		}
	}
	slices.SortStableFunc(out, func(a, b service) int {
		return slices.Index(serviceKinds, a.kind) - slices.Index(serviceKinds, b.kind)
	})
	return out, nil
}

// errXML is returned for XML beyond the limits.
var errXML = errors.New("the XML is too deep or too long")

// walkXML calls f at the end of each element with the names of the elements around it and its
// text. The last name is that of the element. It stops at the end of the outermost element.
func walkXML(b []byte, f func(path []string, text string)) error {
	d := xml.NewDecoder(bytes.NewReader(b))
	d.Strict = false // many routers write HTML entities
	d.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return latin1{in}, nil }
	var path []string
	var texts []string
	for range maxXMLTokens {
		t, err := d.RawToken()
		if err != nil {
			return err
		}
		switch t := t.(type) {
		case xml.StartElement:
			if len(path) == maxXMLDepth {
				return errXML
			}
			path, texts = append(path, t.Name.Local), append(texts, "")
		case xml.CharData:
			if n := len(texts); n > 0 && len(texts[n-1]) < maxXMLText {
				texts[n-1] += string(t[:min(len(t), maxXMLText-len(texts[n-1]))])
			}
		case xml.EndElement:
			n := len(path)
			if n == 0 || path[n-1] != t.Name.Local {
				return fmt.Errorf("the element %.40q ends where it did not begin", t.Name.Local)
			}
			f(path, strings.TrimSpace(texts[n-1]))
			path, texts = path[:n-1], texts[:n-1]
			if n == 1 {
				return nil
			}
		}
	}
	return errXML
}

// latin1 converts ISO 8859-1 to UTF-8. Routers that declare another encoding than UTF-8 use
// other letters than those of ASCII only in names, which nobody reads.
type latin1 struct{ in io.Reader }

func (l latin1) Read(p []byte) (int, error) {
	if len(p) < 2 {
		return 0, io.ErrShortBuffer
	}
	raw := make([]byte, len(p)/2)
	n, err := l.in.Read(raw)
	out := p[:0]
	for _, c := range raw[:n] {
		out = append(out, string(rune(c))...)
	}
	return len(out), err
}
