package trackerserver

import (
	"net/netip"
	"time"

	"spate"
	"spate/tracker"
)

// Transport is how a request came.
type Transport uint8

// The transports.
const (
	HTTP Transport = iota
	UDP
	numTransports
)

// String returns "http" or "udp".
func (t Transport) String() string { return [...]string{"http", "udp"}[t] }

// Announce is an announce as a [Policy] sees it. It is valid during the call.
type Announce struct {
	Now       time.Time
	Transport Transport
	Request   *tracker.AnnounceRequest
	// From is the address that the request came from, behind named proxies.
	From netip.Addr
	// Peer is what the swarm will remember.
	Peer netip.AddrPort
	// User is the name that goes with the token of the request, if any.
	User string
}

// Policy decides whether an announce is answered: nil, or why not. It is called
// concurrently, for every announce, and must not block.
type Policy func(*Announce) *Refusal

// Scrapes says which scrapes are answered.
type Scrapes uint8

// The kinds of answers. The zero value is the one in the middle.
const (
	ScrapesNamed Scrapes = iota // those that name torrents
	ScrapesAll                  // also those that name none: with all torrents
	ScrapesNone                 // none
)

// Refusal is why an announce or a scrape is not answered, in words for the user
// of the client. A Policy may return the same one any number of times.
type Refusal struct {
	Reason string
	// RetryIn is the wait after which it makes sense to ask again, 0: not said;
	// Never that it does not (BEP 31).
	RetryIn time.Duration
	Never   bool
}

// Refusals of this package.
var (
	refuseUnknown   = &Refusal{Reason: "this torrent is not served by this tracker", Never: true}
	refuseDenied    = &Refusal{Reason: "this torrent is refused by this tracker", Never: true}
	refuseAddress   = &Refusal{Reason: "your address is not allowed to use this tracker", Never: true}
	refuseNoToken   = &Refusal{Reason: "this tracker needs your personal announce URL", Never: true}
	refuseToken     = &Refusal{Reason: "your announce URL is not valid or was revoked", Never: true}
	refuseScrape    = &Refusal{Reason: "this tracker does not answer scrapes", Never: true}
	refuseFull      = &Refusal{Reason: "this tracker does not tell all its torrents: ask for some", Never: true}
	refuseNoAddress = &Refusal{Reason: "your address cannot be told to others"}
)

// admit is the list of policies that every request passes before anything of the
// torrent is looked at.
func (s *Server) admit(c *call) *Refusal {
	if wait := s.limit.allow(c.now, c.from); wait > 0 {
		c.limited = Refusal{Reason: "too many requests from your network", RetryIn: wait}
		return &c.limited
	}
	if s.rules.Load().refuse(c.from) {
		return refuseAddress
	}
	if s.opts.Tokens != nil {
		return s.authorise(c)
	}
	return nil
}

// admitScrape is admit for a scrape.
func (s *Server) admitScrape(c *call) *Refusal {
	if refusal := s.admit(c); refusal != nil || s.opts.Scrapes != ScrapesNone {
		return refusal
	}
	return refuseScrape
}

// authorise finds the user of the request's token.
func (s *Server) authorise(c *call) *Refusal {
	if len(c.token) == 0 {
		if s.opts.RequireToken {
			return refuseNoToken
		}
		return nil
	}
	user, ok := s.opts.Tokens.Check(c.token)
	if !ok {
		return refuseToken
	}
	c.user = user
	return nil
}

// admission looks a torrent up: why it is refused, or its note, which may be nil.
func (s *Server) admission(ih *spate.InfoHash) (*Note, *Refusal) {
	a := s.allowed.get(ih)
	switch {
	case a == nil:
		if s.opts.OnlyAllowed {
			return nil, refuseUnknown
		}
		return s.remarked(ih, nil)
	case a.sources&fromDenied != 0:
		return nil, refuseDenied
	}
	n := a.note()
	if n != nil && n.Failure != "" {
		return n, &Refusal{Reason: n.Failure}
	}
	return s.remarked(ih, n)
}
