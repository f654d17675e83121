package trackerserver

import (
	"net/netip"
	"time"

	"spate"
	"spate/tracker"
)

// Announce is the argument of a [Policy]. It and everything it points to is valid only
// during the call.
type Announce struct {
	Now       time.Time
	Transport tracker.Transport
	Request   *tracker.AnnounceRequest
	// From is the address of the client. Behind a trusted proxy it is the address that
	// the proxy reported.
	From netip.Addr
	// Peer is the address that the swarm will store. It is not valid for an announce over
	// WebSocket, because such a peer has no address that others could connect to.
	Peer netip.AddrPort
	// User is the user whose token the request had; empty if it had none.
	User string
}

// Policy decides about an announce that has passed all other checks. It returns nil to
// accept it. It is called concurrently for each announce and must not wait.
type Policy func(*Announce) *Refusal

// Scrapes selects the scrapes that a tracker answers.
type Scrapes uint8

// The values of [Scrapes].
const (
	ScrapesNamed Scrapes = iota // scrapes that name torrents
	ScrapesAll                  // also scrapes without info-hashes, which get all torrents
	ScrapesNone                 // no scrapes
)

// Refusal is the reason for which a request is refused. A Policy may return the same
// Refusal many times; it must not be changed after that.
type Refusal struct {
	// Reason is shown to the user of the client. It must not be empty.
	Reason string
	// RetryIn is the time after which the client should try again. Never means that it
	// should not (BEP 31). If both are zero, the answer has the announce interval.
	RetryIn time.Duration
	Never   bool
}

// The refusals of this package.
var (
	refuseUnknown   = &Refusal{Reason: "this torrent is not served by this tracker", Never: true}
	refuseDenied    = &Refusal{Reason: "this torrent is refused by this tracker", Never: true}
	refuseAddress   = &Refusal{Reason: "your address is not allowed to use this tracker", Never: true}
	refuseNoToken   = &Refusal{Reason: "this tracker needs your personal announce URL", Never: true}
	refuseToken     = &Refusal{Reason: "your announce URL is not valid or was revoked", Never: true}
	refuseScrape    = &Refusal{Reason: "this tracker does not answer scrapes", Never: true}
	refuseFull      = &Refusal{Reason: "this tracker does not list all its torrents: name some", Never: true}
	refuseNoAddress = &Refusal{Reason: "your address cannot be used by other peers"}
)

// admit makes the checks of each request that do not depend on the torrent.
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

// admitScrape is like admit, for a scrape.
func (s *Server) admitScrape(c *call) *Refusal {
	if refusal := s.admit(c); refusal != nil || s.opts.Scrapes != ScrapesNone {
		return refusal
	}
	return refuseScrape
}

// authorise checks the token of a request and sets c.user.
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

// admission returns the note of a torrent, which may be nil, and the reason if it is
// refused.
func (s *Server) admission(ih *spate.InfoHash) (*tracker.Note, *Refusal) {
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
