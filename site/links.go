package site

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"spate/publish"
)

// base is the URL under which the visitor of r reaches the site: the one that
// was set, else what the request itself says. A Host header can say anything, so
// it counts only as an address or as a name known to be this machine's; failing
// that, the address that the connection came in on is named.
func (s *Site) base(r *http.Request) *url.URL {
	if s.opts.BaseURL != nil {
		return s.opts.BaseURL
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	if s.believable(r.Host) {
		return &url.URL{Scheme: scheme, Host: r.Host}
	}
	if addr, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		return &url.URL{Scheme: scheme, Host: addr.String()}
	}
	return &url.URL{Scheme: scheme, Host: "localhost"}
}

// believable reports whether a Host header may be repeated in links.
func (s *Site) believable(host string) bool {
	name, port := host, ""
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		name, port = host[:i], host[i+1:]
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return false
		}
	}
	if bare, ok := strings.CutPrefix(name, "["); ok {
		bare, ok = strings.CutSuffix(bare, "]")
		ip, err := netip.ParseAddr(bare)
		return ok && err == nil && ip.Is6() && ip.Zone() == ""
	}
	if ip, err := netip.ParseAddr(name); err == nil {
		return ip.Is4()
	}
	return s.hosts[strings.ToLower(name)]
}

// path is one of publish's paths as a link on a page: below the path that the
// base URL may have, and on whatever host the visitor is.
func (s *Site) path(encoded string) string { return s.prefix + s.visits.link(encoded) }

// torrentLink is the value of the Link header by which a client that was given
// the address of a page or of the data finds the torrent.
func (s *Site) torrentLink(ref string) string {
	return "<" + s.path(publish.TorrentPath(ref)) + `>; rel="alternate"; type="application/x-bittorrent"`
}

// setLinks names the torrent of rel, which was asked for as ref, in a header of
// its own, and in further ones the release's Metalink (RFC 6249), its description
// for programs, and its signature.
func (s *Site) setLinks(h http.Header, rel *publish.Release, ref string) {
	h["Link"] = append([]string{
		s.torrentLink(ref),
		"<" + s.path(publish.MetalinkPath(ref)) + `>; rel="describedby"; type="application/metalink4+xml"`,
		"<" + s.path(publish.PagePath(ref)) + `/release.json>; rel="describedby"; type="application/json"`,
	}, s.signatureLink(rel, false)...)
}

// safeMagnet returns link if it is a magnet link of harmless characters, so that
// a page may hold it as it is, or "".
func safeMagnet(link string) string {
	if !strings.HasPrefix(link, "magnet:?") || strings.ContainsFunc(link, func(c rune) bool {
		return c <= ' ' || c >= 0x7f || strings.ContainsRune("\"'<>\\`", c)
	}) {
		return ""
	}
	return link
}
