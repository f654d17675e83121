// Package trackerserver is a tracker: announces and scrapes over HTTP and UDP
// (BEP 3, 7, 15, 21, 23, 24, 31, 41, 48) in front of a [swarm.Table].
//
// A [Server] decides who is answered; the table remembers. The way of a request,
// in the order of the files: http.go, fast.go or udp.go parse it; policy.go,
// allow.go, token.go and limit.go say whether it is answered; server.go asks the
// table; the first again write the reply; observe.go tells who wants to know.
package trackerserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"spate"
	"spate/tracker"
	"spate/tracker/swarm"
)

// Options are the settings of a [Server]. The zero value is an open tracker.
type Options struct {
	// OnlyAllowed refuses torrents that none of Server.Allow, AllowedDir and
	// AllowList name. AllowedDir and AllowList imply it.
	OnlyAllowed bool
	// AllowedDir is a directory whose .torrent files, subdirectories included,
	// are allowed. It is watched while Run runs.
	AllowedDir string
	// FollowLinks reads .torrent files of AllowedDir that are links to files outside
	// it. Without it they are refused, because somebody else may write there.
	FollowLinks bool
	// AllowList and DenyList are files with an info-hash in hexadecimal on each
	// line, then, if any, the torrent's name. They are read again when they
	// change, while Run runs. What is denied is refused whoever allows it.
	AllowList, DenyList string
	// Notes is a file with an info-hash, the word "warning" or "failure" and a
	// text on each line: what those who announce that torrent are told, with the
	// answer or instead of it. It allows nothing, and is read again as the lists.
	Notes string
	// Tokens are users with announce URLs of their own. RequireToken refuses
	// requests without a token; one that is not valid is refused always. Their
	// file is read again when it changes, while Run runs.
	Tokens       *Tokens
	RequireToken bool
	// AllowNets, unless empty, are the only networks that are answered; DenyNets
	// are not answered. Nets is a file with more of both: the word "allow" or
	// "deny" and a network or address on each line. It is read again as the lists.
	AllowNets, DenyNets []netip.Prefix
	Nets                string
	// Policies are asked last, in order.
	Policies []Policy
	// Limit bounds the rate of requests from one network.
	Limit RateLimit

	// Proxies are the networks whose X-Forwarded-For is believed and, with
	// ProxyProtocol, whose connections begin with a header of the PROXY protocol.
	Proxies       []netip.Prefix
	ProxyProtocol bool
	// Prefix is a path that may come before those of announces and scrapes, such
	// as /bt where a proxy has the tracker at http://example.org/bt/.
	Prefix string
	// Key makes connection ids; zero: a random one.
	Key ConnKey
	// Scrapes says which scrapes are answered.
	Scrapes Scrapes
	// MaxConns bounds the connections of a Listener, 0: [DefaultMaxConns].
	MaxConns int
	// NATCheck dials peers back before others are told of them: see [NATCheck].
	NATCheck *NATCheck

	// Log is for what an operator should know; nil: discarded.
	Log *slog.Logger
	// AccessLog gets a record of every announce; nil: none. Its handler must not
	// block for long.
	AccessLog *slog.Logger
	// Observe is told of every announce; it must not block, and what it is given
	// is valid during the call.
	Observe func(*Observation)
	// Flush, unless nil, is called before an announce that counted a completion
	// is answered, once for all that are answered together: it makes sure that
	// the count is not forgotten. An error is logged, and the answer sent.
	Flush func() error
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// DefaultMaxConns is the default of Options.MaxConns.
const DefaultMaxConns = 8192

// Server is a tracker. Its methods may be called concurrently.
type Server struct {
	table   *swarm.Table
	opts    Options
	now     func() time.Time
	log     *slog.Logger
	limit   *limiter
	rules   atomic.Pointer[addressRules]
	proxies []netip.Prefix
	prefix  []byte // as /bt, or empty
	nat     *natChecker

	changing sync.Mutex // held while allowed and the table's protection change together
	allowed  allowSet
	lists    lists
	remarks  atomic.Pointer[map[spate.InfoHash]remark] // of Options.Notes, or nil

	counts   []*counters // guarded by countsMu; its elements are not
	countsMu sync.Mutex
	shared   *counters   // of HTTP
	calls    sync.Pool   // of *call
	unsaved  atomic.Bool // Options.Flush failed last time
}

// New returns a tracker in front of table. It reads the allowed directory and
// the lists once; Run keeps them up to date.
func New(table *swarm.Table, o Options) (*Server, error) {
	switch {
	case table == nil:
		return nil, errors.New("trackerserver: no table")
	case o.RequireToken && o.Tokens == nil:
		return nil, errors.New("trackerserver: RequireToken without Tokens")
	case o.ProxyProtocol && len(o.Proxies) == 0:
		return nil, errors.New("trackerserver: ProxyProtocol without Proxies")
	case o.MaxConns < 0 || o.Limit.Burst < 0:
		return nil, errors.New("trackerserver: negative limit")
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
	s := &Server{table: table, opts: o, now: o.Now, log: o.Log, limit: newLimiter(o.Limit, o.Now()), proxies: canonicalNets(o.Proxies)}
	if s.prefix = []byte(strings.TrimRight(o.Prefix, "/")); len(s.prefix) > 0 && s.prefix[0] != '/' {
		return nil, fmt.Errorf("trackerserver: prefix %q does not begin with a slash", o.Prefix)
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
	if err := s.Reload(); err != nil {
		return nil, err
	}
	return s, nil
}

// Run does what a tracker does beside answering, until ctx is done: it watches
// the allowed directory and the lists, and takes expired peers out of the table.
func (s *Server) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	wg.Go(func() { s.sweep(ctx) })
	if s.nat != nil {
		wg.Go(func() { s.nat.run(ctx) })
	}
	return s.watch(ctx)
}

// sweep looks at all peers and torrents about once in two minutes.
func (s *Server) sweep(ctx context.Context) {
	const every, round = time.Second, 120
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			totals := s.table.Totals()
			s.table.Sweep(s.now(), (totals.Peers()+totals.Swarms)/round+1000)
		}
	}
}

