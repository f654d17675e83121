package source

import (
	"context"
	"errors"
	"net/netip"
	"net/url"
	"slices"
	"time"

	"spate"
	"spate/internal/fault"
	"spate/internal/netguard"
	"spate/internal/termsafe"
	"spate/internal/torrentfile"
	"spate/metainfo"
)

// linkedTimeout bounds the search for the .torrent at the URLs of a magnet link, because peers
// can send it too.
const linkedTimeout = 20 * time.Second

// reachOf returns where the first request for a URL that a stranger chose may go: a URL with a
// query leaves the user's networks alone, like that of a web seed.
func reachOf(link string) netguard.Reach {
	u, err := url.Parse(link)
	if err != nil || u.RawQuery != "" || u.ForceQuery {
		return netguard.ToPublic
	}
	return netguard.ToMachine
}

// ResolveTorrent is like [Resolver.Resolve] for a verb that needs the .torrent itself. It also
// fetches the .torrent of a magnet link from the URLs that the link names for it. For another
// link or an info-hash it returns a usage error, which names the verb.
func (r *Resolver) ResolveTorrent(ctx context.Context, verb, arg string) (*Source, error) {
	src, err := r.Resolve(ctx, arg)
	if err != nil {
		return nil, err
	}
	return src, r.NeedTorrent(ctx, verb, src)
}

// NeedTorrent fetches the .torrent of a magnet link as [Resolver.ResolveTorrent] does, and
// returns the same errors.
func (r *Resolver) NeedTorrent(ctx context.Context, verb string, src *Source) error {
	if err := r.FetchTorrent(ctx, src); err != nil {
		return err
	}
	if src.Torrent == nil {
		return fault.UsageHint("only peers have the torrent of a magnet link: give the .torrent",
			"%s takes a .torrent file, its URL or page, or - for standard input; this is a magnet link or an info-hash: %s", verb, termsafe.Clip(src.Arg, 70))
	}
	return nil
}

// FetchTorrent fetches the .torrent of a magnet link from the URLs that the link names for it
// (xs, as), and checks its info-hash. It prints a note about each URL that has no such
// torrent. If none has it, src remains a magnet link. FetchTorrent returns an error if the link
// is not valid or ctx ends.
func (r *Resolver) FetchTorrent(ctx context.Context, src *Source) error {
	if src.Torrent != nil {
		return nil
	}
	link, err := metainfo.ParseMagnet(src.Magnet)
	if err != nil {
		return err
	}
	short, cancel := context.WithTimeout(ctx, linkedTimeout)
	defer cancel()
	for _, s := range link.Torrents[:min(len(link.Torrents), 4)] {
		if short.Err() != nil {
			break
		}
		b, err := r.linkedTorrent(short, s, src.reach&reachOf(s), link)
		if err == nil {
			src.Torrent = b
			return nil
		}
		if ctx.Err() == nil {
			r.notef("the magnet link names %s for the torrent, but it cannot be used: %s", termsafe.Clip(s, 200), fault.Message(err))
		}
	}
	return context.Cause(ctx)
}

// linkedTorrent fetches a .torrent once, and returns an error unless it is the torrent of link.
func (r *Resolver) linkedTorrent(ctx context.Context, s string, within netguard.Reach, link metainfo.Magnet) ([]byte, error) {
	u, err := url.Parse(s)
	if err != nil {
		return nil, err
	}
	f := r.newFetcher()
	defer f.client.Close()
	f.within, f.once = within, true
	var found answered
	if err := f.ask(ctx, u, found.read); err != nil {
		return nil, err
	}
	if found.torrent == nil {
		return nil, errors.New("the answer is no torrent")
	}
	m, err := torrentfile.Parse(s, found.torrent)
	if err != nil {
		return nil, err
	}
	if v1, _ := m.HashV1(); !link.HashV1.IsZero() && v1 != link.HashV1 {
		return nil, errors.New("it has another info-hash")
	}
	if v2, _ := m.HashV2(); !link.HashV2.IsZero() && v2 != link.HashV2 {
		return nil, errors.New("it has another v2 info-hash")
	}
	return found.torrent, nil
}

// Parse parses the torrent. It adds the trackers and web seeds of a magnet link unless the
// torrent is private. Do not call it if the source is only a magnet link.
func (s *Source) Parse() (*metainfo.MetaInfo, error) {
	m, err := torrentfile.Parse(s.name(), s.Torrent)
	if err != nil || s.Magnet == "" || m.Info.Private {
		return m, err
	}
	link, err := metainfo.ParseMagnet(s.Magnet)
	if err != nil {
		return nil, err
	}
	had := slices.Concat(m.AnnounceList...)
	for _, u := range link.Trackers {
		if !slices.Contains(had, u) {
			m.AnnounceList = append(m.AnnounceList, []string{u})
		}
	}
	for _, u := range link.WebSeeds {
		m.WebSeeds = appendNew(m.WebSeeds, u)
	}
	return m, nil
}

// Peers returns the addresses of peers in the magnet link of s, unless m, the torrent of s, is
// private. It leaves out names.
func (s *Source) Peers(m *metainfo.MetaInfo) (peers []netip.AddrPort) {
	link, err := metainfo.ParseMagnet(s.Magnet)
	if err != nil || m.Info.Private {
		return nil
	}
	for _, p := range link.Peers {
		if addr, err := netip.ParseAddrPort(p); err == nil {
			peers = append(peers, addr)
		}
	}
	return peers
}

// Swarms holds the info-hashes of a torrent and its trackers.
type Swarms struct {
	Hashes   []spate.InfoHash // the v1 info-hash and the truncated v2 info-hash, as far as known
	Trackers []string
}

// Swarms returns the swarms of a source.
func (s *Source) Swarms() (w Swarms, err error) {
	var v1 spate.InfoHash
	var v2 spate.InfoHashV2
	if s.Torrent != nil {
		m, err := s.Parse()
		if err != nil {
			return w, err
		}
		v1, _ = m.HashV1()
		v2, _ = m.HashV2()
		w.Trackers = slices.Concat(m.AnnounceList...)
	} else {
		link, err := metainfo.ParseMagnet(s.Magnet)
		if err != nil {
			return w, err
		}
		v1, v2, w.Trackers = link.HashV1, link.HashV2, link.Trackers
	}
	if !v1.IsZero() {
		w.Hashes = append(w.Hashes, v1)
	}
	if !v2.IsZero() {
		w.Hashes = append(w.Hashes, v2.Truncate())
	}
	return w, nil
}

// name returns what errors call the torrent.
func (s *Source) name() string {
	switch {
	case s.Path != "":
		return s.Path
	case s.Arg == "-":
		return "standard input"
	}
	return termsafe.Clip(s.Arg, 200)
}

// notef prints a note, if the resolver can.
func (r *Resolver) notef(format string, args ...any) {
	if r.Notef != nil {
		r.Notef(format, args...)
	}
}
