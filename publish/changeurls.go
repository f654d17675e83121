package publish

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"slices"

	"spate/internal/weburl"
	"spate/metainfo"
)

// Move changes the base URL of the site and the default trackers, those of the site first. It
// replaces them in the torrents of all releases, as [Publisher.Restore] does. The error is that
// of reading the catalog.
func (p *Publisher) Move(ctx context.Context, base *url.URL, trackers [][]string) (Restored, error) {
	var out Restored
	clean, err := weburl.Base(base)
	if err != nil {
		return out, fmt.Errorf("publish: base URL %q: %w", base, err)
	}
	p.siteMu.Lock()
	p.opts.BaseURL, p.opts.Trackers = clean, trackers
	p.siteMu.Unlock()
	err = p.opts.Catalog.Each(ctx, func(r *Release, t Torrents) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		l, err := parsed(r, t)
		if err == nil {
			var changed, unsigned bool
			changed, unsigned, err = p.repoint(ctx, l)
			if changed {
				out.Repointed = append(out.Repointed, r.Ref())
			}
			if unsigned {
				out.Unsigned = append(out.Unsigned, r.Ref())
			}
		}
		if err != nil {
			out.Problems = append(out.Problems, fmt.Errorf("%s: %w", r.Ref(), err))
		}
		return nil
	})
	return out, err
}

// repoint replaces the URLs of this site and its tracker in the torrents of a release and
// in the catalog, if the site had another address when the release was published. The
// info-hashes stay the same. changed reports whether any URL was replaced. unsigned reports
// whether the torrents have lost their signatures because the publisher has no key.
func (p *Publisher) repoint(ctx context.Context, l *loaded) (changed, unsigned bool, err error) {
	links := p.linksNow(l)
	if links == nil {
		return false, false, nil
	}
	now := &loaded{r: l.r, torrents: links.Torrents}
	if now.main, err = p.relink(l.main, l.r.Base, links, &links.Torrents); err != nil {
		return false, false, err
	}
	links.Magnet = now.main.Magnet().String()
	if l.twin != nil {
		var twin Torrents
		if now.twin, err = p.relink(l.twin, l.r.Base, links, &twin); err != nil {
			return false, false, err
		}
		links.Torrents.Twin, links.TwinMagnet = twin.Main, now.twin.Magnet().String()
	}
	c := Change{Links: links}
	switch had := l.r.Signatures; {
	case p.opts.Key != nil:
		s := p.signed(l.r, links.Torrents)
		c.Signatures = &s
	case had.Torrent != "":
		c.Signatures, unsigned = &Signatures{PublicKey: had.PublicKey, Sums: had.Sums, V2Hashes: had.V2Hashes}, true
	}
	if err := p.opts.Catalog.Update(ctx, l.r.Ref(), c); err != nil {
		return false, false, err
	}
	now.torrents = links.Torrents
	if now.r, err = p.opts.Catalog.Get(ctx, l.r.Ref()); err != nil {
		return false, false, err
	}
	*l = *now
	return true, unsigned, nil
}

// linksNow returns the URLs that a release should have, without torrents and magnet links.
// It returns nil if no URL has to change or the release has no URL of this site.
func (p *Publisher) linksNow(l *loaded) *Links {
	r := l.r
	base, trackers := p.site()
	if base == nil || r.Base == "" {
		return nil
	}
	old, err := url.Parse(r.Base)
	if err != nil {
		return nil
	}
	links := &Links{Base: Absolute(base, ""), Announce: r.Announce, WebSeeds: slices.Clone(r.WebSeeds)}
	if i := slices.Index(links.WebSeeds, WebSeedURL(old, r.Ref(), r.Single)); i >= 0 {
		links.WebSeeds[i] = WebSeedURL(base, r.Ref(), r.Single)
	}
	if n := ownTiers(r.Announce, old); n > 0 {
		own := trackers[:ownTiers(trackers, base)]
		links.Announce = append(slices.Clone(own), r.Announce[n:]...)
	}
	if links.Base == r.Base && slices.EqualFunc(links.Announce, r.Announce, slices.Equal) && slices.Equal(links.WebSeeds, r.WebSeeds) {
		return nil
	}
	return links
}

// ownTiers returns how many tiers at the start of tiers belong to the tracker of the site
// at base: the URL base/announce, and then UDP URLs of the same host.
func ownTiers(tiers [][]string, base *url.URL) int {
	if len(tiers) == 0 || !slices.Equal(tiers[0], []string{Absolute(base, "/announce")}) {
		return 0
	}
	if len(tiers) > 1 && len(tiers[1]) == 1 {
		if u, err := url.Parse(tiers[1][0]); err == nil && u.Scheme == "udp" && u.Hostname() == base.Hostname() {
			return 2
		}
	}
	return 1
}

// nodesNow returns the DHT nodes that a torrent of the site at the base URL was should name now:
// the node of the seeder in place of one at the old host.
func (p *Publisher) nodesNow(nodes []string, was string) (now []string) {
	old, err := url.Parse(was)
	if err != nil {
		return nodes
	}
	for _, n := range nodes {
		if host, _, err := net.SplitHostPort(n); err == nil && host == old.Hostname() {
			n = p.node()
		}
		if n != "" && !slices.Contains(now, n) {
			now = append(now, n)
		}
	}
	return now
}

// relink returns m, a torrent of the site at the base URL was, with the URLs of links, and stores
// the encoded torrent in to.
func (p *Publisher) relink(m *metainfo.MetaInfo, was string, links *Links, to *Torrents) (*metainfo.MetaInfo, error) {
	with := *m
	with.AnnounceList, with.WebSeeds, with.Nodes = links.Announce, links.WebSeeds, p.nodesNow(m.Nodes, was)
	if err := to.setMain(&with); err != nil {
		return nil, err
	}
	out, err := to.ParseMain()
	if err == nil && out.Hash() != m.Hash() {
		err = fmt.Errorf("publish: the info-hash would change to %s with the new URLs", out.Hash())
	}
	return out, err
}
