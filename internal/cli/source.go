package cli

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/netip"
	"net/url"
	"os"
	"strings"

	"spate"
	"spate/internal/fault"
	"spate/internal/netguard"
	"spate/metainfo"
)

// maxTorrent bounds a .torrent, from wherever it comes, in bytes.
const maxTorrent = 10 << 20

// source is what a SOURCE argument turned out to be: the bytes of a .torrent,
// or only a magnet link.
type source struct {
	Arg     string // as it was written
	Torrent []byte // the .torrent, not yet parsed; nil for a magnet link
	Magnet  string // the magnet link, or ""
	URL     string // where Torrent came from, or ""

	// Of an URL: the sites that it and its redirects name, the signature that
	// its answers name, and how far a signature may be fetched from.
	sites  []string
	signed announced
	reach  netguard.Reach
}

// resolve finds the torrent that arg stands for: a file, "-" for standard
// input, an http(s) URL of a torrent, of a page or of a file that has one, a
// magnet link, or an info-hash. Connections come from bind when it is valid.
func (a *app) resolve(ctx context.Context, arg string, bind netip.Addr) (*source, error) {
	switch scheme, _, _ := strings.Cut(arg, ":"); strings.ToLower(scheme) {
	case "magnet":
		return &source{Arg: arg, Magnet: arg}, nil
	case "http", "https":
		return a.resolveURL(ctx, arg, bind)
	}
	if arg == "-" {
		b, err := readTorrent(a.Stdin, "standard input")
		return &source{Arg: arg, Torrent: b}, err
	}
	b, err := readTorrentFile(arg)
	if errors.Is(err, fs.ErrNotExist) {
		if m := magnetOfHash(arg); m != "" {
			return &source{Arg: arg, Magnet: m}, nil
		}
		if u, uerr := url.Parse(arg); uerr == nil && u.Scheme != "" && u.Host != "" {
			return nil, fault.UsageHint("write a .torrent file, an http(s) URL, a magnet link or an info-hash", "%s: cannot fetch from %s://", arg, u.Scheme)
		}
		return nil, fault.WithHint(err, "a SOURCE is a .torrent file, an http(s) URL, a magnet link or an info-hash")
	}
	return &source{Arg: arg, Torrent: b}, err
}

// magnetOfHash returns the magnet link of an info-hash in hexadecimal or
// base32, or "".
func magnetOfHash(s string) string {
	if h, err := spate.ParseInfoHash(s); err == nil {
		return "magnet:?xt=urn:btih:" + h.String()
	}
	if h, err := spate.ParseInfoHashV2(s); err == nil {
		return "magnet:?xt=urn:btmh:1220" + h.String()
	}
	return ""
}

// readTorrentFile reads the file at path, which must be a file of at most
// [maxTorrent] bytes.
func readTorrentFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, fault.UsageHint("name the .torrent files in it", "%s is a directory", path)
	}
	if !info.Mode().IsRegular() || info.Size() > maxTorrent {
		return readTorrent(f, path)
	}
	b := make([]byte, info.Size())
	_, err = io.ReadFull(f, b)
	return b, err
}

func readTorrent(r io.Reader, name string) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxTorrent+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxTorrent {
		return nil, fault.New(fault.BadData, "is it really a .torrent?", "%s is larger than the 10 MiB that a .torrent may have", name)
	}
	return b, nil
}

// parse reads the torrent that was found. It must not be called on a source
// that is only a magnet link.
func (s *source) parse() (*metainfo.MetaInfo, error) {
	mi, err := metainfo.Parse(s.Torrent)
	if err != nil {
		return nil, &fault.Error{Code: fault.BadData, Err: errors.New(s.Arg + ": " + strings.TrimPrefix(err.Error(), "torrent: ")), Hint: "it is no torrent, or damaged: fetch it again"}
	}
	return mi, nil
}
