// Package trackerserver serves announces and scrapes over HTTP and UDP (BEP 3, 7, 15, 21,
// 23, 24, 31, 41, 48), and over WebSocket as WebTorrent's clients send them. A [Server]
// decides which requests are answered, and a [swarm.Store] holds the peers.
//
// A request goes through these files: servehttp.go or serveudp.go parses it; policy.go,
// limit.go, netset.go, token.go, allow.go and notes.go decide whether it is answered;
// server.go calls the store; servehttp.go or serveudp.go writes the answer; observe.go
// reports it to observers, such as the download log of package trackerlog and the statistics
// of package trackerstats.
//
// WebSocket clients are peers that accept no connections. The tracker holds their
// connections, hands their offers of WebRTC connections to other such peers of the swarm,
// and hands back the answers: see websocket.go, sockethandle.go, socket.go and meeting.go.
package trackerserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"spate"
	"spate/internal/stun"
	"spate/internal/weburl"
	"spate/tracker"
	"spate/tracker/swarm"
	"spate/tracker/trackerserver/internal/httpconn"
)

// Options configures a [Server]. The zero value is a tracker that serves any torrent to
// everybody. Run reads the files and the directory again when they change.
type Options struct {
	// OnlyAllowed refuses torrents that are allowed neither by Server.Allow nor by
	// AllowedDir nor by AllowList. Setting AllowedDir or AllowList implies it.
	OnlyAllowed bool
	// AllowedDir is a directory. The torrents of its .torrent files, with those in up
	// to 16 levels of subdirectories, are allowed.
	AllowedDir string
	// FollowLinks allows .torrent files in AllowedDir that are symbolic links to files
	// outside it. Otherwise they are ignored, because other users may write to
	// AllowedDir.
	FollowLinks bool
	// AllowList and DenyList are files. Each line has an info-hash in hexadecimal and
	// optionally the name of the torrent. A torrent in DenyList is always refused.
	AllowList, DenyList string
	// Notes is a file. Each line has an info-hash, the word "warning" or "failure", and
	// a text. A warning is added to the answers to announces of that torrent; a failure
	// refuses them. A torrent in Notes is not allowed for that reason.
	Notes string
	// Tokens are the users with announce URLs of their own; nil if there are none. An
	// invalid token is always refused. RequireToken also refuses requests without a
	// token.
	Tokens       *Tokens
	RequireToken bool
	// AllowNets are the only networks that are answered; all networks if AllowNets is
	// empty and Nets has none. DenyNets are never answered. Nets is a file with further
	// networks: each line has the word "allow" or "deny" and a network or an address.
	AllowNets, DenyNets []netip.Prefix
	Nets                string
	// Policies are called in order after all other checks.
	Policies []Policy
	// Limit limits the rate of requests from one network.
	Limit RateLimit

	// Proxies are the networks of trusted proxies: the field X-Forwarded-For of their
	// requests gives the address of the client. With ProxyProtocol, their connections
	// start with a header of the PROXY protocol, version 1 or 2.
	Proxies       []netip.Prefix
	ProxyProtocol bool
	// Prefix is an optional prefix of the paths of announces and scrapes, such as /bt
	// for a tracker at http://example.org/bt/. It is percent-encoded and starts with a slash.
	Prefix string
	// Key is the secret of UDP connection ids; zero selects a random key. See
	// [LoadConnKey].
	Key ConnKey
	// Scrapes selects the scrapes that are answered.
	Scrapes Scrapes
	// MaxConns limits the connections of each listener; 0 selects [DefaultMaxConns].
	MaxConns int
	// MaxSockets limits the clients that are connected over WebSocket, which do not count for
	// MaxConns; 0 selects [DefaultMaxSockets].
	MaxSockets int
	// Origins are the origins, such as https://example.org, of the web pages that may connect
	// over WebSocket. All pages may if it is empty. Pages of the host in the request's URL, and
	// programs that send no origin, always may, if that host is an address, localhost or one of Hosts.
	Origins []string
	// Hosts are the names of this tracker in URLs. A page under another name may be that of a
	// stranger who makes the name resolve to this machine.
	Hosts []string
	// NATCheck makes the tracker connect to each peer and hide the ones that do not
	// accept; nil disables it.
	NATCheck *NATCheck

	// STUN answers the binding requests of STUN (RFC 8489) on UDP, at a limited rate, so that
	// browsers behind routers learn the address that others see.
	STUN bool

	// DHT answers packets on the UDP sockets that begin as messages of the DHT do and have no
	// valid connection id; nil leaves them unanswered. It appends the reply to out, which is
	// empty, and returns it; a reply of more than 1,200 bytes is dropped. Its calls run
	// concurrently and must not wait, and must not keep packet and out.
	DHT func(from netip.AddrPort, packet, out []byte) []byte

	// Log receives messages for the operator; nil discards them.
	Log *slog.Logger
	// AccessLog receives a record of each announce; nil disables it. Its handler must
	// not wait for long, because the answer is sent after it returns.
	AccessLog *slog.Logger
	// Observers are called for each announce, concurrently. They must not wait.
	Observers []func(*tracker.Observation)
	// Flush is called before answers are sent that report completions which the store
	// has counted, so that the caller can save them first; nil disables it. One call
	// can cover several answers. If it fails, the error is logged and the answers are
	// sent.
	Flush func() error
	// Now is the clock; nil selects time.Now.
	Now func() time.Time
}

