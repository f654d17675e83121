package site

import (
	"context"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"spate"
	"spate/internal/weburl"
	"spate/publish"
)

// A BitTorrent client that knows the URL of the data, from a torrent or a Metalink, asks for
// ranges of it beside its peers, and often for the whole file before it knows a peer. The site
// shares its uplink with the seed, so it sends such a client only what the swarm does not. A
// program that downloads without peers is never refused.

// Spread says who in the swarm has the pieces of a range, besides the publisher and the client
// that asks.
type Spread struct {
	First int    // index of the first piece
	Have  []bool // for each piece from First on: whether a connected peer has it
	// Client means that a peer at the address of the client is connected to the seed and is not
	// complete. Progress is the number of pieces of the one that has the fewest.
	Client      bool
	Progress    int
	Pieces      int   // of the torrent
	PieceLength int64 // bytes
}

// torrentClients are the names at the beginning of the User-Agent, in lower case, of programs
// that ask for ranges of web seeds.
var torrentClients = []string{
	"aria2/", "biglybt", "azureus", "bittorrent/", "btwebclient/", "deluge", "ktorrent/", "libtorrent", "lt/", "qbittorrent/", "rain/",
	"spate/", "tixati", "transmission/", "utorrent", "µtorrent", "vuze", "webtorrent", "anacrolix", "torrent/",
}

// byTorrentClient reports whether a BitTorrent client asks for a part of a file: its
// User-Agent begins with the name of one, and it sends Range.
func byTorrentClient(r *http.Request) bool {
	agent := strings.ToLower(r.UserAgent())
	for _, name := range torrentClients {
		if strings.HasPrefix(agent, name) || strings.Contains(agent, " "+name) {
			return r.Header.Get("Range") != ""
		}
	}
	return false
}

// singleRange returns the bytes that a Range header asks for of a file of size bytes, and
// whether it asks for one range that begins in the file.
func singleRange(header string, size int64) (off, n int64, ok bool) {
	spec, ok := strings.CutPrefix(strings.ReplaceAll(strings.ToLower(header), " ", ""), "bytes=")
	from, to, dash := strings.Cut(spec, "-")
	if !ok || !dash {
		return 0, 0, false
	}
	off, err := strconv.ParseInt(from, 10, 64)
	if err != nil || off < 0 || off >= size {
		return 0, 0, false
	}
	last := size - 1
	if to != "" {
		given, err := strconv.ParseInt(to, 10, 64)
		if err != nil || given < off {
			return 0, 0, false
		}
		last = min(last, given)
	}
	return off, last - off + 1, true
}

// Limits of the refusals.
const (
	connectTime = 10 * time.Second // in which a client may connect to the seed before it is served
	shortRange  = 1 << 20          // most bytes of a range that is served because nobody has it
	stuckAfter  = 20 * time.Second // without a new piece, after which a client is served
	slowAfter   = 15 * time.Second // after which the rate of a client counts
	slowSwarm   = perDownload      // rate of new data in bytes a second below which a client is served
	sentFor     = 30 * time.Second // how long a piece that was sent over HTTP counts as held by the swarm
	forgetAfter = 5 * time.Minute  // without a request, after which a client is forgotten
	maxClients  = 10_000           // clients and pieces that are remembered
)

// swarmFirst decides which ranges BitTorrent clients get. The zero value is ready for use. It is
// safe for concurrent use.
type swarmFirst struct {
	mu      sync.Mutex
	clients map[clientKey]*swarmClient
	sent    map[sentKey]sentPiece
}

// clientKey identifies the clients at one address.
type clientKey struct {
	release spate.InfoHash
	addr    netip.Addr
}

// swarmClient is what is known of the clients at one address since their first request.
type swarmClient struct {
	connected bool      // a peer at the address was connected to the seed at the last request
	since     time.Time // of the first request, or of the first one while connected
	moved     time.Time // of the last new piece
	asked     time.Time // of the last request
	began     int       // number of pieces at since
	progress  int       // number of pieces at the last request
}

type sentKey struct {
	release spate.InfoHash
	piece   int
}

// sentPiece records to whom a piece was sent over HTTP, and when.
type sentPiece struct {
	to netip.Addr
	at time.Time
}

// serve reports whether a client gets a range of n bytes that it asks for now. It does if
//
//   - no peer at its address has connected to the seed in the [connectTime] since its first
//     request, because the site cannot know then whom it reaches, or
//   - the range has at most [shortRange] bytes, and more than half of its pieces are nowhere else
//     in the swarm, or
//   - it lacks at most one piece, or a hundredth of them, because aria2 and Transmission ask no
//     peer for the last pieces that they have asked a web seed for, or
//   - it has got no new piece from anybody for [stuckAfter], or less than [slowSwarm] for
//     [slowAfter].
func (s *swarmFirst) serve(key clientKey, n int64, sp Spread, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trimLocked(now)
	c := s.clients[key]
	if c == nil || now.Sub(c.asked) > forgetAfter {
		c = &swarmClient{since: now}
		s.clients[key] = c
	}
	c.asked = now
	if !sp.Client {
		c.connected = false
		return now.Sub(c.since) >= connectTime
	}
	if !c.connected {
		c.connected, c.since, c.moved, c.began, c.progress = true, now, now, sp.Progress, sp.Progress
	}
	if !c.needs(sp, now) && (n > shortRange || s.swarmHasLocked(key, sp, now)) {
		return false
	}
	for i := range sp.Have {
		s.sent[sentKey{key.release, sp.First + i}] = sentPiece{key.addr, now}
	}
	return true
}

