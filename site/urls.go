package site

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"spate/internal/weburl"
	"spate/publish"
)

// base returns the URL of the site for the visitor who sent r. It returns Options.BaseURL
// if that is set. Otherwise it builds a URL from the Host header, but only if the header is
// an IP address or a name of this machine, because a visitor can send any header. For any
// other header it uses the local address of the connection.
func (s *Site) base(r *http.Request) *url.URL {
	if s.opts.BaseURL != nil {
		return s.opts.BaseURL
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	if host, err := weburl.Host(scheme, r.Host); err == nil && s.believable(r.Host) {
		return &url.URL{Scheme: scheme, Host: host}
	}
	if addr, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		if local, err := netip.ParseAddrPort(addr.String()); err == nil {
			return weburl.FromAddr(scheme, local)
		}
	}
	return &url.URL{Scheme: scheme, Host: "localhost"}
}

// believable reports whether the Host header may be used in links.
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

// path returns the link on an English page for an encoded path of package publish. The link starts
// with the path of the base URL and has no host.
func (s *Site) path(encoded string) string {
	return s.prefix + s.visits.link(s.languages.English(), encoded)
}

// pagePath returns the encoded path of the page of a reference, with its nice address.
func (s *Site) pagePath(ref string) string { return publish.PagePath(publish.NiceRef(s.catalog, ref)) }

// ownRef returns the reference ref of rel with the slug of rel instead of another address.
func ownRef(rel *publish.Release, ref string) string {
	own := publish.ParseRef(ref)
	own.Slug = rel.Slug
	return own.String()
}

// absolute returns the URL for an encoded path of package publish, on the site at base.
func (s *Site) absolute(base *url.URL, encoded string) string {
	if s.visits != nil {
		encoded = s.visits.names.encoded(encoded)
	}
	return publish.Absolute(base, encoded)
}

// torrentLink returns the value of a Link header with the torrent. A client that has the
// URL of a page or of the data finds the torrent by this header.
func (s *Site) torrentLink(ref string) string {
	return "<" + s.path(publish.TorrentPath(ref)) + `>; rel="alternate"; type="application/x-bittorrent"`
}

// setLinks sets Link headers for rel, which was requested as ref: for its torrent, its
// Metalink (RFC 6249), its JSON description, its data, its signature, its v2 hashes and its WebSocket tracker. The links have the
// slug of rel also if ref has another address, which can be withdrawn.
func (s *Site) setLinks(h http.Header, rel *publish.Release, ref string) {
	ref = ownRef(rel, ref)
	h["Link"] = append([]string{
		s.torrentLink(ref),
		"<" + s.path(publish.MetalinkPath(ref)) + `>; rel="describedby"; type="application/metalink4+xml"`,
		"<" + s.path(publish.PagePath(ref)) + `/release.json>; rel="describedby"; type="application/json"`,
		s.dataLink(rel),
	}, s.signatureLink(rel, false)...)
	if rel.HasV2Hashes {
		h.Add("Link", s.v2HashesLink(rel.Ref()))
	}
	s.addSignalLink(h, rel)
}

// addSignalLink adds a Link header for the WebSocket tracker of this host, if rel is announced there.
// spate get meets the pages of other visitors through it, because the torrent does not name it.
func (s *Site) addSignalLink(h http.Header, rel *publish.Release) {
	if s.announcesToPages(rel) {
		h.Add("Link", "<"+s.prefix+s.opts.WebSocketPath+`>; rel="related"; type="`+weburl.SignalTrackerType+`"`)
	}
}

// dataLink returns the value of a Link header with the data, in the form of a web seed. spate
// get uses it if no peer sends the data, because the torrent need not name this site as a web
// seed.
func (s *Site) dataLink(rel *publish.Release) string {
	return "<" + s.prefix + publish.WebSeedPath(rel.Ref(), rel.Single) + `>; rel="enclosure"`
}

// enclosure returns the link to the data on the page of ref, in the form of a web seed, or "". In an
// export no server sends the Link header of [Site.dataLink], and there is no folder /w/REF/: the
// tree of a release is the folder of a web seed only if the release has the name of the torrent.
func (s *Site) enclosure(rel *publish.Release, ref string) string {
	switch {
	case s.visits == nil:
		return s.prefix + publish.WebSeedPath(rel.Ref(), rel.Single)
	case rel.Single:
		return s.path(publish.DownloadPath(ref))
	case rel.Name == ref:
		return s.prefix + "/d/"
	}
	return ""
}

// safeMagnet returns link if it is a magnet link without special characters, so that a page
// can contain it unchanged, and "" otherwise.
func safeMagnet(link string) string {
	if !strings.HasPrefix(link, "magnet:?") || strings.ContainsFunc(link, func(c rune) bool {
		return c <= ' ' || c >= 0x7f || strings.ContainsRune("\"'<>\\`", c)
	}) {
		return ""
	}
	return link
}
