package trackerserver

import (
	"cmp"
	"iter"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"spate"
	"spate/tracker"
	"spate/tracker/swarm"
	"spate/tracker/swarm/swarmtest"
	"spate/tracker/wire"
)

// mapStore is a second implementation of [swarm.Store]: plain maps and one lock.
type mapStore struct {
	opt swarm.Options

	mu     sync.Mutex // guards the fields below
	swarms map[spate.InfoHash]*mapSwarm
	gone   swarm.Totals // the counters of expired, evicted and refused entries
}

type mapSwarm struct {
	peers     map[netip.AddrPort]*mapPeer
	counted   map[identity]bool // identities whose completion was counted
	completed uint32
	sockets   swarm.Sockets // the peers without an address
	protected bool
	origins   []netip.AddrPort
	swept     time.Time // the last search for expired peers
}

type mapPeer struct {
	id            identity
	seed, counted bool
	at            time.Time
}

type identity struct {
	key uint32
	id  spate.PeerID
}

func identityOf(r *swarm.Request) identity {
	if r.Key != 0 {
		return identity{key: r.Key}
	}
	return identity{id: r.PeerID}
}

// newMapStore returns a store with the defaults of a table.
func newMapStore(o swarm.Options) (*mapStore, error) {
	table, err := swarm.New(o)
	if err != nil {
		return nil, err
	}
	defer table.Close()
	return &mapStore{opt: table.Options(), swarms: map[spate.InfoHash]*mapSwarm{}}, nil
}

func (s *mapStore) Options() swarm.Options { return s.opt }

func (s *mapStore) Announce(now time.Time, r *swarm.Request, rep *swarm.Reply) error {
	*rep = swarm.Reply{Peers4: rep.Peers4[:0], Peers6: rep.Peers6[:0]}
	s.mu.Lock()
	defer s.mu.Unlock()
	addr := spate.CanonicalAddr(r.Addr)
	sw := s.swarms[r.InfoHash]
	var err error
	if sw != nil && now.Sub(sw.swept) >= time.Minute {
		s.expire(sw, now)
	}
	switch {
	case !addr.IsValid() || addr.Port() == 0:
		err = swarm.ErrAddr
	case sw != nil && slices.Contains(sw.origins, addr):
	case r.Event == tracker.EventStopped:
		if sw != nil && sw.peers[addr] != nil && sw.peers[addr].id == identityOf(r) {
			delete(sw.peers, addr)
			rep.Removed = true
		}
	default:
		sw, err = s.update(now, addr, r, rep)
	}
	if err == swarm.ErrFull {
		s.gone.Refused++
	}
	if sw != nil {
		rep.Seeders, rep.Leechers, rep.Completed = sw.counts()
		s.sample(sw, addr, r, rep)
	}
	s.interval(rep)
	s.forget(r.InfoHash)
	return err
}

// update adds or changes the entry of a peer.
func (s *mapStore) update(now time.Time, addr netip.AddrPort, r *swarm.Request, rep *swarm.Reply) (*mapSwarm, error) {
	sw, err := s.get(r.InfoHash)
	if err != nil {
		return nil, err
	}
	p := sw.peers[addr]
	if p == nil {
		if !s.reserve(sw, addr) {
			return sw, swarm.ErrFull
		}
		p = &mapPeer{id: identityOf(r)}
		sw.peers[addr] = p
		rep.New = true
	} else if p.id != identityOf(r) && now.Sub(p.at) > s.opt.Interval*17/10 {
		p.id, p.counted = identityOf(r), false
	}
	rep.Moved = r.Seed && !p.seed && !rep.New
	if r.Seed && !p.counted && (rep.Moved || r.Event == tracker.EventCompleted) {
		p.counted = true
		if !sw.counted[identityOf(r)] {
			sw.counted[identityOf(r)] = true
			sw.completed++
			rep.Counted = true
		}
	}
	p.seed, p.at = r.Seed, now
	return sw, nil
}

