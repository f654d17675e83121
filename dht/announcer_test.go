package dht

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"spate"
	"spate/dht/internal/krpc"
	"spate/discovery"
)

// client is a client that is in some swarms.
type client struct {
	port   uint16
	swarms []discovery.Swarm
	found  chan spate.InfoHash
	calls  map[spate.InfoHash]int
	mu     sync.Mutex
}

func (c *client) Swarms() []discovery.Swarm { return c.swarms }
func (c *client) AdvertisedPort() uint16    { return c.port }
func (c *client) PeerPort() uint16          { return c.port }
func (c *client) Found(ih spate.InfoHash, p discovery.Candidate, source discovery.Source) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls[ih]++
	if source == discovery.DHT && c.calls[ih] == 1 {
		c.found <- ih
	}
	return true
}

// TestAnnouncersFindEachOther runs two clients that are in 20 swarms, of which one is private.
// They find each other in all others by the DHT alone. They seed one swarm and say so (BEP 33).
func TestAnnouncersFindEachOther(t *testing.T) {
	t.Parallel()
	const swarms = 20
	first, at := run(t, "127.0.0.1:0", Options{})
	ctx, cancel := context.WithTimeout(t.Context(), hang)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	var clients []*client
	second, _ := run(t, "127.0.0.1:0", Options{Known: []netip.AddrPort{at}})
	for i, n := range []*Node{first, second} {
		c := &client{port: uint16(7000 + i), found: make(chan spate.InfoHash, 2*swarms), calls: map[spate.InfoHash]int{}}
		for j := range byte(swarms) {
			c.swarms = append(c.swarms, discovery.Swarm{InfoHash: spate.InfoHash{j ^ 0x55, 1}, Private: j == 7, Seed: j == 3})
		}
		clients = append(clients, c)
		wg.Go(func() { NewAnnouncer(n, c).Run(ctx) })
	}
	for _, c := range clients {
		for range swarms - 1 {
			select {
			case ih := <-c.found:
				if ih == c.swarms[7].InfoHash {
					t.Error("a private torrent was announced")
				}
			case <-ctx.Done():
				t.Fatalf("peers of only %d swarms are found", len(c.calls))
			}
		}
	}
	if got := first.Status().Families[0].InfoHashes; got != swarms-1 {
		t.Errorf("the first node stores %d info-hashes, want %d", got, swarms-1)
	}
	for j, want := range map[int]ScrapeResult{3: {Seeds: 1}, 4: {Leechers: 1}} { // the peers of one address count as one
		got, err := second.Scrape(ctx, clients[0].swarms[j].InfoHash)
		if err != nil || got.Seeds != want.Seeds || got.Leechers != want.Leechers {
			t.Errorf("the swarm %d is %+v, %v, want %+v", j, got, err, want)
		}
	}
}

// TestAnnouncerPlans checks when swarms are due: soon again while no other peer is found, and
// then once in a period, in the order of their info-hashes.
func TestAnnouncerPlans(t *testing.T) {
	t.Parallel()
	const swarms = 100
	c := &client{}
	for i := range swarms {
		c.swarms = append(c.swarms, discovery.Swarm{InfoHash: spate.InfoHash{byte(i * 37), byte(i)}})
	}
	a, now := NewAnnouncer(nil, c), time.Now()
	walks := a.due(now)
	var last spate.InfoHash
	n := 0
	for _, w := range walks {
		for _, swarm := range w {
			ih := swarm.InfoHash
			if string(ih[:]) < string(last[:]) {
				t.Errorf("%v comes after %v", ih, last)
			}
			last = ih
			n++
		}
	}
	if n != swarms || len(walks) != 4 {
		t.Errorf("%d swarms are due in %d walks", n, len(walks))
	}
	if again := a.due(now.Add(time.Hour)); len(again) != 0 {
		t.Errorf("%v are due while they run", again)
	}
	for _, w := range walks {
		for _, swarm := range w {
			found := 0
			if swarm.InfoHash == last {
				found = 2
			}
			a.searched(swarm.InfoHash, now, found, true)
		}
	}
	a.release(walks)
	count := func(after time.Duration) (n int) {
		for _, w := range a.due(now.Add(after)) {
			n += len(w)
			a.release([][]discovery.Swarm{w})
		}
		return n
	}
	const retry = firstRetry + firstRetry*(swarms-1)/retrySwarms
	if early, soon, later := count(retry-1), count(retry), count(announceEvery); early != 0 || soon != 99 || later != 100 {
		t.Errorf("%d swarms are due soon and %d later, want 99 and 100", soon, later)
	}
	c.swarms = nil
	count(announceEvery)
	if len(a.states) != 0 {
		t.Errorf("%d swarms that the client has left are remembered", len(a.states))
	}
}

