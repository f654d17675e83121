package torrent

import (
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"time"

	"spate"
	"spate/discovery"
	"spate/internal/netguard"
	"spate/torrent/internal/announce"
	"spate/torrent/internal/peerlist"
	"spate/tracker"
)

// newScheduler returns the scheduler that announces the torrents of the session.
func (s *Session) newScheduler() *announce.Scheduler {
	opt := announce.Options{
		Client: s.opt.Announcer, PeerID: s.opt.PeerID, Port: s.AdvertisedPort, MaxAnnounces: s.opt.MaxAnnounces, Go: s.spawn, Log: s.log,
	}
	if s.opt.WebRTC != nil {
		opt.Signals = s.signals
	}
	if s.opt.ResumeDir != "" {
		opt.Record = filepath.Join(s.opt.ResumeDir, "announces.json")
	}
	return announce.NewScheduler(opt)
}

// newSwarms returns the swarms in which a torrent is announced: none without trackers, two for a
// hybrid, and as many more for each list of trackers that are announced to beside the others: those
// of this process, and WebSocket trackers, because browsers can be reached through them only. Each
// tier of trackers is shuffled with rng, or with the global random source if it is nil.
func (s *Session) newSwarms(owner announce.Torrent, hash, hash2 spate.InfoHash, tiers [][]string, private bool, rng *rand.Rand) (all []*announce.Swarm) {
	if len(tiers) == 0 && len(s.opt.SignalTrackers) == 0 || s.opt.Announcer == nil {
		return nil
	}
	browsers, rest := splitTiers(tiers, announce.IsWebSocket)
	if s.opt.WebRTC == nil {
		tiers, browsers = rest, nil
	} else if !private {
		tiers = rest
	} else {
		browsers = nil
	}
	if s.opt.OwnTracker != nil && len(s.opt.SignalTrackers) > 0 {
		_, browsers = splitTiers(browsers, s.opt.OwnTracker) // SignalTrackers has the own one
	}
	own := func(list [][]string) bool {
		return s.opt.OwnTracker != nil && slices.ContainsFunc(list, func(tier []string) bool { return slices.ContainsFunc(tier, s.opt.OwnTracker) })
	}
	lists := [][][]string{tiers}
	if s.opt.OwnTracker != nil && !private {
		if own, others := splitTiers(tiers, s.opt.OwnTracker); len(own) > 0 && len(others) > 0 {
			lists = [][][]string{own, others}
		}
	}
	for _, list := range lists {
		swarms := swarmsOf(owner, hash, hash2, list, rng)
		for _, w := range swarms {
			if s.ranges != nil && !private && !own(list) { // pages ask the origin of a site last
				w.SetRanges(s.offersRanges)
			}
		}
		all = append(all, swarms...)
	}
	others := slices.Clip(all)
	add := func(list [][]string, own bool) {
		for _, w := range swarmsOf(owner, hash, hash2, list, rng) {
			w.SetBeside(own, others)
			all = append(all, w)
		}
	}
	add(browsers, false)
	if s.opt.WebRTC != nil && !private && (s.opt.Signals == nil || s.opt.Signals(hash)) {
		for _, url := range s.opt.SignalTrackers {
			if !slices.ContainsFunc(browsers, func(tier []string) bool { return slices.Contains(tier, url) }) {
				add([][]string{{url}}, true)
			}
		}
	}
	return all
}

// swarmsOf returns the swarms of a torrent for a list of trackers: none if it is empty.
func swarmsOf(owner announce.Torrent, hash, hash2 spate.InfoHash, list [][]string, rng *rand.Rand) []*announce.Swarm {
	if len(list) == 0 {
		return nil
	}
	all := []*announce.Swarm{announce.NewSwarm(owner, hash, list, rng)}
	if !hash2.IsZero() {
		all = append(all, announce.NewSwarm(owner, hash2, list, rng))
	}
	return all
}

// splitTiers returns the tiers of the trackers for which own returns true, and those of the others.
func splitTiers(tiers [][]string, own func(url string) bool) (owns, others [][]string) {
	for _, tier := range tiers {
		var a, b []string
		for _, url := range tier {
			if own(url) {
				a = append(a, url)
			} else {
				b = append(b, url)
			}
		}
		if len(a) > 0 {
			owns = append(owns, a)
		}
		if len(b) > 0 {
			others = append(others, b)
		}
	}
	return owns, others
}