// get returns a swarm, and creates it if needed.
func (s *mapStore) get(ih spate.InfoHash) (*mapSwarm, error) {
	if sw := s.swarms[ih]; sw != nil {
		return sw, nil
	}
	if len(s.swarms) >= s.opt.MaxSwarms {
		victim := s.victim()
		if victim == nil {
			return nil, swarm.ErrFull
		}
		delete(s.swarms, *victim)
		s.gone.EvictedSwarms++
	}
	sw := &mapSwarm{peers: map[netip.AddrPort]*mapPeer{}, counted: map[identity]bool{}}
	s.swarms[ih] = sw
	return sw, nil
}

// victim returns the unprotected swarm with the fewest peers, or nil.
func (s *mapStore) victim() (best *spate.InfoHash) {
	fewest := 0
	for ih, sw := range s.swarms {
		if !sw.protected && (best == nil || len(sw.peers) < fewest) {
			best, fewest = &ih, len(sw.peers)
		}
	}
	return best
}

// reserve makes space for a peer at addr.
func (s *mapStore) reserve(sw *mapSwarm, addr netip.AddrPort) bool {
	host := hostOf(addr)
	same := func(a netip.AddrPort) bool { return hostOf(a) == host }
	n := 0
	for a := range sw.peers {
		if same(a) {
			n++
		}
	}
	if n >= s.opt.MaxPerAddr && !addr.Addr().IsLoopback() {
		s.evict(sw, same)
	}
	all := func(netip.AddrPort) bool { return true }
	if len(sw.peers) >= s.opt.MaxPerSwarm {
		s.evict(sw, all)
	}
	total := 0
	for _, other := range s.swarms {
		total += len(other.peers)
	}
	if total < s.opt.MaxPeers {
		return true
	}
	for _, other := range s.swarms {
		if !other.protected && len(other.peers) > 0 {
			return s.evict(other, all)
		}
	}
	return s.evict(sw, all)
}

// evict removes the oldest of the peers for which match returns true.
func (s *mapStore) evict(sw *mapSwarm, match func(netip.AddrPort) bool) bool {
	var oldest netip.AddrPort
	for a, p := range sw.peers {
		if match(a) && (!oldest.IsValid() || p.at.Before(sw.peers[oldest].at)) {
			oldest = a
		}
	}
	if !oldest.IsValid() {
		return false
	}
	delete(sw.peers, oldest)
	s.gone.EvictedPeers++
	return true
}

// hostOf returns the IPv4 address or the IPv6 /64 of an address.
func hostOf(a netip.AddrPort) netip.Prefix {
	bits := 64
	if a.Addr().Is4() {
		bits = 32
	}
	p, _ := a.Addr().Prefix(bits)
	return p
}

func (s *mapStore) expire(sw *mapSwarm, now time.Time) (expired int) {
	sw.swept = now
	for a, p := range sw.peers {
		if now.Sub(p.at) > s.opt.Expire {
			delete(sw.peers, a)
			expired++
		}
	}
	s.gone.Expired += uint64(expired)
	return expired
}

// forget removes a swarm that holds nothing.
func (s *mapStore) forget(ih spate.InfoHash) {
	if sw := s.swarms[ih]; sw != nil && len(sw.peers) == 0 && len(sw.origins) == 0 && !sw.protected && sw.completed == 0 && sw.sockets.Seeders+sw.sockets.Leechers == 0 {
		delete(s.swarms, ih)
	}
}

// originSeeds returns how many seeds the origins count as.
func (sw *mapSwarm) originSeeds() int {
	v4 := 0
	for _, a := range sw.origins {
		if a.Addr().Is4() {
			v4++
		}
	}
	return max(v4, len(sw.origins)-v4)
}

func (sw *mapSwarm) counts() (seeders, leechers, completed uint32) {
	seeders, leechers = uint32(sw.originSeeds())+sw.sockets.Seeders, sw.sockets.Leechers
	for _, p := range sw.peers {
		if p.seed {
			seeders++
		} else {
			leechers++
		}
	}
	return seeders, leechers, sw.completed
}

