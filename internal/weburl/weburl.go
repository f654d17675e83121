// Package weburl normalizes the public URLs of the program, and compares the paths of requests
// segment by segment, after percent-decoding. An encoded slash inside a segment does not
// separate segments.
package weburl

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// SignalTrackerType is the type of the link of a site to its WebSocket tracker, where the peers of a
// torrent that are browsers are met. The link is an http or https URL.
const SignalTrackerType = "application/x-spate-websocket-tracker"

// Parse parses the base URL of a site or a tracker and returns it in the form of [Base].
func Parse(s string) (*url.URL, error) {
	if strings.Contains(s, "#") {
		return nil, errors.New("the URL has a fragment")
	}
	u, err := url.Parse(s)
	if err != nil {
		var bad *url.Error
		if errors.As(err, &bad) {
			err = bad.Err // without the URL, which the caller prints
		}
		return nil, err
	}
	return Base(u)
}

// Base returns the normal form of a base URL: the host is in ASCII and lower case, with A-labels
// instead of U-labels and without a dot at the end; a default port is left out; the path has
// no slash at the end, and each segment is percent-encoded by [url.PathEscape]. It returns an
// error if u is no http or https URL, has a user, a query or a fragment, has a host that only
// this machine can resolve (an IPv6 zone), or has an empty segment or a dot segment in its path.
func Base(u *url.URL) (*url.URL, error) {
	if u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("the URL is not an http or https URL of a host")
	}
	if u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return nil, errors.New("the URL has a user, a query or a fragment")
	}
	host, err := Host(u.Scheme, u.Host)
	if err != nil {
		return nil, err
	}
	segments, err := Segments(strings.TrimRight(RawPath(u), "/"))
	if err != nil {
		return nil, err
	}
	for _, s := range segments {
		if s == "" || s == "." || s == ".." || strings.ContainsFunc(s, unicode.IsControl) {
			return nil, fmt.Errorf("the path of the URL has the segment %q", s)
		}
	}
	out := &url.URL{Scheme: u.Scheme, Host: host}
	setPath(out, segments)
	return out, nil
}

// Host returns the normal form of host, which may have a port, in a URL with the scheme; see
// [Base].
func Host(scheme, host string) (string, error) {
	u := url.URL{Host: host}
	name, port := u.Hostname(), u.Port()
	if rest := strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(host, "["), name), "]"); rest != "" && rest != ":"+port {
		return "", fmt.Errorf("%q is not a host with a port", host)
	}
	name, err := hostName(name, strings.HasPrefix(host, "["))
	if err != nil {
		return "", err
	}
	if port == "" {
		return name, nil
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return "", fmt.Errorf("the port %s of the URL is not between 1 and 65535", port)
	}
	if scheme == "http" && n == 80 || scheme == "https" && n == 443 {
		return name, nil
	}
	return name + ":" + strconv.FormatUint(n, 10), nil
}

// hostName returns the normal form of a host without a port. An IPv6 address gets brackets.
func hostName(name string, bracketed bool) (string, error) {
	if ip, err := netip.ParseAddr(name); err == nil {
		switch {
		case ip.Is6() != bracketed:
			return "", fmt.Errorf("%q is not a host: only an IPv6 address is in brackets", name)
		case ip.Zone() != "":
			return "", fmt.Errorf("the address %s has a zone, which only this machine knows", name)
		case bracketed:
			return "[" + ip.String() + "]", nil
		}
		return ip.String(), nil
	}
	if bracketed {
		return "", fmt.Errorf("%q in brackets is not an IPv6 address", name)
	}
	ascii, err := ASCIIName(name)
	if err != nil {
		return "", err
	}
	return strings.TrimSuffix(ascii, "."), nil
}

// ASCIIName returns a domain name in lower case with A-labels instead of U-labels (RFC 5890), or
// an error if name is no domain name. A dot at the end stays.
func ASCIIName(name string) (string, error) {
	ascii := strings.ToLower(name)
	if !utf8.ValidString(name) {
		return "", fmt.Errorf("%q is not a host name", name)
	}
	if strings.ContainsFunc(name, func(c rune) bool { return c > unicode.MaxASCII }) {
		var err error
		if ascii, err = idna.Lookup.ToASCII(name); err != nil {
			return "", fmt.Errorf("%q is not a host name: %w", name, err)
		}
	}
	labels := strings.Split(strings.TrimSuffix(ascii, "."), ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return "", fmt.Errorf("%q is not a host name", name)
		}
	}
	if last := labels[len(labels)-1]; len(ascii) > 254 || strings.Trim(last, "0123456789") == "" {
		return "", fmt.Errorf("%q is neither a host name nor an address", name)
	}
	return ascii, nil
}

// FromAddr returns the base URL of the listener at addr.
func FromAddr(scheme string, addr netip.AddrPort) *url.URL {
	host, err := Host(scheme, net.JoinHostPort(addr.Addr().WithZone("").String(), strconv.Itoa(int(addr.Port()))))
	if err != nil { // the port is 0
		host = addr.String()
	}
	return &url.URL{Scheme: scheme, Host: host}
}

// Segments splits an encoded path at its slashes and decodes each segment. A slash at the end
// leads to an empty last segment; the path "" has no segments.
func Segments(encoded string) ([]string, error) {
	encoded = strings.TrimPrefix(encoded, "/")
	if encoded == "" {
		return nil, nil
	}
	segments := strings.Split(encoded, "/")
	for i, s := range segments {
		var err error
		if segments[i], err = url.PathUnescape(s); err != nil {
			return nil, err
		}
	}
	return segments, nil
}

// RawPath returns the path of u as it was before it was parsed, for [Segments].
// [url.URL.EscapedPath] decodes an encoded slash if another character of the path is not
// encoded but should be.
func RawPath(u *url.URL) string {
	if path, err := url.PathUnescape(u.RawPath); u.RawPath != "" && err == nil && path == u.Path {
		return u.RawPath
	}
	return u.EscapedPath()
}

// Encode returns the encoded path of segments: the inverse of [Segments].
func Encode(segments []string) string {
	var b strings.Builder
	for _, s := range segments {
		b.WriteByte('/')
		b.WriteString(url.PathEscape(s))
	}
	return b.String()
}

// CutPrefix removes the segments of prefix from the start of segments, and reports whether they
// were there.
func CutPrefix(segments, prefix []string) ([]string, bool) {
	if len(segments) < len(prefix) {
		return segments, false
	}
	for i, s := range prefix {
		if segments[i] != s {
			return segments, false
		}
	}
	return segments[len(prefix):], true
}

// WithPath returns a shallow copy of r that requests the path of segments, in the encoding of
// [Encode]. No segments stand for the path "/".
func WithPath(r *http.Request, segments []string) *http.Request {
	out := new(http.Request)
	*out = *r
	out.URL = new(url.URL)
	*out.URL = *r.URL
	if len(segments) == 0 {
		segments = []string{""}
	}
	setPath(out.URL, segments)
	return out
}

// setPath sets the path of u to segments.
func setPath(u *url.URL, segments []string) {
	u.Path, u.RawPath = "", Encode(segments)
	for _, s := range segments {
		u.Path += "/" + s
	}
}
