package daemon

import (
	"context"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"time"

	"spate"
	"spate/metainfo"
	"spate/torrent"
)

// seeder is the session as package publish uses it.
type seeder struct {
	session *torrent.Session
	peers   []netip.AddrPort // connected for every torrent
}

// Seed implements [publish.Seeder].
func (s seeder) Seed(_ context.Context, m *metainfo.MetaInfo, path string, verified bool) error {
	_, err := s.session.Add(m, torrent.AddOptions{Dir: filepath.Dir(path), Name: filepath.Base(path), Verified: verified, SeedOnly: true, Peers: s.peers})
	return err
}

// Unseed implements [publish.Seeder].
func (s seeder) Unseed(_ context.Context, ih spate.InfoHash) error { return s.session.Remove(ih) }

// lookupTime bounds the lookup of the public URL's host.
const lookupTime = 5 * time.Second

// originAddrs returns the addresses at which other peers reach the seed of this process, at
// least one: the bind address, or else those of the public URL's host if it is named, or
// else the addresses of this machine that lead to the internet.
func originAddrs(ctx context.Context, bind netip.Addr, base *url.URL, named bool, port uint16) []netip.AddrPort {
	var addrs []netip.Addr
	switch a, err := netip.ParseAddr(base.Hostname()); {
	case bind.IsValid() && !bind.IsUnspecified():
		addrs = append(addrs, bind)
	case err == nil && named:
		addrs = append(addrs, a)
	case err == nil:
		// The guessed address, and the one of the other family.
		addrs = append(append(addrs, a), outwardAddrs()...)
	case named:
		ctx, cancel := context.WithTimeout(ctx, lookupTime)
		defer cancel()
		addrs, _ = net.DefaultResolver.LookupNetIP(ctx, "ip", base.Hostname())
	}
	if len(addrs) == 0 {
		addrs = outwardAddrs()
	}
	const most = 4 // a name may have any number of addresses
	var out []netip.AddrPort
	for _, a := range addrs[:min(len(addrs), most)] {
		ap := netip.AddrPortFrom(a.Unmap().WithZone(""), port)
		if !slices.Contains(out, ap) {
			out = append(out, ap)
		}
	}
	return out
}
