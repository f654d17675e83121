package torrent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"

	"spate"
	"spate/discovery"
	"spate/internal/netguard"
	"spate/metainfo"
	"spate/torrent/internal/announce"
	"spate/torrent/internal/metafetch"
	"spate/torrent/internal/peerlist"
	"spate/tracker"
	"spate/tracker/trackerclient"
)

// ErrMetadata is the cause when peers gave an info dictionary that matches the hash
// but does not describe a torrent.
var ErrMetadata = errors.New("the metadata from peers is malformed")

// Bounds of a search for metadata.
const (
	metadataConns   = 12               // peers that are dialled and asked at once
	metadataTimeout = 20 * time.Second // how long a peer may take for its next answer
	maxAnswered     = 100              // addresses of peers that are passed on to the torrent
)

// MetadataOptions names peers that may have the metadata, besides those that the
// magnet link names.
type MetadataOptions struct {
	// Peers are asked whatever their address is, because the user named them.
	Peers []netip.AddrPort
	// Watch is called with the state of the search about once a second, and soon after each
	// answer of a tracker. It may be nil.
	Watch func(MetadataStats)
}

// MetadataStats is the state of a search for metadata.
type MetadataStats struct {
	Peers      int            // connections that were dialled, and dials in progress
	Known      int            // candidates in the peer list
	Asked      int            // peers that are connected and were asked for the metadata
	Trackers   []TrackerStats // the trackers that were asked, in the order of the link
	Candidates CandidateStats
	Sources    []SourceStats // the sources that named peers
}

// FetchMetadata gets the info dictionary of a magnet link from peers (BEP 9). It
// returns the torrent, with the trackers and web seeds of the link, and the peers that
// answered. It tries until a peer gives the metadata or ctx is done. Metadata is
// parsed only after it matches every hash that the link names.
func (s *Session) FetchMetadata(ctx context.Context, link metainfo.Magnet, opt MetadataOptions) (*metainfo.MetaInfo, []netip.AddrPort, error) {
	f := newMetaFetch(s, link)
	f.peers.Add(opt.Peers, peerlist.SourceManual)
	var names []string
	for _, p := range link.Peers {
		if a, err := netip.ParseAddrPort(p); err == nil {
			f.peers.Add([]netip.AddrPort{a}, peerlist.SourceLink)
		} else {
			names = append(names, p)
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(s.ctx, cancel)
	defer stop()
	if err := s.enterFetch(f); err != nil {
		f.stop()
		return nil, nil, err
	}
	if len(names) > 0 {
		f.wg.Go(func() { f.lookUp(ctx, names) })
	}
	raw, err := f.run(ctx, opt.Watch)
	s.leaveFetch(f)
	var mi *metainfo.MetaInfo
	if err == nil {
		if mi, err = metainfo.FromInfo(raw); err != nil {
			err = fmt.Errorf("%w: %w", ErrMetadata, err)
		}
	}
	s.keepConns(f, mi)
	if err != nil {
		return nil, nil, err
	}
	for _, u := range link.Trackers {
		mi.AnnounceList = append(mi.AnnounceList, []string{u})
	}
	mi.WebSeeds = link.WebSeeds
	return mi, f.peersFor(mi), nil
}

// Bounds of the peers that a link names as HOST:PORT.
const (
	maxNamedHosts = 20
	maxHostAddrs  = 4 // addresses of one host
)

// lookUp adds the addresses of peers that the link names as HOST:PORT. The peer list refuses
// addresses that a link may not name.
func (f *metaFetch) lookUp(ctx context.Context, names []string) {
	for _, name := range names[:min(len(names), maxNamedHosts)] {
		host, port, err := net.SplitHostPort(name)
		n, perr := strconv.ParseUint(port, 10, 16)
		if err != nil || perr != nil || netguard.CheckHost(host) != nil {
			continue
		}
		if f.s.opt.Bind.IsLoopback() && f.s.opt.Resolver == net.DefaultResolver && !netguard.LocalHost(host) {
			f.s.log.Info("a peer of the magnet link is ignored, because a session on loopback resolves no names", "peer", name)
			continue
		}
		addrs, err := f.s.resolve(ctx, host)
		if err != nil {
			f.s.log.Info("a peer of the magnet link is not found", "peer", name, "err", err)
			continue
		}
		f.mu.Lock()
		for _, a := range addrs[:min(len(addrs), maxHostAddrs)] {
			f.peers.Add([]netip.AddrPort{spate.CanonicalAddr(netip.AddrPortFrom(a, uint16(n)))}, peerlist.SourceLink)
		}
		f.mu.Unlock()
		f.nudge()
	}
}

// resolve returns the addresses of a host. An address keeps its zone, which the methods of
// [net.Resolver] drop.
func (s *Session) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	return s.opt.Resolver.LookupNetIP(ctx, "ip", host)
}

// peersFor returns the peers that the torrent may connect to: for a private torrent
// only those that its tracker, the link or the user named (BEP 27).
func (f *metaFetch) peersFor(mi *metainfo.MetaInfo) []netip.AddrPort {
	return slices.DeleteFunc(slices.Clone(f.answered), func(a netip.AddrPort) bool { return !f.mayConnect(mi, a) })
}

// mayConnect reports whether the torrent may connect to the peer at a.
func (f *metaFetch) mayConnect(mi *metainfo.MetaInfo, a netip.AddrPort) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	src, known := f.peers.Source(a)
	return !mi.Info.Private || known && src.ForPrivate()
}

