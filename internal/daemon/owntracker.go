package daemon

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"time"

	"spate"
	"spate/torrent"
	"spate/tracker"
	"spate/tracker/swarm"
)

// ownTracker is an announcer that calls the tracker node of this process directly, and uses
// next for other trackers.
type ownTracker struct {
	next    torrent.Announcer
	table   *swarm.Table
	now     func() time.Time
	signals *ownSignals // nil without WebRTC

	mu   sync.Mutex      // guards the fields below
	urls map[string]bool // the announce URLs of this process's tracker node, also for WebSocket, former ones too
	addr netip.AddrPort  // the address of this process's seed
}

// outsideInterval is the interval at which a process that is not in the swarm asks its own tracker for the counts.
const outsideInterval = time.Minute

// set adds the announce URLs of the tracker node, and sets the address of the seed. Torrents of
// this process that contain a former URL stay in the table of this process.
func (o *ownTracker) set(urls []string, addr netip.AddrPort) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, u := range urls {
		o.urls[u] = true
		if rest, ok := strings.CutPrefix(u, "http"); ok {
			o.urls["ws"+rest] = true
		}
	}
	o.addr = addr
}

// has reports whether a URL is or was an announce URL of the tracker node.
func (o *ownTracker) has(url string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.urls[url]
}

// AnnounceSignals implements [torrent.SignalAnnouncer]. The tracker of this process gets these
// announces over a connection too, because it passes offers on to connections only, but never at its
// public URL: many routers do not let a machine reach itself at their address.
func (o *ownTracker) AnnounceSignals(ctx context.Context, url string, req *tracker.AnnounceRequest, signals tracker.Signals) (*tracker.AnnounceResponse, error) {
	if o.signals != nil && o.has(url) {
		return o.signals.client.AnnounceSignals(ctx, o.signals.url, req, signals)
	}
	return announceSignals(ctx, o.next, url, req, signals)
}

// Announce implements [torrent.Announcer].
func (o *ownTracker) Announce(ctx context.Context, url string, req *tracker.AnnounceRequest) (*tracker.AnnounceResponse, error) {
	o.mu.Lock()
	own, addr := o.urls[url], o.addr
	o.mu.Unlock()
	if !own {
		return o.next.Announce(ctx, url, req)
	}
	if addr.Port() == 0 { // nobody can connect to this process; it connects to peers that announce: see callback
		seeds, leechers, completed, _ := o.table.Scrape(o.now(), req.InfoHash)
		return &tracker.AnnounceResponse{Interval: outsideInterval, Complete: int(seeds), Incomplete: int(leechers), Downloaded: int(completed)}, nil
	}
	var rep swarm.Reply
	err := o.table.Announce(o.now(), &swarm.Request{
		InfoHash: req.InfoHash, PeerID: req.PeerID, Key: req.Key, Addr: addr, Seed: req.Seed(),
		Event: req.Event, NumWant: req.NumWant, Want4: true, Want6: true,
	}, &rep)
	if errors.Is(err, swarm.ErrAddr) {
		return nil, err
	}
	resp := &tracker.AnnounceResponse{
		Interval: rep.Interval, MinInterval: rep.MinInterval,
		Complete: int(rep.Seeders), Incomplete: int(rep.Leechers), Downloaded: int(rep.Completed),
	}
	if resp.Peers, err = spate.AppendPeers4(nil, rep.Peers4); err == nil {
		resp.Peers, err = spate.AppendPeers6(resp.Peers, rep.Peers6)
	}
	return resp, err
}