// sample sets the peers of a reply. The order of a map is random.
func (s *mapStore) sample(sw *mapSwarm, self netip.AddrPort, r *swarm.Request, rep *swarm.Reply) {
	if r.Event == tracker.EventStopped {
		return
	}
	want := r.NumWant
	if want < 0 {
		want = s.opt.NumWant
	}
	want = min(want, s.opt.MaxNumWant)
	add := func(a netip.AddrPort) {
		switch {
		case want == 0 || a == self:
			return
		case a.Addr().Is4() && r.Want4:
			rep.Peers4 = spate.AppendCompact(rep.Peers4, a)
		case a.Addr().Is6() && r.Want6:
			rep.Peers6 = spate.AppendCompact(rep.Peers6, a)
		default:
			return
		}
		want--
	}
	seeds := (!r.Seed || r.Seeking) && r.Event != tracker.EventPaused
	if seeds {
		for _, a := range sw.origins {
			add(a)
		}
	}
	for a, p := range sw.peers {
		if want == 0 {
			return
		}
		if seeds || !p.seed {
			add(a)
		}
	}
}

func (s *mapStore) interval(rep *swarm.Reply) {
	d := s.opt.Interval
	if rep.Seeders == 0 {
		d /= 3
	}
	rep.Interval = time.Duration(float64(d) * (0.9 + 0.2*rand.Float64())).Truncate(time.Second)
	rep.MinInterval = min(s.opt.MinInterval, rep.Interval)
}

func (s *mapStore) CountSockets(now time.Time, r *swarm.Sockets, rep *swarm.Reply) error {
	*rep = swarm.Reply{Peers4: rep.Peers4[:0], Peers6: rep.Peers6[:0]}
	s.mu.Lock()
	defer s.mu.Unlock()
	sw, err := s.get(r.InfoHash)
	if err == nil {
		sw.sockets = *r
		if id := (identity{id: r.PeerID}); r.Completed && !sw.counted[id] {
			sw.counted[id] = true
			sw.completed++
			rep.Counted = true
		}
		rep.Seeders, rep.Leechers, rep.Completed = sw.counts()
		s.forget(r.InfoHash)
	}
	s.interval(rep)
	return err
}

func (s *mapStore) Scrape(now time.Time, ih spate.InfoHash) (seeders, leechers, completed uint32, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sw := s.swarms[ih]
	if sw == nil {
		return 0, 0, 0, false
	}
	s.expire(sw, now)
	seeders, leechers, completed = sw.counts()
	return seeders, leechers, completed, true
}

// Sweep examines all peers, whatever the limit.
func (s *mapStore) Sweep(now time.Time, _ int) (seen, expired int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ih, sw := range s.swarms {
		seen += len(sw.peers)
		expired += s.expire(sw, now)
		s.forget(ih)
	}
	return seen, expired
}

func (s *mapStore) Totals() swarm.Totals {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.gone
	for _, sw := range s.swarms {
		t.Swarms++
		t.SocketSeeders += int(sw.sockets.Seeders)
		t.SocketLeechers += int(sw.sockets.Leechers)
		if len(sw.peers)+len(sw.origins) > 0 || sw.sockets.Seeders+sw.sockets.Leechers > 0 {
			t.Active++
		}
		if sw.protected {
			t.Protected++
		}
		t.Pinned += sw.originSeeds()
		t.Completed += uint64(sw.completed)
		for a, p := range sw.peers {
			switch {
			case p.seed && a.Addr().Is4():
				t.Seeders4++
			case p.seed:
				t.Seeders6++
			case a.Addr().Is4():
				t.Leechers4++
			default:
				t.Leechers6++
			}
		}
	}
	return t
}

func (s *mapStore) All() iter.Seq[swarm.Stats] { return slices.Values(s.stats()) }

func (s *mapStore) stats() (list []swarm.Stats) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ih, sw := range s.swarms {
		st := swarm.Stats{InfoHash: ih, Protected: sw.protected}
		st.Seeders, st.Leechers, st.Completed = sw.counts()
		for _, a := range slices.Concat(sw.origins, slices.Collect(maps.Keys(sw.peers))) {
			if a.Addr().Is6() {
				st.Peers6++
			}
		}
		list = append(list, st)
	}
	return list
}

