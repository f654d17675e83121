package doctor

import (
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"spate/internal/netguard"
	"spate/internal/units"
	"spate/internal/webseed"
	"spate/metainfo"
)

// maxWarnings is the number of warnings of the parser that Lint repeats.
const maxWarnings = 5

// Lint judges a torrent without asking anybody. It leaves out limits of other programs, for which
// the caller has the texts of show. local says that the torrent is for this machine alone, as when
// everything is bound to loopback.
func Lint(mi *metainfo.MetaInfo, local bool) []Finding {
	var out []Finding
	const edit = "correct the torrent with spate edit"
	const anew = "make the torrent again with spate create"
	warn := func(advice, format string, args ...any) {
		out = append(out, about("torrent", "", format, args...).as(Warn, advice))
	}
	info := &mi.Info
	for _, w := range mi.Warnings[:min(len(mi.Warnings), maxWarnings)] {
		warn(anew, "other programs may reject it: %s", w.String())
	}
	if mi.Trailing > 0 {
		warn(edit, "%s follow after its end", units.Plural(mi.Trailing, "byte"))
	}
	if info.Private && len(mi.Nodes) > 0 {
		warn(edit, "it is private, but names %s of the DHT, which clients must not ask", units.Plural(len(mi.Nodes), "node"))
	}
	if n := mi.MissingLayers(); n > 0 {
		warn(anew, "it lacks the piece layers of %s, which clients must then get from peers", units.Plural(n, "file"))
	}
	if n := info.NumRenames(); n > 0 {
		warn(anew+" from files with other names", "%s are stored under other names, because theirs are unsafe", units.Plural(n, "file"))
	}
	if info.Format() == metainfo.Hybrid {
		out = append(out, about("torrent", "", "it is a hybrid, which aria2 1 and Transmission 3 cannot use; publish and serve have a v1 twin for them").as(Note, ""))
	}
	urls := slices.Concat(mi.AnnounceList...)
	if len(urls) == 0 && !info.Private {
		out = append(out, about("torrent", "", "it names no tracker: peers find each other by the DHT only").as(Note, ""))
	}
	for i, raw := range urls {
		if slices.Contains(urls[:i], raw) {
			warn(edit, "it names the tracker %s twice", siteOf(raw))
			continue
		}
		out = append(out, lintURL("tracker", siteOf(raw), raw, local)...)
	}
	for _, raw := range mi.WebSeeds {
		if _, err := webseed.NewLayout(mi).Source(raw); err == nil {
			out = append(out, lintURL("web seed", redacted(raw), raw, local)...)
		}
	}
	return out
}

// lintURL judges the host of a URL in a torrent.
func lintURL(what, name, raw string, local bool) []Finding {
	u, err := url.Parse(raw)
	if err != nil {
		return nil // Trackers.Check says so
	}
	const advice = "make the torrent with a URL that other machines reach: spate edit, or --public-url of publish"
	host := u.Hostname()
	if netguard.LocalHost(host) {
		if local {
			return nil
		}
		return []Finding{about("torrent", "", "the %s %s is this machine for everyone who gets the torrent", what, name).as(Warn, advice)}
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return nil
	}
	switch netguard.KindOf(a) {
	case netguard.Public:
	case netguard.Private, netguard.LinkLocal:
		return []Finding{about("torrent", "", "the %s %s has an address of a private network", what, name).as(Warn, advice)}
	default:
		return []Finding{about("torrent", "", "the %s %s has an address that no other machine reaches", what, name).as(Warn, advice)}
	}
	return nil
}

// maxNamedPeers is the number of peers of a magnet link that LintMagnet judges.
const maxNamedPeers = 20

// LintMagnet judges a magnet link without asking anybody. raw is the link as text. dht says that peers
// are looked for in the DHT; local is as for [Lint].
func LintMagnet(raw string, link *metainfo.Magnet, dht, local bool) []Finding {
	var out []Finding
	add := func(level Level, advice, format string, args ...any) {
		out = append(out, about("magnet", "", format, args...).as(level, advice))
	}
	const anew = "make the link again with spate magnet"
	if u, err := url.Parse(raw); err == nil {
		for _, xt := range u.Query()["xt"] {
			if h, ok := strings.CutPrefix(strings.ToLower(xt), "urn:btih:"); ok && len(h) == 32 {
				add(Warn, anew, "its info-hash is in Base32, an old form that some clients do not read; 40 hex digits are read by all")
			}
		}
	}
	if link.HashV1.IsZero() {
		add(Note, "", "it has a v2 info-hash alone, so that only clients with BitTorrent v2 (BEP 52) can use it")
	}
	sources := len(link.Trackers) + len(link.Peers) + len(link.Torrents)
	switch {
	case sources == 0 && !dht:
		add(Fail, "add a tracker: spate magnet of a torrent that names one", "it names no tracker and no peer, and the DHT is off, so that nobody is found")
	case len(link.Trackers) == 0:
		add(Note, "", "it names no tracker: peers find each other by the DHT only, which private torrents must not use")
	}
	for _, tr := range link.Trackers {
		out = append(out, asMagnet(lintURL("tracker", siteOf(tr), tr, local))...)
	}
	for _, peer := range link.Peers[:min(len(link.Peers), maxNamedPeers)] {
		host, _, err := net.SplitHostPort(peer)
		if err != nil {
			add(Warn, anew, "the peer %s in it is not HOST:PORT", peer)
			continue
		}
		out = append(out, asMagnet(lintURL("peer", peer, "tcp://"+net.JoinHostPort(host, "1"), local))...)
	}
	for _, list := range []struct {
		what string
		urls []string
	}{{"web seed", link.WebSeeds}, {".torrent URL", link.Torrents}} {
		for _, raw := range list.urls {
			out = append(out, asMagnet(lintURL(list.what, redacted(raw), raw, local))...)
		}
	}
	if len(out) == 0 {
		out = append(out, about("magnet", "", "all clients should accept the link"))
	}
	return out
}

// asMagnet turns findings about the URLs of a torrent into those about a magnet link.
func asMagnet(list []Finding) []Finding {
	for i := range list {
		list[i].Check = "magnet"
		list[i].Advice = "make the link again with an address that other machines reach: spate magnet"
	}
	return list
}