// announced implements [announce.Torrent] for a torrent that is not dormant.
type announced struct{ t *Torrent }

func (a announced) Progress() (uploaded, downloaded, left int64) {
	a.t.mu.Lock()
	defer a.t.mu.Unlock()
	return a.t.count.uploaded.Load(), a.t.count.downloaded.Load(), a.t.leftLocked()
}

func (a announced) Answered(resp *tracker.AnnounceResponse, url string) {
	a.t.foundPeers(a.t.peers, resp.Peers, url)
	a.t.foundSeeds(resp.Complete)
}

func (a announced) Found(peer discovery.Candidate, url string) {
	a.t.foundPeer(a.t.peers, peer, url)
}

// PartialSeed implements [announce.Torrent].
func (a announced) PartialSeed() bool {
	a.t.mu.Lock()
	defer a.t.mu.Unlock()
	return a.t.status.state == StateSeeding && a.t.leftLocked() > 0
}

func (a announced) Dormant() bool { return false }

func (a announced) Log() *slog.Logger { return a.t.log }

// hurryEvery is how long connections are useless, or how long nobody is connected to a seed, before
// the torrent asks for an early announce, and the time between two such requests of a seed.
const hurryEvery = 10 * time.Second

// hurryLocked reports whether the torrent should be announced sooner than the trackers ask for: it
// downloads and no connected peer has data for it, or it seeds and nobody is connected. wanted
// means that a connected peer has data that the torrent wants.
func (t *Torrent) hurryLocked(now time.Time, wanted bool) (need announce.Need, hurry bool) {
	c := &t.peerConns
	need.Leechers = t.status.state == StateSeeding && c.n == 0
	if !need.Leechers && (t.status.state != StateDownloading || wanted) {
		c.uselessSince = time.Time{}
		return need, false
	}
	if c.uselessSince.IsZero() {
		c.uselessSince, c.hurried = now, now
	}
	if c.n == 0 && !need.Leechers { // as soon as the trackers allow
		return need, true
	}
	need.Since = c.uselessSince
	if now.Sub(c.hurried) < hurryEvery {
		return need, false
	}
	c.hurried = now
	return need, true
}

// foundPeer adds a peer that the tracker at a URL named to a list of the torrent, and dials more
// peers.
func (t *Torrent) foundPeer(list *peerlist.List, peer discovery.Candidate, trackerURL string) {
	t.mu.Lock()
	addCandidate(list, peer, trackerSource(trackerURL, peer.Addr), time.Now())
	t.mu.Unlock()
	t.dialMore(time.Now())
}

// foundPeers adds the peers that the tracker at a URL returned to a list of the torrent, and
// dials more peers.
func (t *Torrent) foundPeers(list *peerlist.List, addrs []netip.AddrPort, trackerURL string) {
	t.mu.Lock()
	addTrackerPeers(list, trackerURL, addrs)
	t.mu.Unlock()
	t.dialMore(time.Now())
}

// maxTrackerPeers bounds the addresses of one answer that are added to a peer list, because each
// takes time under the lock of the torrent. *trackerclient.Client returns at most as many for
// both address families.
const maxTrackerPeers = 1000

// addTrackerPeers adds the addresses that the tracker at a URL returned. The caller holds
// the lock of the list.
func addTrackerPeers(l *peerlist.List, trackerURL string, addrs []netip.AddrPort) {
	now := time.Now()
	for _, a := range addrs[:min(len(addrs), maxTrackerPeers)] {
		addCandidate(l, discovery.Candidate{Addr: a}, trackerSource(trackerURL, a), now)
	}
}

// trackerSource returns the source of an address that the tracker at a URL returned. Only a
// tracker on this machine may return addresses of this machine.
func trackerSource(trackerURL string, addr netip.AddrPort) peerlist.Source {
	if addr.Addr().Unmap().IsLoopback() && isLocalURL(trackerURL) {
		return peerlist.SourceLocalTracker
	}
	return peerlist.SourceTracker
}

// isLocalURL reports whether the host of a URL is this machine.
func isLocalURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && netguard.LocalHost(u.Hostname())
}