// metaFetch is one search for metadata.
type metaFetch struct {
	s       *Session
	link    metainfo.Magnet
	hashes  metafetch.Hashes
	hash    spate.InfoHash  // the info-hash that trackers and peers are asked about
	found   chan []byte     // receives the info dictionary after it was checked
	wake    chan struct{}   // receives when there may be a peer to dial
	wg      sync.WaitGroup  // announces and dials
	running sync.WaitGroup  // dialogs, including those over incoming connections
	end     context.Context // ends with the search
	stop    context.CancelFunc

	mu       sync.Mutex // guards the fields below
	fetch    *metafetch.Fetch
	dialogs  map[*metafetch.Peer]*metaDialog
	peers    *peerlist.List
	trackers map[string]TrackerStats // by URL
	conns    int                     // dials in progress and connections that were dialled
	done     bool
	answered []netip.AddrPort // addresses at which peers that answered accept connections
	kept     []keptConn       // connections for the torrent that is found
}

func newMetaFetch(s *Session, link metainfo.Magnet) *metaFetch {
	f := &metaFetch{
		s: s, link: link, hash: link.Hash(), hashes: metafetch.Hashes{V1: link.HashV1, V2: link.HashV2},
		found: make(chan []byte, 1), wake: make(chan struct{}, 1),
		fetch: metafetch.New(extMetadata), dialogs: map[*metafetch.Peer]*metaDialog{},
		peers: peerlist.New(s.peerListOptions(false)), trackers: map[string]TrackerStats{},
	}
	f.end, f.stop = context.WithCancel(context.Background())
	return f
}

// enterFetch adds a search to the session. It returns ErrDuplicate if the session has the
// torrent or searches for it already.
func (s *Session) enterFetch(f *metaFetch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	for _, ih := range f.hashes.Swarms() {
		if s.torrents[ih] != nil || s.fetches[ih] != nil {
			return fmt.Errorf("%w: %v", ErrDuplicate, ih)
		}
	}
	for _, ih := range f.hashes.Swarms() {
		s.fetches[ih] = f
		s.nameLocked(ih)
	}
	return nil
}

// leaveFetch removes a search from the session, and returns when all its goroutines
// have ended.
func (s *Session) leaveFetch(f *metaFetch) {
	s.mu.Lock()
	for _, ih := range f.hashes.Swarms() {
		delete(s.fetches, ih)
		s.unnameLocked(ih)
	}
	s.mu.Unlock()
	f.mu.Lock()
	f.done = true
	f.mu.Unlock()
	f.stop()
	f.wg.Wait()
	f.running.Wait()
}

// run announces and asks peers until one of them has given the metadata.
func (f *metaFetch) run(ctx context.Context, watch func(MetadataStats)) ([]byte, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if len(f.link.Trackers) > 0 && f.s.opt.Announcer != nil {
		for _, u := range f.link.Trackers[:min(len(f.link.Trackers), trackerclient.MaxTrackers)] {
			if f.s.opt.WebRTC != nil || !announce.IsWebSocket(u) {
				f.wg.Go(func() { f.s.announcer.Poll(ctx, u, f.hash, f) })
			}
		}
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		f.dialMore(ctx)
		if watch != nil {
			watch(f.stats())
		}
		select {
		case raw := <-f.found:
			return raw, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-f.wake:
		case <-tick.C:
		}
	}
}