// DefaultMaxConns is the default of Options.MaxConns.
const DefaultMaxConns = 8192

// Server is a tracker. Its methods are safe for concurrent use.
type Server struct {
	store          swarm.Store
	opts           Options
	now            func() time.Time
	log            *slog.Logger
	limit          *limiter
	rules          atomic.Pointer[addressRules]
	proxies        []netip.Prefix
	prefix         []byte   // Options.Prefix in the encoding of weburl.Encode, without a slash at the end; may be empty
	prefixSegments []string // decoded segments of prefix
	nat            *natChecker
	ranges         rangePeers
	conns          httpconn.Options // options of the listeners

	changing sync.Mutex // held while allowed and the protection in store change together
	allowed  allowSet
	lists    lists
	remarks  atomic.Pointer[map[spate.InfoHash]remark] // content of Options.Notes; may be nil

	countsMu   sync.Mutex
	counts     []*counters // guarded by countsMu, which does not guard the elements
	shared     *counters   // counts the requests that net/http serves
	connCounts httpconn.Counts
	calls      sync.Pool   // pool of *call
	unsaved    atomic.Bool // the last call of Options.Flush failed
	full       fullScrape
	sockets    *sockets
	stun       *stun.Server // nil: STUN is not answered
}

// New returns a tracker that keeps its peers in store. It reads the files and the
// directory of the options, and returns an error if one cannot be read. The caller must
// run Run.
func New(store swarm.Store, o Options) (*Server, error) {
	switch {
	case store == nil:
		return nil, errors.New("trackerserver: no store")
	case o.RequireToken && o.Tokens == nil:
		return nil, errors.New("trackerserver: RequireToken without Tokens")
	case o.ProxyProtocol && len(o.Proxies) == 0:
		return nil, errors.New("trackerserver: ProxyProtocol without Proxies")
	case o.MaxConns < 0 || o.Limit.Burst < 0:
		return nil, fmt.Errorf("trackerserver: negative limit (connections %d, burst %d)", o.MaxConns, o.Limit.Burst)
	}
	if o.AllowedDir != "" || o.AllowList != "" {
		o.OnlyAllowed = true
	}
	if o.MaxConns == 0 {
		o.MaxConns = DefaultMaxConns
	}
	if o.Key == (ConnKey{}) {
		o.Key = NewConnKey()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{store: store, opts: o, now: o.Now, log: o.Log, limit: newLimiter(o.Limit, o.Now()), proxies: canonicalNets(o.Proxies)}
	prefix := strings.TrimRight(o.Prefix, "/")
	if prefix != "" && prefix[0] != '/' {
		return nil, fmt.Errorf("trackerserver: prefix %q does not start with a slash", o.Prefix)
	}
	segments, err := weburl.Segments(prefix)
	if err != nil {
		return nil, fmt.Errorf("trackerserver: prefix %q: %w", o.Prefix, err)
	}
	s.prefix, s.prefixSegments = []byte(weburl.Encode(segments)), segments
	s.conns = httpconn.Options{
		Handler: httpHandler{s}, MaxPath: len(s.prefix) + 2*tokenLen, MaxConns: o.MaxConns, ProxyProtocol: o.ProxyProtocol,
		Now: o.Now, Log: o.Log, Counts: &s.connCounts,
	}
	if len(s.proxies) > 0 {
		s.conns.IsProxy = func(a netip.Addr) bool { return contains(s.proxies, a) }
	}
	if o.STUN {
		s.stun = new(stun.Server)
	}
	s.calls.New = func() any { return new(call) }
	s.shared = s.newCounters()
	if o.NATCheck != nil {
		nat, err := newNATChecker(*o.NATCheck, s)
		if err != nil {
			return nil, err
		}
		s.nat = nat
	}
	if s.sockets, err = newSockets(s); err != nil {
		return nil, err
	}
	if err := s.Reload(); err != nil {
		return nil, err
	}
	return s, nil
}

// Run does the background work of the tracker until ctx is done: it reads the files and
// the directory of the options again when they change, removes expired peers from the
// store, and checks peers for Options.NATCheck. At the end it disconnects the WebSocket
// clients. The error is always nil.
func (s *Server) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer s.sockets.close()
	wg.Go(func() { s.sweep(ctx) })
	if s.nat != nil {
		wg.Go(func() { s.nat.run(ctx) })
	}
	s.watch(ctx)
	return nil
}