// TestAnnouncerSearchesForClientThatNeedsPeers checks that the peers that come after some time are
// found within a quarter of that time, and within five minutes, for as long as the client needs
// peers, and that a client that is served searches once in a period.
func TestAnnouncerSearchesForClientThatNeedsPeers(t *testing.T) {
	t.Parallel()
	c := &client{swarms: []discovery.Swarm{{InfoHash: spate.InfoHash{1}, Seed: true, NeedsPeers: true}}}
	a, began := NewAnnouncer(nil, c), time.Now()
	// search returns when the swarm is due after a time.
	search := func(after time.Duration) time.Duration {
		for ; ; after += time.Second {
			walks := a.due(began.Add(after))
			if len(walks) > 0 {
				a.searched(c.swarms[0].InfoHash, began.Add(after), 5, true) // five peers, none of which can be reached
				a.release(walks)
				return after
			}
		}
	}
	last, n := search(0), 0
	for last < 3*time.Hour {
		next := search(last)
		if most := min(max(last/4, firstRetry), 5*time.Minute) + 2*time.Second; next-last > most {
			t.Errorf("after %v the next search follows at %v", last, next)
		}
		last = next
		n++
	}
	if n > 60 {
		t.Errorf("%d searches in three hours", n)
	}
	c.swarms[0].NeedsPeers = false
	if next := search(last); next-last != announceEvery {
		t.Errorf("the client is served, and is announced after %v", next-last)
	} else {
		last = next
	}
	c.swarms[0].NeedsPeers = true
	search(last + time.Minute)
	if next := search(last + time.Minute); next-last > time.Minute+2*firstRetry {
		t.Errorf("the client has lost its peers, and searches after %v", next-last-time.Minute)
	}
}

// TestSeedAsksForPeersThatAreNoSeeds checks that the search for a swarm that the client seeds asks for
// peers that are not seeds (BEP 33), and that for another swarm does not.
func TestSeedAsksForPeersThatAreNoSeeds(t *testing.T) {
	t.Parallel()
	other := netip.MustParseAddrPort("127.0.0.1:9")
	queries := make(chan []byte, 100)
	n, err := New(Options{IPv4: true, Known: []netip.AddrPort{other}, Send: func(packets []Packet) {
		for _, p := range packets {
			queries <- slices.Clone(p.Data)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), hang)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	c := &client{port: 1, swarms: []discovery.Swarm{{InfoHash: spate.InfoHash{1}, Seed: true}, {InfoHash: spate.InfoHash{2}}}, calls: map[spate.InfoHash]int{}}
	wg.Go(func() { n.Run(ctx) })
	wg.Go(func() { NewAnnouncer(n, c).Run(ctx) })
	for asked := map[byte]bool{}; len(asked) < len(c.swarms); {
		var m krpc.Message
		select {
		case packet := <-queries:
			if err := krpc.NewParser().Parse(&m, packet); err != nil {
				t.Fatal(err)
			}
		case <-ctx.Done():
			t.Fatal("nothing is searched")
		}
		if m.Method == krpc.GetPeers {
			asked[m.Target[0]] = true
			if seed := m.Target[0] == 1; m.NoSeed != seed {
				t.Errorf("a client that seeds %v asks with noseed %v", seed, m.NoSeed)
			}
		}
		reply := krpc.Message{Kind: krpc.Response, TID: m.TID, ID: krpc.ID{7}}
		n.Receive([]Packet{{Addr: other, Data: reply.Append(nil)}})
	}
}
