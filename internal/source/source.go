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
	"strings"

	"spate"
	"spate/internal/fault"
	"spate/internal/netguard"
	"spate/internal/torrentfile"
	"spate/metainfo"
)

// Source is the torrent of a SOURCE argument: the bytes of a .torrent, or a magnet link.
type Source struct {
	Arg     string // the argument
	Torrent []byte // the .torrent as bytes; nil for a magnet link
	Magnet  string // the magnet link, or ""
	URL     string // the URL that Torrent came from, or ""

	sites  []string       // the sites of the URL and its redirects
	signed announced      // the signature that a response names
	reach  netguard.Reach // networks that the signature may come from
}

// Resolver finds sources.
type Resolver struct {
	Stdin io.Reader     // read for the argument "-"
	Bind  netip.Addr    // the local address of connections; may be invalid
	Names *net.Resolver // resolves the hosts of URLs; nil is the resolver of package net
	Log   *slog.Logger  // nil discards
	Notef func(format string, args ...any)

	retry netguard.Backoff // pauses between requests; zero: fetchRetry
}

// Resolve finds the torrent of arg: a file, "-" for standard input, the http(s) URL of a
// torrent, of a page or of data with a torrent, a magnet link, or an info-hash. It ignores
// blanks and quotes around arg.
func (r *Resolver) Resolve(ctx context.Context, arg string) (*Source, error) {
	arg = UnquoteArg(arg)
	switch scheme, _, _ := strings.Cut(arg, ":"); strings.ToLower(scheme) {
	case "magnet":
		return &Source{Arg: arg, Magnet: arg}, nil
	case "http", "https":
		return r.resolveURL(ctx, arg)
	}
	if arg == "-" {
		b, err := torrentfile.Read(r.Stdin, "standard input")
		return &Source{Arg: arg, Torrent: b}, err
	}
	b, err := torrentfile.ReadFile(arg)
	if errors.Is(err, fs.ErrNotExist) {
		if m := magnetOfHash(arg); m != "" {
			return &Source{Arg: arg, Magnet: m}, nil
		}
		if u, uerr := url.Parse(arg); uerr == nil && u.Scheme != "" && u.Host != "" {
			return nil, fault.UsageHint("write a .torrent file, an http(s) URL, a magnet link or an info-hash", "%s: cannot fetch from %s://", arg, u.Scheme)
		}
		return nil, fault.WithHint(err, "a SOURCE is a .torrent file, an http(s) URL, a magnet link or an info-hash")
	}
	return &Source{Arg: arg, Torrent: b}, err
}

// magnetOfHash returns the magnet link of an info-hash in hexadecimal or base32, or "" if s is
// not an info-hash.
func magnetOfHash(s string) string {
	if h, err := spate.ParseInfoHash(s); err == nil {
		return "magnet:?xt=urn:btih:" + h.String()
	}
	if h, err := spate.ParseInfoHashV2(s); err == nil {
		return "magnet:?xt=urn:btmh:1220" + h.String()
	}
	return ""
}

// Parse parses the torrent. Do not call it if the source is a magnet link.
func (s *Source) Parse() (*metainfo.MetaInfo, error) { return torrentfile.Parse(s.Arg, s.Torrent) }

// log returns the logger, which is never nil.
func (r *Resolver) log() *slog.Logger {
	if r.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return r.Log
}