// sweep removes expired peers. It examines all peers and swarms about once in two
// minutes.
func (s *Server) sweep(ctx context.Context) {
	const every, rounds = time.Second, 120
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			totals := s.store.Totals()
			s.store.Sweep(s.now(), (totals.Peers()+totals.Swarms)/rounds+1000)
		}
	}
}

// Store returns the store that the server was created with.
func (s *Server) Store() swarm.Store { return s.store }

// OnlyAllowed reports whether the tracker refuses torrents that are not allowed. It is
// Options.OnlyAllowed, or true if another option implies it.
func (s *Server) OnlyAllowed() bool { return s.opts.OnlyAllowed }

// call holds the data of one request. It is reused, so that requests allocate nothing.
type call struct {
	now       time.Time
	transport tracker.Transport
	from      netip.Addr // the client; behind a trusted proxy, the one that the proxy reported
	trusted   bool       // the address that the request claims is used
	token     []byte     // the token in the announce URL; empty if there is none
	user      string
	req       tracker.AnnounceRequest
	peer      netip.AddrPort
	want4     bool
	want6     bool
	hidden    bool // the peer is not stored, because NATCheck could not reach it
	handed    int  // number of offers that were handed to other peers (WebSocket)
	aside     bool // the peer announces over another transport too, which observers count

	swarm   swarm.Request
	reply   swarm.Reply
	note    *tracker.Note
	twice   bool    // the download was counted for the other info-hash of its torrent before
	limited Refusal // memory for a refusal by the rate limit
	seen    Announce

	observation tracker.Observation
	hashes      []spate.InfoHash // info-hashes of a scrape
	out         []byte           // the answer
}

// reset prepares c for a request from the address from.
func (c *call) reset(now time.Time, t tracker.Transport, from netip.Addr) {
	c.now, c.transport, c.from = now, t, from
	c.trusted = t != tracker.WebSocket && local(from)
	c.token, c.user, c.note, c.hidden = nil, "", nil, false
	c.peer = netip.AddrPort{}
}

// announce processes c.req for HTTP and UDP. It sets c.reply, or returns a refusal.
func (s *Server) announce(c *call) *Refusal {
	refusal := s.decide(c)
	if refusal == nil {
		c.swarm = swarm.Request{
			InfoHash: c.req.InfoHash, PeerID: c.req.PeerID, Key: c.req.Key, Addr: c.peer,
			Seed: c.req.Seed(), Seeking: seeking(&c.req), Blocked: starving(&c.req), Event: c.req.Event, NumWant: c.req.NumWant, Want4: c.want4, Want6: c.want6,
		}
		if s.nat != nil {
			s.nat.apply(c)
		}
		if err := s.store.Announce(c.now, &c.swarm, &c.reply); errors.Is(err, swarm.ErrAddr) && !c.hidden {
			refusal = refuseNoAddress // with swarm.ErrFull the reply is valid
		} else {
			s.ranges.note(c, s.store.Options().Expire)
		}
	}
	s.conclude(c, refusal)
	return refusal
}

