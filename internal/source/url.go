package source

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"html"
	"io"
	"mime"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	"spate/bencode"
	"spate/internal/fault"
	"spate/internal/netguard"
	"spate/internal/torrentfile"
	"spate/internal/units"
	"spate/internal/weburl"
	"spate/signature"
)

const (
	torrentType = "application/x-bittorrent"
	// signatureType is the type of a link to the torrent's minisign signature,
	// with the key as a parameter of the link.
	signatureType = "application/x-minisign"
	maxPage       = 2 << 20 // number of bytes of a page to search for a link
)

// resolveURL fetches the torrent of a URL. It tries, in this order: the URL itself, the torrent
// in the Link header or the page's <link rel="alternate">, the only .torrent link of the page,
// and the URL with .torrent appended. The first request may go to the networks in within.
func (r *Resolver) resolveURL(ctx context.Context, arg string, within netguard.Reach) (*Source, error) {
	u, err := url.Parse(arg)
	if err != nil || u.Host == "" {
		return nil, fault.Usagef("%s is not a URL", arg)
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	f := r.newFetcher()
	defer f.client.Close()
	f.within = within
	var found answered
	err = f.ask(ctx, u, found.read)
	var redirect *netguard.RedirectError
	if errors.As(err, &redirect) && redirect.Magnet != "" {
		r.log().Info("the URL redirects to a magnet link", "url", u.Redacted())
		return &Source{Arg: arg, Magnet: redirect.Magnet, sites: []string{signature.Site(u)}, reach: redirect.Reach}, nil
	}
	if found.at == nil {
		return nil, err
	}
	src := &Source{Arg: arg, URL: found.at.String(), sites: []string{signature.Site(u)}}
	if site := signature.Site(found.at); site != src.sites[0] {
		src.sites = append(src.sites, site)
	}
	src.Torrent, src.signed, src.reach, src.Direct, src.Signals = found.torrent, found.signed, f.within, found.data, found.signals
	src.v2Hashes = ofOrigin(found.v2Hashes, found.at)
	if err != nil || src.Torrent != nil {
		return src, err
	}
	next, guessed := found.link, found.link == nil
	page := strings.EqualFold(path.Ext(found.at.Path), ".torrent") // in place of a torrent
	if guessed {
		g := *found.at
		g.Path, g.RawPath = g.Path+".torrent", ""
		next = &g
	}
	if strings.EqualFold(next.Scheme, "magnet") {
		src.Magnet = next.String()
		return src, nil
	}
	r.log().Info("the torrent is at", "url", next.Redacted())
	if next.Scheme != "http" && next.Scheme != "https" {
		return nil, fault.New(fault.Failed, "", "%s links to a torrent with a %s:// URL, which spate does not support", arg, next.Scheme)
	}
	named, data := found.v2Hashes, found.file
	found.torrent, found.signed = nil, announced{}
	err = f.ask(ctx, next, found.read)
	if errors.As(err, &redirect) && redirect.Magnet != "" {
		src.Magnet, src.reach = redirect.Magnet, redirect.Reach
		return src, nil
	}
	if err != nil && !guessed {
		return nil, err
	}
	if guessed && page && (err != nil || found.torrent == nil) {
		return nil, fault.New(fault.NotFound, browserHint, "%s: the server sent a web page in place of the torrent", arg)
	}
	if err != nil || found.torrent == nil {
		return nil, fault.New(fault.NotFound, "give the URL of the .torrent, or of a page that links to it", "%s has no link to a torrent", arg)
	}
	src.Torrent, src.URL, src.reach = found.torrent, next.String(), f.within
	src.Signals = cmp.Or(found.signals, src.Signals)
	if found.data != "" {
		src.Direct = found.data
	} else if guessed && src.Direct == "" && data != nil {
		src.Direct = sameServer(data, "") // the torrent lies beside its data
	}
	if found.signed.url != nil {
		src.signed = found.signed
	}
	src.v2Hashes = ofOrigin(cmp.Or(found.v2Hashes, named), found.at)
	return src, nil
}

// answered is the result of one request.
type answered struct {
	at       *url.URL // the URL of the answer, after redirects
	file     *url.URL // the same, if the answer is a file and neither a page nor a torrent
	torrent  []byte   // the torrent, or nil
	link     *url.URL // the URL of the torrent, or nil
	signed   announced
	data     string   // the URL of the data at the same server, or ""
	signals  string   // the URL of the WebSocket tracker of the same server, or ""
	v2Hashes *url.URL // the URL of the v2 hashes of the torrent, or nil
}

// read fills in a from an answer, and closes its body.
func (a *answered) read(resp *http.Response) (err error) {
	*a, err = torrentOrLink(resp)
	return err
}

// announced is a signature that a link names. It is not verified yet.
type announced struct {
	url *url.URL // nil: none
	key string   // the key that the link names
}

// announce returns the signature that the link to target with attrs names, or the zero
// value.
func announce(base *url.URL, target string, attrs map[string]string) announced {
	if attrs["type"] != signatureType {
		return announced{}
	}
	u, err := base.Parse(target)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return announced{}
	}
	return announced{u, attrs["key"] + attrs["data-key"]}
}

