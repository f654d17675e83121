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
	"spate/publish"
	"spate/storage"
	"spate/torrent"
)

// seeder implements [publish.Forgetter] with the session.
type seeder struct {
	session *torrent.Session
	resume  string           // directory of the resume data
	peers   []netip.AddrPort // peers to connect to for every torrent
}

// Seed implements [publish.Seeder].
func (s seeder) Seed(_ context.Context, m *metainfo.MetaInfo, path string, verified bool) error {
	_, err := s.session.Add(m, torrent.AddOptions{Dir: filepath.Dir(path), Name: filepath.Base(path), Verified: verified, SeedOnly: true, Peers: s.peers})
	return err
}

// Unseed implements [publish.Seeder].
func (s seeder) Unseed(_ context.Context, ih spate.InfoHash) error { return s.session.Remove(ih) }

// Forget implements [publish.Forgetter].
func (s seeder) Forget(_ context.Context, ih spate.InfoHash) error {
	return storage.RemoveResume(s.resume, ih)
}

// pruneResume deletes the resume data of torrents that are not in the catalog. A crash can leave
// them.
func pruneResume(ctx context.Context, dir string, catalog publish.Catalog) error {
	list, _, err := catalog.List(ctx, publish.Query{All: true})
	if err != nil {
		return err
	}
	known := map[spate.InfoHash]bool{}
	for _, r := range list {
		for _, ih := range r.AllHashes() {
			known[ih] = true
		}
	}
	return storage.PruneResume(dir, func(ih spate.InfoHash) bool { return known[ih] })
}

// lookupTime limits the lookup of the host of the public URL.
const lookupTime = 5 * time.Second

// originAddrs returns the addresses under which peers reach the seed of this process, at least
// one: the bind address, or else the addresses of the host of the public URL if named is set,
// or else the addresses of this machine for the internet. names
// looks up that host.
func originAddrs(ctx context.Context, names *net.Resolver, bind netip.Addr, base *url.URL, named bool, port uint16) []netip.AddrPort {
	var addrs []netip.Addr
	switch a, err := netip.ParseAddr(base.Hostname()); {
	case bind.IsValid() && !bind.IsUnspecified():
		addrs = append(addrs, bind)
	case err == nil && named:
		addrs = append(addrs, a)
	case err == nil:
		// The guessed address, and an address of the other family.
		addrs = append(append(addrs, a), outwardAddrs()...)
	case named:
		ctx, cancel := context.WithTimeout(ctx, lookupTime)
		defer cancel()
		addrs, _ = names.LookupNetIP(ctx, "ip", base.Hostname())
	}
	if len(addrs) == 0 {
		addrs = outwardAddrs()
	}
	const most = 4 // limit the number of addresses of a name
	var out []netip.AddrPort
	for _, a := range addrs[:min(len(addrs), most)] {
		ap := netip.AddrPortFrom(a.Unmap().WithZone(""), port)
		if !slices.Contains(out, ap) {
			out = append(out, ap)
		}
	}
	return out
}
