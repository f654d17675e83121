package torrent

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"spate"
	"spate/discovery"
	"spate/metainfo"
	"spate/peerwire"
	"spate/torrent/internal/peerlist"
	"spate/tracker"
)

// ErrMetadata is the cause when peers gave an info dictionary that matches the
// hash and is no torrent all the same.
var ErrMetadata = errors.New("the metadata from peers is malformed")

// Bounds of fetching metadata.
const (
	metadataConns   = 12                       // peers asked at once
	metadataWindow  = 4                        // pieces asked of one peer at once
	metadataSilence = 20 * time.Second         // until a peer that owes pieces is given up
	maxHeld         = 2 * peerwire.MaxMetadata // bytes that all peers together gave and nothing has proved
	maxUseful       = 100                      // peers that are passed on to the torrent
)

// MetadataOptions say where to look for peers that have metadata, beside the
// hints of the magnet link.
type MetadataOptions struct {
	// Peers are asked wherever they are: they are the choice of the user.
	Peers []netip.AddrPort
}

// FetchMetadata gets the info dictionary of a magnet link from peers (BEP 9) and
// returns the torrent, with the trackers and web seeds of the link, and peers that
// were found on the way. It tries until it has it or ctx is done: whether there
// will be such a peer nobody can know. What peers send is checked by the hashes of
// the link, all of them, before it is read.
func (s *Session) FetchMetadata(ctx context.Context, link metainfo.Magnet, opt MetadataOptions) (*metainfo.MetaInfo, []netip.AddrPort, error) {
	f := newMetaFetch(s, link)
	f.peers.Add(opt.Peers, peerlist.SourceManual)
	for _, p := range link.Peers {
		if a, err := netip.ParseAddrPort(p); err == nil {
			f.peers.Add([]netip.AddrPort{a}, peerlist.SourceLink)
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
	raw, err := f.run(ctx)
	s.leaveFetch(f)
	var mi *metainfo.MetaInfo
	if err == nil {
		if mi, err = metainfo.FromInfo(raw); err != nil {
			err = fmt.Errorf("%w: %w", ErrMetadata, err)
		}
	}
	s.keepWarm(f, mi)
	if err != nil {
		return nil, nil, err
	}
	for _, u := range link.Trackers {
		mi.AnnounceList = append(mi.AnnounceList, []string{u})
	}
	mi.WebSeeds = link.WebSeeds
	return mi, f.usefulTo(mi), nil
}

// usefulTo returns the peers that the torrent may be told of: of a private one only
// those that its tracker, the link or the user named (BEP 27).
func (f *metaFetch) usefulTo(mi *metainfo.MetaInfo) []netip.AddrPort {
	return slices.DeleteFunc(slices.Clone(f.useful), func(a netip.AddrPort) bool { return !f.mayTell(mi, a) })
}

// mayTell reports whether the torrent may know the peer at a.
func (f *metaFetch) mayTell(mi *metainfo.MetaInfo, a netip.AddrPort) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	src, known := f.peers.Source(a)
	return !mi.Info.Private || known && src.ForPrivate()
}

// metaFetch is one search for metadata.
type metaFetch struct {
	s     *Session
	link  metainfo.Magnet
	hash  spate.InfoHash
	found chan []byte   // the info dictionary, checked
	wake  chan struct{} // there may be somebody to dial
	wg    sync.WaitGroup
	talks sync.WaitGroup  // conversations, incoming ones too
	end   context.Context // ends with the search
	stop  context.CancelFunc

	mu     sync.Mutex // guards what follows
	peers  *peerlist.List
	held   map[*metaDialog]int // bytes of metadata that came, unchecked
	conns  int
	done   bool
	useful []netip.AddrPort // where peers listen that talked with us, at most maxUseful
	said   int              // bytes that conversations hold for the torrent to come
	warm   []warmConn       // connections for it
}

func newMetaFetch(s *Session, link metainfo.Magnet) *metaFetch {
	f := &metaFetch{
		s: s, link: link, hash: link.Hash(), found: make(chan []byte, 1), wake: make(chan struct{}, 1),
		held:  map[*metaDialog]int{},
		peers: peerlist.New(s.peerListOptions(false)),
	}
	f.end, f.stop = context.WithCancel(context.Background())
	return f
}

func (s *Session) enterFetch(f *metaFetch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	for _, ih := range f.hashes() {
		if s.torrents[ih] != nil || s.fetches[ih] != nil {
			return fmt.Errorf("%w: %v", ErrDuplicate, ih)
		}
	}
	for _, ih := range f.hashes() {
		s.fetches[ih] = f
	}
	return nil
}

func (s *Session) leaveFetch(f *metaFetch) {
	s.mu.Lock()
	for _, ih := range f.hashes() {
		delete(s.fetches, ih)
	}
	s.mu.Unlock()
	f.mu.Lock()
	f.done = true
	f.mu.Unlock()
	f.stop()
	f.wg.Wait()
	f.talks.Wait()
}

// run announces and asks peers until one has given the metadata.
func (f *metaFetch) run(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if len(f.link.Trackers) > 0 && f.s.opt.Announcer != nil {
		for _, u := range f.link.Trackers {
			f.wg.Go(func() { f.s.announcer.Poll(ctx, u, f.hash, f) })
		}
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		f.dialMore(ctx)
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

// Answered implements [announce.Receiver].
func (f *metaFetch) Answered(resp *tracker.AnnounceResponse, url string) {
	f.mu.Lock()
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

func (f *metaFetch) nudge() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

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
	nc, hs, err := f.s.connect(ctx, addr, f.hash, f.hybrid(), f.mayBe)
	f.s.dialed(err == nil)
	if err == nil {
		var kept bool
		if kept, err = f.talk(ctx, nc, hs, addr, false); !kept {
			nc.Close()
			f.s.hungUp()
		}
	}
	f.mu.Lock()
	f.conns--
	if err != nil {
		f.s.log.Debug("no metadata", "peer", addr, "err", err)
		f.peers.Failed(addr, time.Now())
	}
	f.mu.Unlock()
	f.nudge()
}

// listensAt notes where a peer that talked with us takes connections.
func (f *metaFetch) listensAt(addr netip.AddrPort) {
	f.mu.Lock()
	defer f.mu.Unlock()
	src, known := f.peers.Source(addr)
	if !known { // it connected to us
		src = peerlist.SourceCaller
	}
	if f.peers.Usable(addr, src) && len(f.useful) < maxUseful && !slices.Contains(f.useful, addr) {
		f.useful = append(f.useful, addr)
	}
}

// hashes returns those by which peers may ask for what is looked for.
func (f *metaFetch) hashes() []spate.InfoHash {
	if f.hybrid() {
		return []spate.InfoHash{f.link.HashV1, f.link.HashV2.Truncate()}
	}
	return []spate.InfoHash{f.hash}
}

// hybrid reports whether the link names both hashes of one.
func (f *metaFetch) hybrid() bool { return !f.link.HashV1.IsZero() && !f.link.HashV2.IsZero() }

// mayBe reports whether a peer may answer by that hash. libtorrent answers by the
// v2 hash of a hybrid to whom it knows to have used it before; a link need not
// name that, and what the peer gives is held against those that it does name.
func (f *metaFetch) mayBe(ih spate.InfoHash) bool {
	return f.link.HashV2.IsZero() || ih == f.link.HashV2.Truncate()
}

// matches holds raw against every hash of the link.
func (f *metaFetch) matches(raw []byte) bool {
	if !f.link.HashV1.IsZero() && sha1.Sum(raw) != f.link.HashV1 {
		return false
	}
	return f.link.HashV2.IsZero() || sha256.Sum256(raw) == f.link.HashV2
}