// torrentOrLink returns the torrent in an answer, or the URL of the torrent that the answer
// names, or neither. It closes the body. It reads only the beginning of a large file.
func torrentOrLink(resp *http.Response) (found answered, err error) {
	defer resp.Body.Close()
	base := resp.Request.URL
	found.at = base
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	ref := ""
	eachLink(resp.Header.Values("Link"), func(target string, attrs map[string]string) {
		signed, hashes := announce(base, target, attrs), v2HashesLink(base, target, attrs)
		switch {
		case hashes != nil && found.v2Hashes == nil:
			found.v2Hashes = hashes
		case signed.url != nil && found.signed.url == nil:
			found.signed = signed
		case ref == "" && isAlternate(attrs):
			ref = target
		case found.data == "" && hasRel(attrs, "enclosure"):
			found.data = sameServer(base, target)
		case found.signals == "" && attrs["type"] == weburl.SignalTrackerType:
			found.signals = signalTracker(base, target)
		}
	})
	if kind != torrentType && ref != "" {
		found.link, err = base.Parse(ref)
		return found, err
	}
	named := strings.EqualFold(path.Ext(base.Path), ".torrent")
	if kind == "text/html" || kind == "application/xhtml+xml" {
		page, err := io.ReadAll(io.LimitReader(resp.Body, maxPage))
		if err != nil {
			return found, cut(base, err)
		}
		err = found.readPage(page)
		return found, err
	}
	if slices.Contains(metalinkTypes, kind) || slices.Contains(metalinkNames, strings.ToLower(path.Ext(base.Path))) {
		b, err := io.ReadAll(io.LimitReader(resp.Body, maxPage))
		if err != nil {
			return found, cut(base, err)
		}
		found.link, err = metalinkTorrent(b, base, base.Redacted())
		return found, err
	}
	head := make([]byte, 1)
	n, err := io.ReadFull(resp.Body, head)
	if err != nil && err != io.EOF {
		return found, damaged(base, err)
	}
	if kind != torrentType && !named && (n == 0 || head[0] != 'd' || resp.ContentLength > torrentfile.MaxSize) {
		found.file = base
		return found, nil
	}
	if n > 0 && head[0] != 'd' {
		return found, noTorrent(resp, head[0])
	}
	torrent, err := torrentfile.Read(io.MultiReader(bytes.NewReader(head[:n]), resp.Body), base.Redacted())
	switch {
	case err != nil && fault.CodeOf(err) == fault.BadData:
		return found, err
	case err != nil:
		return found, damaged(base, err)
	case untilClose(resp) && endsEarly(torrent):
		return found, cut(base, io.ErrUnexpectedEOF)
	}
	if kind == torrentType || named || torrentfile.LooksLikeTorrent(torrent) {
		found.torrent = torrent
	}
	return found, nil
}

// untilClose reports whether only the end of the connection ends the body of resp.
func untilClose(resp *http.Response) bool {
	return resp.ProtoMajor == 1 && resp.ContentLength < 0 && len(resp.TransferEncoding) == 0
}

// endsEarly reports whether b is the beginning of a torrent, or nothing.
func endsEarly(b []byte) bool {
	d := bencode.NewDecoder(b, bencode.Options{})
	d.Skip()
	return errors.Is(d.Err(), io.ErrUnexpectedEOF)
}

// noTorrent returns the error about an answer in place of a torrent, whose first byte is not
// that of a torrent.
func noTorrent(resp *http.Response, first byte) error {
	at := resp.Request.URL.Redacted()
	encoding := resp.Header.Get("Content-Encoding")
	switch {
	case encoding != "" && !strings.EqualFold(encoding, "identity"):
		return fault.New(fault.BadData, "fetch the .torrent with a browser, and give the file", "%s: the server encodes the answer as %.20q, which spate does not read", at, encoding)
	case first == '<':
		return fault.New(fault.BadData, browserHint, "%s: the server sent a web page in place of the torrent", at)
	}
	return fault.New(fault.BadData, browserHint, "%s: the answer is not a torrent", at)
}