// Search is a search of a session for the metadata of a magnet link.
type Search struct {
	InfoHash spate.InfoHash
	Name     string // the name in the link; may be empty
	Named    int    // trackers that the link names and that are asked
	MetadataStats
}

// Searches returns the searches for metadata that have not ended, in no order.
func (s *Session) Searches() []Search {
	s.mu.Lock()
	running := map[*metaFetch]bool{} // a hybrid has two hashes
	for _, f := range s.fetches {
		running[f] = true
	}
	s.mu.Unlock()
	var all []Search
	for f := range running {
		all = append(all, Search{InfoHash: f.hash, Name: f.link.Name, Named: min(len(f.link.Trackers), trackerclient.MaxTrackers), MetadataStats: f.stats()})
	}
	return all
}

// stats returns the state of the search.
func (f *metaFetch) stats() MetadataStats {
	f.mu.Lock()
	defer f.mu.Unlock()
	st := MetadataStats{Peers: f.conns, Known: f.peers.Len(), Asked: len(f.dialogs), Sources: sourcesOf(f.peers)}
	st.Candidates.add(f.peers)
	for _, u := range f.link.Trackers {
		if t, ok := f.trackers[u]; ok {
			st.Trackers = append(st.Trackers, t)
		}
	}
	return st
}

// Failed implements [announce.Searcher].
func (f *metaFetch) Failed(url string, err error, next time.Time) {
	f.mu.Lock()
	t := f.trackers[url]
	t.Err, t.LastAnnounce, t.NextAnnounce = err, time.Now(), next
	f.trackers[url] = t
	f.mu.Unlock()
	f.nudge()
}

// Answered implements [announce.Receiver].
func (f *metaFetch) Answered(resp *tracker.AnnounceResponse, url string) {
	f.mu.Lock()
	f.trackers[url] = TrackerStats{URL: url, LastAnnounce: time.Now(), Complete: resp.Complete, Incomplete: resp.Incomplete, Warning: resp.Warning}
	addTrackerPeers(f.peers, url, resp.Peers)
	f.mu.Unlock()
	f.nudge()
}

// Found implements [announce.Receiver].
func (f *metaFetch) Found(peer discovery.Candidate, url string) {
	f.mu.Lock()
	addCandidate(f.peers, peer, trackerSource(url, peer.Addr), time.Now())
	f.mu.Unlock()
	f.nudge()
}

// Log implements [announce.Receiver].
func (f *metaFetch) Log() *slog.Logger { return f.s.log }

// nudge makes run look for peers to dial.
func (f *metaFetch) nudge() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// dialMore dials known peers, as many as the limits allow.
func (f *metaFetch) dialMore(ctx context.Context) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.conns < metadataConns {
		next := f.peers.Next(time.Now(), 1)
		if len(next) == 0 {
			return
		}
		addr := next[0]
		if !f.s.reserve(true) {
			f.peers.Unused(addr)
			return
		}
		f.conns++
		f.wg.Go(func() { f.ask(ctx, addr) })
	}
}

// ask dials one peer and gets the metadata from it.
func (f *metaFetch) ask(ctx context.Context, addr netip.AddrPort) {
	nc, hs, err := f.s.connect(ctx, f.s.dialPeer, addr, f.hash, f.hashes.Hybrid(), f.hashes.Accepts)
	f.s.dialed(err == nil)
	why := failureOf(err)
	if err == nil {
		why = peerlist.NoMetadata
		var kept bool
		kept, err = f.fetchOver(ctx, nc, hs, addr, false)
		if !kept {
			nc.Close()
			f.s.hungUp()
		}
	}
	f.mu.Lock()
	f.conns--
	if err != nil {
		f.s.log.Debug("no metadata", "peer", addr, "err", err)
		f.peers.SetFailure(addr, why)
		f.peers.Failed(addr, time.Now())
	}
	f.mu.Unlock()
	f.nudge()
}

// listensAt records the address at which a peer that answered accepts connections.
func (f *metaFetch) listensAt(addr netip.AddrPort) {
	f.mu.Lock()
	defer f.mu.Unlock()
	src, known := f.peers.Source(addr)
	if !known { // the peer connected to us
		src = peerlist.SourceCaller
	}
	if f.peers.Usable(addr, src) && len(f.answered) < maxAnswered && !slices.Contains(f.answered, addr) {
		f.answered = append(f.answered, addr)
	}
}