// conclude reports an announce that was processed or refused.
func (s *Server) conclude(c *call, refusal *Refusal) {
	c.twice = refusal == nil && c.reply.Counted && c.note != nil && s.countedBefore(c.now, c.note.Pair, c.reply.Completed)
	if s.opts.AccessLog != nil || len(s.opts.Observers) > 0 {
		s.observe(c, refusal)
	}
}

// countedBefore reports whether the swarm of pair, the other info-hash of a torrent, has counted as
// many downloads as this swarm, so that the last one is in both.
func (s *Server) countedBefore(now time.Time, pair spate.InfoHash, completed uint32) bool {
	if pair.IsZero() {
		return false
	}
	_, _, other, _ := s.store.Scrape(now, pair)
	return other >= completed
}

// seeking reports whether a peer may need seeds although it reports 0 bytes left. aria2
// reports that while it has only a magnet link, and if it gets no seeds it waits until its
// next announce. When aria2 starts, it cannot be distinguished from one that has all the
// data; that one ignores the seeds.
func seeking(r *tracker.AnnounceRequest) bool {
	return r.Left == 0 && r.Downloaded == 0 && r.Event == tracker.EventStarted && r.PeerID[0] == 'A' && r.PeerID[1] == '2' && r.PeerID[2] == '-'
}

// starving reports whether a peer has received nothing since an earlier announce. Probably it can
// connect to no peer that it was told, or all of them connect to nobody.
func starving(r *tracker.AnnounceRequest) bool {
	return r.Event == tracker.EventNone && !r.Seed() && r.Downloaded == 0
}

// flush calls Options.Flush. It logs when that starts to fail and when it works again.
func (s *Server) flush() {
	if s.opts.Flush == nil {
		return
	}
	err := s.opts.Flush()
	failed := err != nil
	if s.unsaved.Swap(failed) == failed {
		return
	}
	if failed {
		s.log.Error("saving completed downloads failed: a crash before the next snapshot loses them", "error", err)
	} else {
		s.log.Info("completed downloads are saved again")
	}
}

// decide makes all checks of an announce, and sets c.peer and c.note.
func (s *Server) decide(c *call) *Refusal {
	if refusal := s.admit(c); refusal != nil {
		return refusal
	}
	if c.transport != tracker.WebSocket {
		c.peer = netip.AddrPortFrom(c.from, c.req.Port)
	}
	if c.trusted && c.req.IP.IsValid() && mayClaim(c.from, c.req.IP) {
		c.peer = netip.AddrPortFrom(c.req.IP, c.req.Port)
	}
	if c.transport != tracker.WebSocket && !connectable(c.peer.Addr()) {
		return refuseNoAddress
	}
	note, refusal := s.admission(&c.req.InfoHash)
	c.note = note
	if refusal != nil || len(s.opts.Policies) == 0 {
		return refusal
	}
	c.seen = Announce{Now: c.now, Transport: c.transport, Request: &c.req, From: c.from, Peer: c.peer, User: c.user}
	for _, p := range s.opts.Policies {
		if refusal := p(&c.seen); refusal != nil {
			return refusal
		}
	}
	return nil
}

// scrape returns the counts of a swarm. ok is false, and the counts are 0, if the swarm is
// unknown or its torrent is refused.
func (s *Server) scrape(now time.Time, ih spate.InfoHash) (seeders, leechers, completed uint32, ok bool) {
	if _, refusal := s.admission(&ih); refusal != nil {
		return 0, 0, 0, false
	}
	return s.store.Scrape(now, ih)
}

// intervals returns the intervals in the answer to a refused request, in seconds.
func (s *Server) intervals() (interval, min uint32) {
	o := s.store.Options()
	return inSeconds(o.Interval), inSeconds(max(o.MinInterval, o.Interval/6))
}

func inSeconds(d time.Duration) uint32 { return uint32(d / time.Second) }

// minutes returns d in minutes, the unit of BEP 31, rounded up.
func minutes(d time.Duration) uint32 { return uint32((d + time.Minute - 1) / time.Minute) }