const browserHint = "open the URL in a browser: the server may ask for a login, or have moved the file"

var linkParam = regexp.MustCompile(`;\s*([\w*-]+)\s*=\s*(?:"([^"]*)"|([^\s;,"]+))`)

// eachLink calls f with each link in the values of Link headers (RFC 8288), and with the
// parameters of the link.
func eachLink(values []string, f func(target string, attrs map[string]string)) {
	for _, v := range values {
		for len(v) > 0 {
			_, rest, ok := strings.Cut(v, "<")
			if !ok {
				break
			}
			target, params, ok := strings.Cut(rest, ">")
			if !ok {
				break
			}
			own := params
			if i := strings.Index(params, "<"); i >= 0 { // the next link of the same header
				own = params[:i]
			}
			v = params[len(own):]
			attrs := map[string]string{}
			for _, m := range linkParam.FindAllStringSubmatch(own, -1) {
				attrs[strings.ToLower(m[1])] = m[2] + m[3]
			}
			f(target, attrs)
		}
	}
}

func isAlternate(attrs map[string]string) bool {
	kind, _, _ := mime.ParseMediaType(attrs["type"])
	return kind == torrentType && hasRel(attrs, "alternate")
}

// hasRel reports whether a link has the relation rel.
func hasRel(attrs map[string]string, rel string) bool {
	return slices.Contains(strings.Fields(strings.ToLower(attrs["rel"])), rel)
}

// sameServer returns the URL of target, or "" if it is at another server than base.
func sameServer(base *url.URL, target string) string {
	u, err := base.Parse(target)
	if err != nil || ofOrigin(u, base) == nil || u.RawQuery != "" {
		return ""
	}
	u.User, u.Fragment = base.User, ""
	return u.String()
}

// signalTracker returns the URL of the WebSocket tracker that a link names, or "" if it is at another
// server than base.
func signalTracker(base *url.URL, target string) string {
	at := sameServer(base, target)
	if at == "" {
		return ""
	}
	return "ws" + strings.TrimPrefix(at, "http")
}

var (
	htmlTag  = regexp.MustCompile(`(?is)<!--.*?-->|<(link|a)\s([^>]*)>`)
	htmlAttr = regexp.MustCompile(`(?is)([\w-]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))`)
)

// readPage fills in the torrent that a page names: its <link rel="alternate">, or the only
// .torrent among its anchors, or the only magnet link. It also fills in the signature, the v2 hashes
// and the data that a <link> names, unless a Link header has named them.
func (a *answered) readPage(page []byte) (err error) {
	base := a.at
	var torrents, magnets []string
	for _, m := range htmlTag.FindAllSubmatch(page, -1) {
		attrs := map[string]string{}
		for _, at := range htmlAttr.FindAllSubmatch(m[2], -1) {
			attrs[strings.ToLower(string(at[1]))] = html.UnescapeString(string(at[2]) + string(at[3]) + string(at[4]))
		}
		href := strings.TrimSpace(attrs["href"])
		u, err := base.Parse(href)
		if href == "" || err != nil {
			continue
		}
		switch {
		case strings.EqualFold(string(m[1]), "link"):
			signed, hashes := announce(base, href, attrs), v2HashesLink(base, href, attrs)
			switch {
			case hashes != nil && a.v2Hashes == nil:
				a.v2Hashes = hashes
			case signed.url != nil && a.signed.url == nil:
				a.signed = signed
			case a.link == nil && isAlternate(attrs):
				a.link = u
			case a.data == "" && hasRel(attrs, "enclosure"):
				a.data = sameServer(base, href)
			}
		case u.Scheme == "magnet":
			magnets = appendNew(magnets, u.String())
		case strings.EqualFold(path.Ext(u.Path), ".torrent"):
			u.Fragment = ""
			torrents = appendNew(torrents, u.String())
		}
	}
	links := torrents
	if len(links) == 0 {
		links = magnets
	}
	if a.link == nil && len(links) > 0 {
		a.link, err = onlyLink(links, base.Redacted())
	}
	return err
}

// onlyLink returns the only one of links. If there are more, the error names some.
func onlyLink(links []string, name string) (*url.URL, error) {
	if len(links) > 1 {
		return nil, fault.New(fault.Failed, "choose one: "+strings.Join(links[:min(3, len(links))], " "), "%s links to %s", name, units.Plural(len(links), "torrent"))
	}
	return url.Parse(links[0])
}

func appendNew(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}
