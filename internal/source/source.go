// Package source finds the torrent of a SOURCE argument, and checks the signatures of sites.
package source

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strings"

	"spate"
	"spate/internal/fault"
	"spate/internal/netguard"
	"spate/internal/proxy"
	"spate/internal/torrentfile"
	"spate/internal/units"
	"spate/signature"
)

// Source is the torrent of a SOURCE argument: the bytes of a .torrent, a magnet link, or both
// after [Resolver.FetchTorrent].
type Source struct {
	Arg     string // the argument, or the link in the file or standard input that it names
	Path    string // the file that Torrent came from, or ""
	Torrent []byte // the .torrent as bytes; nil for a magnet link
	Magnet  string // the magnet link, or ""
	URL     string // the URL that Torrent came from, or ""
	// Direct is the URL of the data at the server of URL, or "". Its form is that of a web
	// seed (BEP 19), and the torrent need not name it.
	Direct string
	// Signals is the URL of the WebSocket tracker at the server of URL through which the torrent's
	// peers in browsers are met, or "". The torrent need not name it.
	Signals string

	sites  []string       // the sites of the URL and its redirects
	signed announced      // the signature that a response names
	reach  netguard.Reach // networks that the signature and further links may come from

	v2Hashes *url.URL              // the v2 hashes that a response names, at the origin of the torrent; may be nil
	signers  []signature.PublicKey // the keys whose signature of the torrent CheckSignature has verified
	release  signature.Release     // the release in that signature
}

// Resolver finds sources.
type Resolver struct {
	Stdin io.Reader     // read for the argument "-"
	Bind  netip.Addr    // the local address of connections; may be invalid
	Names *net.Resolver // resolves the hosts of URLs; nil is the resolver of package net
	Proxy proxy.Chooser // the proxies of requests; nil: all are direct
	Log   *slog.Logger  // nil discards
	Notef func(format string, args ...any)

	retry netguard.Backoff // pauses between requests; zero: fetchRetry
}

// Resolve finds the torrent of arg: a file, a file: URL, "-" for standard input, the http(s)
// URL of a torrent, of a page or of data with a torrent, a magnet link, or an info-hash. A
// file, standard input or an answer may also be a Metalink, and the first two may hold a link
// or an info-hash. Resolve ignores blanks and quotes around arg, and line breaks in a link.
func (r *Resolver) Resolve(ctx context.Context, arg string) (*Source, error) {
	arg = UnquoteArg(arg)
	if link, err := linkIn(arg); err != nil {
		return nil, err
	} else if link != "" {
		return r.resolveLink(ctx, link, netguard.ToChosen)
	}
	if arg == "-" {
		b, err := torrentfile.ReadSource(r.Stdin, "standard input")
		if err != nil {
			return nil, err
		}
		return r.content(ctx, &Source{Arg: arg, Torrent: b})
	}
	path, err := FilePath(arg)
	if err != nil {
		return nil, err
	}
	b, err := torrentfile.ReadSourceFile(path)
	switch {
	case err == nil:
		return r.content(ctx, &Source{Arg: arg, Path: path, Torrent: b})
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	if m := magnetOfHash(arg); m != "" {
		return &Source{Arg: arg, Magnet: m, reach: netguard.ToChosen}, nil
	}
	if u, uerr := url.Parse(arg); uerr == nil && u.Scheme != "" && u.Host != "" && path == arg {
		return nil, fault.UsageHint("write "+sourceKinds, "%s: cannot fetch from %s://", arg, u.Scheme)
	}
	if path == arg {
		if hosts := schemeless(arg); hosts != nil {
			return r.resolveEither(ctx, hosts, netguard.ToChosen)
		}
	}
	if almostHash.MatchString(arg) {
		return nil, fault.UsageHint("an info-hash has 40 or 64 hexadecimal digits, or 32 base32 digits",
			"%s is neither a file nor an info-hash: it has %s", arg, units.Plural(len(arg), "digit"))
	}
	return nil, fault.WithHint(err, "a SOURCE is "+sourceKinds)
}

// withoutScheme matches the URL of a page without its scheme: HOST:PORT/PATH, or HOST/r/NAME.
var withoutScheme = regexp.MustCompile(`^(?:\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z.-]+)(?:(:[0-9]{1,5})/|/r/).`)

// schemeless returns the URLs that an argument without a scheme can stand for, the likely one
// first, or nil if it is no such URL. HTTP is the likely scheme of a port that is named.
func schemeless(arg string) []string {
	m := withoutScheme.FindStringSubmatch(arg)
	switch {
	case m == nil:
		return nil
	case m[1] == "" || m[1] == ":443":
		return []string{"https://" + arg, "http://" + arg}
	}
	return []string{"http://" + arg, "https://" + arg}
}

// resolveEither finds the torrent of the first of two URLs that has one. The error is that of the
// first URL.
func (r *Resolver) resolveEither(ctx context.Context, urls []string, within netguard.Reach) (*Source, error) {
	src, err := r.resolveURL(ctx, urls[0], within)
	if err == nil || ctx.Err() != nil {
		return src, err
	}
	if src, other := r.resolveURL(ctx, urls[1], within); other == nil {
		return src, nil
	}
	return nil, err
}

// almostHash matches an argument that was probably meant as an info-hash.
var almostHash = regexp.MustCompile(`^(?i)[0-9a-f]{30,80}$`)

const sourceKinds = "a .torrent file, an http(s) URL, a magnet link or an info-hash"

// resolveLink finds the torrent of a magnet link, an http(s) URL or an info-hash. The request
// for a URL may go to the networks in within.
func (r *Resolver) resolveLink(ctx context.Context, link string, within netguard.Reach) (*Source, error) {
	switch m := magnetOfHash(link); {
	case m != "":
		return &Source{Arg: link, Magnet: m, reach: within}, nil
	case hasScheme(link, "magnet"):
		return &Source{Arg: link, Magnet: link, reach: within}, nil
	}
	return r.resolveURL(ctx, link, within)
}

// content finds the torrent of a file or of standard input with the content src.Torrent, which
// can also be a Metalink, a link or an info-hash. A stranger may have written the file, so the
// link may not go everywhere that a link of the user may.
func (r *Resolver) content(ctx context.Context, src *Source) (*Source, error) {
	link, err := linkInText(src.Torrent)
	if err != nil {
		return nil, err
	}
	if link == "" && isMetalink(src.Torrent) {
		u, err := metalinkTorrent(src.Torrent, nil, src.name())
		if err != nil {
			return nil, err
		}
		link = u.String()
	}
	switch {
	case link == "":
		return src, nil
	case hasScheme(link, "http"), hasScheme(link, "https"):
		return r.resolveLink(ctx, link, reachOf(link))
	}
	return r.resolveLink(ctx, link, netguard.ToMachine)
}

// magnetOfHash returns the magnet link of an info-hash in hexadecimal or base32, or of the
// multihash of a v2 info-hash, or "" if s is none of them.
func magnetOfHash(s string) string {
	if h, err := spate.ParseInfoHash(s); err == nil {
		return "magnet:?xt=urn:btih:" + h.String()
	}
	const multihash = "1220"
	if digits, ok := strings.CutPrefix(s, multihash); ok && len(digits) == 64 {
		s = digits
	}
	if h, err := spate.ParseInfoHashV2(s); err == nil {
		return "magnet:?xt=urn:btmh:" + multihash + h.String()
	}
	return ""
}

// log returns the logger, which is never nil.
func (r *Resolver) log() *slog.Logger {
	if r.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return r.Log
}
