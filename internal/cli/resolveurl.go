package cli

import (
	"bytes"
	"context"
	"html"
	"io"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
)

const (
	torrentType = "application/x-bittorrent"
	maxPage     = 2 << 20 // bytes of a page that are searched for a link
)

// resolveURL fetches the torrent that a URL leads to: the URL itself, the one
// that the answer's Link header or the page's <link rel="alternate"> names, the
// only .torrent that the page links to, or the URL with .torrent appended.
func (a *app) resolveURL(ctx context.Context, arg string, bind netip.Addr) (*source, error) {
	u, err := url.Parse(arg)
	if err != nil || u.Host == "" {
		return nil, usagef("%s is not a URL", arg)
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	f := newFetcher(bind)
	defer f.client.CloseIdleConnections()
	resp, err := f.get(ctx, u)
	if err != nil {
		return nil, err
	}
	b, next, err := torrentOrLink(resp)
	if err != nil || b != nil {
		return &source{Arg: arg, Torrent: b, URL: resp.Request.URL.String()}, err
	}
	guessed := next == nil
	if guessed {
		g := *resp.Request.URL
		g.Path, g.RawPath = g.Path+".torrent", ""
		next = &g
	}
	if strings.EqualFold(next.Scheme, "magnet") {
		return &source{Arg: arg, Magnet: next.String(), URL: resp.Request.URL.String()}, nil
	}
	a.log.Info("the torrent is at", "url", next.Redacted())
	if next.Scheme != "http" && next.Scheme != "https" {
		return nil, fail(CodeFailed, "", "%s names a torrent at %s://, which is not fetched", arg, next.Scheme)
	}
	resp, err = f.get(ctx, next)
	if err != nil && !guessed {
		return nil, err
	}
	if err == nil {
		b, _, err = torrentOrLink(resp)
	}
	if err != nil || b == nil {
		return nil, fail(CodeNotFound, "give the URL of the .torrent, or of a page that links to it", "%s leads to no torrent", arg)
	}
	return &source{Arg: arg, Torrent: b, URL: next.String()}, nil
}

// torrentOrLink reads the answer: the bytes of a torrent, or where a torrent
// is, or neither. It closes the body, and reads no more of a large file than
// its beginning.
func torrentOrLink(resp *http.Response) (torrent []byte, link *url.URL, err error) {
	defer resp.Body.Close()
	base := resp.Request.URL
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if kind != torrentType {
		if ref := linkHeader(resp.Header.Values("Link")); ref != "" {
			link, err = base.Parse(ref)
			return nil, link, err
		}
	}
	named := strings.EqualFold(path.Ext(base.Path), ".torrent")
	if kind == "text/html" || kind == "application/xhtml+xml" {
		page, err := io.ReadAll(io.LimitReader(resp.Body, maxPage))
		if err != nil {
			return nil, nil, fail(CodeNetwork, "", "%s: %w", base.Redacted(), err)
		}
		ref, err := pageLink(page, base)
		return nil, ref, err
	}
	head := make([]byte, 1)
	n, _ := io.ReadFull(resp.Body, head)
	if kind != torrentType && !named && (n == 0 || head[0] != 'd' || resp.ContentLength > maxTorrent) {
		return nil, nil, nil
	}
	torrent, err = readTorrent(io.MultiReader(bytes.NewReader(head[:n]), resp.Body), base.Redacted())
	if err != nil {
		return nil, nil, &Error{Code: codeOr(err, CodeNetwork), Err: err}
	}
	if kind != torrentType && !named && !looksLikeTorrent(torrent) {
		return nil, nil, nil
	}
	return torrent, nil, nil
}

// codeOr is the exit code that err carries, or code.
func codeOr(err error, code int) int {
	if c := exitCode(err); c != CodeFailed {
		return c
	}
	return code
}

// looksLikeTorrent reports whether b could be a metainfo dictionary.
func looksLikeTorrent(b []byte) bool {
	return len(b) > 2 && b[0] == 'd' && b[1] >= '0' && b[1] <= '9' && bytes.Contains(b, []byte("4:info"))
}

var linkParam = regexp.MustCompile(`;\s*([\w*-]+)\s*=\s*(?:"([^"]*)"|([^\s;,"]+))`)

// linkHeader returns the target of the first Link header value (RFC 8288) that
// is an alternate of the torrent type, or "".
func linkHeader(values []string) string {
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
			if isAlternate(attrs) {
				return target
			}
		}
	}
	return ""
}

func isAlternate(attrs map[string]string) bool {
	kind, _, _ := mime.ParseMediaType(attrs["type"])
	return kind == torrentType && slices.Contains(strings.Fields(strings.ToLower(attrs["rel"])), "alternate")
}

var (
	htmlTag  = regexp.MustCompile(`(?is)<!--.*?-->|<(link|a)\s([^>]*)>`)
	htmlAttr = regexp.MustCompile(`(?is)([\w-]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))`)
)

// pageLink finds the torrent that a page names: its <link rel="alternate">,
// else the only .torrent, else the only magnet link among its anchors.
func pageLink(page []byte, base *url.URL) (*url.URL, error) {
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
			if isAlternate(attrs) {
				return u, nil
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
	switch len(links) {
	case 0:
		return nil, nil
	case 1:
		return url.Parse(links[0])
	}
	return nil, fail(CodeFailed, "choose one: "+strings.Join(links[:min(3, len(links))], " "), "%s links to %d torrents", base.Redacted(), len(links))
}

func appendNew(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}