// swarmHasLocked reports whether the swarm has at least half of the pieces. A piece that was
// just sent to another client counts.
func (s *swarmFirst) swarmHasLocked(key clientKey, sp Spread, now time.Time) bool {
	held := 0
	for i, have := range sp.Have {
		p := s.sent[sentKey{key.release, sp.First + i}]
		if have || now.Sub(p.at) < sentFor && p.to != key.addr {
			held++
		}
	}
	return 2*held >= len(sp.Have)
}

// needs reports whether the swarm serves a connected client too slowly.
func (c *swarmClient) needs(sp Spread, now time.Time) bool {
	if sp.Progress != c.progress {
		c.progress, c.moved = sp.Progress, now
	}
	took := now.Sub(c.since)
	rate := float64(int64(c.progress-c.began)*sp.PieceLength) / took.Seconds()
	switch {
	case sp.Pieces-sp.Progress <= max(1, sp.Pieces/100):
		return true
	case now.Sub(c.moved) >= stuckAfter:
		c.moved = now // one range for each pause
		return true
	case took >= slowAfter && rate < slowSwarm:
		return true
	case took >= forgetAfter: // the rate is that of the recent past
		c.since, c.began = now, c.progress
	}
	return false
}

// trimLocked forgets old clients and pieces when there are many.
func (s *swarmFirst) trimLocked(now time.Time) {
	if s.clients == nil {
		s.clients, s.sent = map[clientKey]*swarmClient{}, map[sentKey]sentPiece{}
	}
	if len(s.clients) >= maxClients {
		for k, c := range s.clients {
			if now.Sub(c.asked) > forgetAfter {
				delete(s.clients, k)
			}
		}
		if len(s.clients) >= maxClients {
			clear(s.clients)
		}
	}
	if len(s.sent) >= maxClients {
		for k, p := range s.sent {
			if now.Sub(p.at) >= sentFor {
				delete(s.sent, k)
			}
		}
		if len(s.sent) >= maxClients {
			clear(s.sent)
		}
	}
}

// A client that takes a refusal for the end of a URL gets none at once: the site first waits
// whether the client needs the range after all.
const (
	holdTime = 15 * time.Second // some clients close a connection that is silent for 20 seconds
	holdStep = time.Second
	maxHeld  = 256 // requests that wait at the same time

	refusedFor = 10 // Retry-After of a refusal, in seconds
)

// mayHold reports whether a request waits before it is refused. Transmission pauses for five
// minutes after five refusals, and aria2 and WebTorrent never ask again after one.
func mayHold(agent string) bool {
	return strings.HasPrefix(agent, "Transmission/") || strings.HasPrefix(agent, "WebTorrent/") || isAria2(agent)
}

func isAria2(agent string) bool { return strings.HasPrefix(agent, "aria2/") }

// leaveToSwarm answers the request of a BitTorrent client for a range of file i that it can get
// from its peers, and reports whether it did.
func (s *Site) leaveToSwarm(w http.ResponseWriter, r *http.Request, rel *publish.Release, i int) bool {
	if s.opts.Spread == nil || r.Method != http.MethodGet || !byTorrentClient(r) {
		return false
	}
	off, n, ok := singleRange(r.Header.Get("Range"), rel.Files[i].Length)
	if !ok {
		return false
	}
	addr := s.clientAddr(r)
	key := clientKey{rel.Hash(), addr}
	connected := false
	again := func() bool {
		sp, ok := s.opts.Spread(rel, i, off, n, addr)
		connected = sp.Client
		return !ok || s.first.serve(key, n, sp, time.Now())
	}
	// A refusal waits while the client is not connected, because libtorrent asks again late.
	wait := func() bool { return !connected || mayHold(r.UserAgent()) }
	if again() || s.hold(r.Context(), wait, again) {
		return false
	}
	if isAria2(r.UserAgent()) {
		w.Header().Set("Cache-Control", "no-store")
		redirect(w, http.StatusTemporaryRedirect, s.prefix+weburl.RawPath(r.URL)) // aria2 asks again
		return true
	}
	w.Header().Set("Retry-After", strconv.Itoa(refusedFor))
	s.fail(w, r, http.StatusServiceUnavailable, "The swarm has it", "Other peers have this part of the data. The site sends it if they do not.")
	return true
}

// hold waits until again returns true, and reports whether it did in time. It ends early when
// wait returns false.
func (s *Site) hold(ctx context.Context, wait, again func() bool) bool {
	if s.held.Add(1) > maxHeld {
		s.held.Add(-1)
		return false
	}
	defer s.held.Add(-1)
	tick := time.NewTicker(holdStep)
	defer tick.Stop()
	for end := time.Now().Add(holdTime); wait() && time.Now().Before(end); {
		select {
		case <-ctx.Done():
			return false
		case <-s.done:
			return false
		case <-tick.C:
		}
		if again() {
			return true
		}
	}
	return false
}