// Table returns the table that the server was made with.
func (s *Server) Table() *swarm.Table { return s.table }

// call is one request on its way, with everything that it needs; it is used
// again for the next.
type call struct {
	now       time.Time
	transport Transport
	from      netip.Addr // where the request came from
	trusted   bool       // it may say its own address
	token     []byte     // from the announce URL
	user      string
	req       tracker.AnnounceRequest
	peer      netip.AddrPort
	want4     bool
	want6     bool
	hidden    bool // others are not told of the peer

	swarm   swarm.Request
	reply   swarm.Reply
	note    *Note
	limited Refusal // memory for a refusal
	seen    Announce

	observation Observation      // memory for one
	hashes      []spate.InfoHash // of a scrape
	out         []byte
}

// reset prepares c for a request from an address.
func (c *call) reset(now time.Time, t Transport, from netip.Addr) {
	c.now, c.transport, c.from = now, t, from
	c.trusted = local(from)
	c.token, c.user, c.note, c.hidden = nil, "", nil, false
	c.peer = netip.AddrPort{}
}

// announce answers c.req into c.reply, or says why not. It is where all
// transports meet.
func (s *Server) announce(c *call) *Refusal {
	refusal := s.decide(c)
	if refusal == nil {
		c.swarm = swarm.Request{
			InfoHash: c.req.InfoHash, PeerID: c.req.PeerID, Key: c.req.Key, Addr: c.peer,
			Seed: c.req.Seed(), Seeking: seeking(&c.req), Event: c.req.Event, NumWant: c.req.NumWant, Want4: c.want4, Want6: c.want6,
		}
		if s.nat != nil {
			s.nat.apply(c)
		}
		if err := s.table.Announce(c.now, &c.swarm, &c.reply); err == swarm.ErrAddr && !c.hidden {
			refusal = refuseNoAddress // with a table that is full the reply is good
		}
	}
	if s.opts.AccessLog != nil || s.opts.Observe != nil {
		s.observe(c, refusal)
	}
	return refusal
}

// seeking reports whether a peer may need seeds though it says that nothing is
// left. aria2 says so while it has but a magnet link, and waits for the next
// announce if it is told of no seed then. As it starts it cannot be told from an
// aria2 that has everything, which a few seeds in the answer do not harm.
func seeking(r *tracker.AnnounceRequest) bool {
	return r.Left == 0 && r.Downloaded == 0 && r.Event == tracker.EventStarted && r.PeerID[0] == 'A' && r.PeerID[1] == '2' && r.PeerID[2] == '-'
}

// flush makes sure that completions that were counted are not forgotten.
func (s *Server) flush() {
	if s.opts.Flush == nil {
		return
	}
	err := s.opts.Flush()
	if was := s.unsaved.Swap(err != nil); was == (err != nil) {
		return // told already
	}
	if err != nil {
		s.log.Error("completions are not saved until the next snapshot", "error", err)
	} else {
		s.log.Info("completions are saved again")
	}
}

// decide runs the policies over c and finds the address of its peer.
func (s *Server) decide(c *call) (refusal *Refusal) {
	if refusal = s.admit(c); refusal != nil {
		return refusal
	}
	c.peer = netip.AddrPortFrom(c.from, c.req.Port)
	if c.trusted && c.req.IP.IsValid() && mayClaim(c.req.IP) {
		c.peer = netip.AddrPortFrom(c.req.IP, c.req.Port)
	}
	if !connectable(c.peer.Addr()) {
		return refuseNoAddress
	}
	if c.note, refusal = s.admission(&c.req.InfoHash); refusal != nil || len(s.opts.Policies) == 0 {
		return refusal
	}
	c.seen = Announce{Now: c.now, Transport: c.transport, Request: &c.req, From: c.from, Peer: c.peer, User: c.user}
	for _, p := range s.opts.Policies {
		if refusal = p(&c.seen); refusal != nil {
			return refusal
		}
	}
	return nil
}

// scrape returns the counts of a swarm; zeros for one that is unknown or not
// allowed. ok tells the two apart.
func (s *Server) scrape(now time.Time, ih spate.InfoHash) (seeders, leechers, completed uint32, ok bool) {
	if _, refusal := s.admission(&ih); refusal != nil {
		return 0, 0, 0, false
	}
	return s.table.Scrape(now, ih)
}

// intervals are what a failure says beside its reason.
func (s *Server) intervals() (interval, min uint32) {
	o := s.table.Options()
	return inSeconds(o.Interval), inSeconds(o.MinInterval)
}

func inSeconds(d time.Duration) uint32 { return uint32(d / time.Second) }

// addrOf is the canonical address of a connection's other end; not valid for
// one that is no IP.
func addrOf(a net.Addr) netip.Addr {
	switch a := a.(type) {
	case *net.TCPAddr:
		return a.AddrPort().Addr().Unmap().WithZone("")
	case *net.UDPAddr:
		return a.AddrPort().Addr().Unmap().WithZone("")
	case nil:
		return netip.Addr{}
	}
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap().WithZone("")
}

// minutes is d in the unit of BEP 31, rounded up.
func minutes(d time.Duration) uint32 { return uint32((d + time.Minute - 1) / time.Minute) }

// errClosed is what ends the loops that serve a socket when their context does.
func closedBy(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("tracker: %w", err)
}