func (s *mapStore) Busiest(n int) []swarm.Stats {
	list := slices.DeleteFunc(s.stats(), func(st swarm.Stats) bool { return st.Seeders+st.Leechers == 0 })
	slices.SortFunc(list, func(a, b swarm.Stats) int {
		return cmp.Or(cmp.Compare(b.Seeders+b.Leechers, a.Seeders+a.Leechers), cmp.Compare(b.Completed, a.Completed))
	})
	return list[:min(n, len(list))]
}

func (s *mapStore) Protect(ih spate.InfoHash) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	sw, err := s.get(ih)
	if err == nil {
		sw.protected = true
	}
	return err
}

func (s *mapStore) Unprotect(ih spate.InfoHash) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sw := s.swarms[ih]; sw != nil {
		sw.protected, sw.origins = false, nil
		s.forget(ih)
	}
}

func (s *mapStore) Pin(ih spate.InfoHash, addrs ...netip.AddrPort) error {
	origins := make([]netip.AddrPort, 0, len(addrs))
	for _, a := range addrs {
		a = spate.CanonicalAddr(a)
		if !a.IsValid() || a.Port() == 0 {
			return swarm.ErrAddr
		}
		if !slices.Contains(origins, a) {
			origins = append(origins, a)
		}
	}
	if len(origins) > 16 {
		return swarm.ErrPins
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sw, err := s.get(ih)
	if err != nil {
		return err
	}
	sw.protected, sw.origins = true, origins
	for _, a := range origins {
		delete(sw.peers, a)
	}
	return nil
}

func (s *mapStore) Unpin(ih spate.InfoHash) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sw := s.swarms[ih]; sw != nil {
		sw.origins = nil
	}
}

func (s *mapStore) SetCompleted(ih spate.InfoHash, n uint32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	sw, err := s.get(ih)
	if err == nil {
		sw.completed = max(sw.completed, n)
		s.forget(ih)
	}
	return err
}

func (s *mapStore) Drop(ih spate.InfoHash) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.swarms, ih)
}

// TestAnotherStore shows that a store other than swarm.Table can pass the tests of
// swarmtest.
func TestAnotherStore(t *testing.T) {
	t.Parallel()
	swarmtest.Run(t, func(t testing.TB, o swarm.Options) swarm.Store {
		s, err := newMapStore(o)
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

// TestAnotherStoreInRandomSequences compares that store with the model of swarmtest.
func TestAnotherStoreInRandomSequences(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds, and tests a store that only tests use")
	}
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		swarmtest.Property(r, func(o swarm.Options) swarm.Store {
			s, err := newMapStore(o)
			if err != nil {
				r.Fatal(err)
			}
			return s
		})
	})
}

// TestServerWithAnotherStore shows that a server answers announces and scrapes from any
// store.
func TestServerWithAnotherStore(t *testing.T) {
	t.Parallel()
	store, err := newMapStore(swarm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(store, Options{OnlyAllowed: true, Scrapes: ScrapesAll})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Allow(testHash, tracker.Note{}); err != nil {
		t.Fatal(err)
	}
	origin := netip.MustParseAddrPort("192.0.2.50:6881")
	if err := store.Pin(testHash, origin); err != nil {
		t.Fatal(err)
	}
	r, err := announce(t, s, "198.51.100.1:9", peer(1))
	if err != nil || !slices.Equal(r.Peers, []netip.AddrPort{origin}) || r.Complete != 1 || r.Incomplete != 1 {
		t.Errorf("first announce: %+v %v", r, err)
	}
	done := peer(1)
	done.Left, done.Event = 0, tracker.EventCompleted
	if r, err := announce(t, s, "198.51.100.1:9", done); err != nil || r.Complete != 2 || r.Downloaded != 1 {
		t.Errorf("completed: %+v %v", r, err)
	}
	entries, err := wire.ParseScrapeAnswer(ask(t, s, "192.0.2.1:9", "/scrape"))
	if err != nil || len(entries) != 1 || entries[0] != (tracker.ScrapeEntry{InfoHash: testHash, Complete: 2, Downloaded: 1}) {
		t.Errorf("scrape: %+v %v", entries, err)
	}
	s.Disallow(testHash)
	if _, err := announce(t, s, "198.51.100.2:9", peer(2)); err == nil {
		t.Error("a torrent that is not allowed any more is served")
	}
}
