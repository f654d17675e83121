package wire

import (
	"errors"
	"net/netip"
	"strings"

	"spate"
	"spate/tracker"
)

// WebSocket trackers are those of WebTorrent: the clients and the tracker exchange JSON
// messages. A client announces with offers of WebRTC connections, the tracker hands each
// offer to another client of the swarm, and it hands the answer back. Info-hashes, peer
// ids and offer ids are strings of 20 characters, each of which stands for a byte.

// Limits of the messages of WebSocket trackers.
const (
	// MaxWSMessage is the length in bytes of the longest message that is parsed.
	MaxWSMessage = 64 << 10
	// MaxWSOffers is the number of offers in one announce at most.
	MaxWSOffers = 10
	// MaxWSRanges is the number of peers that serve ranges in one reply at most.
	MaxWSRanges = 8
	// MaxWSSDP is the length in bytes of the longest session description (RFC 8866) of an
	// offer or an answer.
	MaxWSSDP = 16 << 10
)

// The errors for bad messages. A tracker can send their texts as failure reasons.
var (
	ErrWSTooLarge = errors.New("the message is too large")
	ErrWSSyntax   = errors.New("the message is not the expected JSON")
	ErrWSAction   = errors.New("action is neither announce nor scrape")
	ErrWSOffers   = errors.New("more offers than one announce may have")
	ErrWSOffer    = errors.New("an offer or answer has no type, sdp or offer_id, or one that is not valid")
	ErrWSToPeer   = errors.New("to_peer_id is missing or not 20 bytes")
)

// WSAction is the kind of a message.
type WSAction uint8

// The values of [WSAction].
const (
	WSAnnounce WSAction = iota
	WSScrape
)

// String returns the name of the action in messages.
func (a WSAction) String() string { return [...]string{"announce", "scrape"}[a] }

// OfferID is a number that a client chooses for an offer at random. The answer has it too.
type OfferID [20]byte

// WSOffer is an offer of a WebRTC connection.
type WSOffer struct {
	ID OfferID
	// SDP is the session description. It is not empty.
	SDP string
}

// WSRequest is a message of a client to a WebSocket tracker: an announce with or without
// offers, an announce that only carries an answer, or a scrape.
type WSRequest struct {
	Action   WSAction
	InfoHash spate.InfoHash // the first of Hashes if Action is WSScrape
	PeerID   spate.PeerID   // not for scrapes
	// Uploaded, Downloaded, Left, Event and NumWant are as in [tracker.AnnounceRequest].
	Uploaded, Downloaded, Left int64
	Event                      tracker.Event
	NumWant                    int
	// TrackerID is the tracker id of an earlier reply; empty if there was none.
	TrackerID string
	// Twice means that the peer announces to the same tracker over HTTP or UDP too, or is an
	// origin there, and is counted for that. Only trackers of spate understand it.
	Twice bool
	// Ranges asks for the addresses of peers that serve ranges of the torrent over HTTP, as
	// WSReply.Ranges. Only trackers of spate understand it.
	Ranges bool
	// Offers are for other peers of the swarm, at most [MaxWSOffers].
	Offers []WSOffer

	// Answer is the session description of an answer to the offer AnswerTo of the peer
	// ToPeer. It is empty if the message carries no answer.
	Answer   string
	AnswerTo OfferID
	ToPeer   spate.PeerID

	// Hashes are the info-hashes of a scrape. If there are none, the scrape asks for all
	// swarms.
	Hashes []spate.InfoHash
}

// WSReply is a message of a WebSocket tracker to a client: the reply to an announce, an
// offer or an answer of another peer, or the reply to a scrape.
type WSReply struct {
	Action   WSAction
	InfoHash spate.InfoHash // zero if the tracker could not read that of the request
	// Failure is the reason of a refusal; empty if the request was accepted. RetryIn is
	// the time in minutes to wait before a retry; 0 if unknown. Never means that retries
	// will not succeed (BEP 31).
	Failure string
	RetryIn uint32
	Never   bool
	// Warning is a message for the user; usually empty.
	Warning string
	// TrackerID must be sent with the next announce, unless it is empty.
	TrackerID string

	// Interval and MinInterval are in seconds, as in [tracker.AnnounceResponse]; 0 if the
	// message has none. Only the replies to announces have an interval.
	Interval, MinInterval uint32
	// Complete, Incomplete and Downloaded are the counts of the swarm, with peers of all
	// transports. They are [tracker.Unknown] if the message has none.
	Complete, Incomplete, Downloaded int
	// Takers is the number of other peers of the swarm that could take offers. It is
	// [tracker.Unknown] if the message has none: only trackers of spate send it.
	Takers int
	// Ranges are peers that serve ranges of the torrent over HTTP, at most [MaxWSRanges]. Only
	// trackers of spate send it.
	Ranges []netip.AddrPort

	// Offer or Answer is the session description of an offer or an answer; both are empty in
	// other messages. OfferID is its number and PeerID the peer that sent it.
	Offer, Answer string
	OfferID       OfferID
	PeerID        spate.PeerID

	// Entries are the swarms in the reply to a scrape.
	Entries []tracker.ScrapeEntry
}

// ParseWSRequest parses a message of a client into r. It sets all fields of r, reuses its
// slices, and keeps no reference to b. It ignores unknown keys; if a key is repeated, the
// last one counts. If left is missing, null or negative, r.Left is [tracker.Unknown]. After an
// error, r has what was parsed before it: r.InfoHash is zero if that was not.
func ParseWSRequest(b []byte, r *WSRequest) error {
	*r = WSRequest{Left: tracker.Unknown, NumWant: tracker.DefaultNumWant, Offers: r.Offers[:0], Hashes: r.Hashes[:0]}
	if len(b) > MaxWSMessage {
		return ErrWSTooLarge
	}
	p := wsParser{in: b}
	var has wsKeys
	p.object(func(key []byte) { p.requestField(r, &has, string(key)) })
	switch {
	case p.end() != nil:
		return p.err
	case !has.action:
		return ErrWSAction
	case r.Action == WSScrape:
		r.Hashes = append(r.Hashes, p.hashes...)
		return nil
	case len(p.hashes) == 0:
		return ErrNoInfoHash
	case len(p.hashes) > 1 || has.list:
		return ErrManyHashes
	}
	r.InfoHash = p.hashes[0]
	switch {
	case !has.peerID:
		return ErrNoPeerID
	case r.Answer != "" && !has.offerID:
		return ErrWSOffer
	case r.Answer != "" && !has.toPeer:
		return ErrWSToPeer
	}
	return nil
}

// wsKeys are the keys that were present in a message and not null.
type wsKeys struct{ action, list, peerID, offerID, toPeer bool }

func (p *wsParser) requestField(r *WSRequest, has *wsKeys, key string) {
	switch key {
	case "action":
		has.action = p.action(&r.Action)
	case "info_hash":
		has.list = p.infoHashes()
		if len(p.hashes) > 0 {
			r.InfoHash = p.hashes[0]
		}
	case "peer_id":
		has.peerID = p.bytes20((*[20]byte)(&r.PeerID), ErrPeerID)
	case "uploaded":
		r.Uploaded = max(p.number(0), 0)
	case "downloaded":
		r.Downloaded = max(p.number(0), 0)
	case "left":
		r.Left = max(p.number(tracker.Unknown), tracker.Unknown)
	case "numwant":
		r.NumWant = int(max(min(p.number(tracker.DefaultNumWant), 1<<30), tracker.DefaultNumWant))
	case "event":
		r.Event = p.event()
	case "twice":
		r.Twice = p.boolean()
	case "ranges":
		r.Ranges = p.boolean()
	case "trackerid":
		r.TrackerID = p.text(maxText)
	case "offers":
		r.Offers = r.Offers[:0]
		p.array(func() { p.offer(r) })
	case "answer":
		r.Answer = p.description("answer")
	case "offer_id":
		has.offerID = p.bytes20((*[20]byte)(&r.AnswerTo), ErrWSOffer)
	case "to_peer_id":
		has.toPeer = p.bytes20((*[20]byte)(&r.ToPeer), ErrWSToPeer)
	default:
		p.skip(0)
	}
}

// action parses the value of action.
func (p *wsParser) action(a *WSAction) bool {
	switch p.text(16) {
	case "announce":
		*a = WSAnnounce
	case "scrape":
		*a = WSScrape
	default:
		p.fail(ErrWSAction)
		return false
	}
	return true
}

// infoHashes parses the value of info_hash, which is a string or, in a scrape, a list of
// strings, into p.hashes.
func (p *wsParser) infoHashes() (list bool) {
	p.hashes = p.hashes[:0]
	one := func() {
		var h spate.InfoHash
		if p.bytes20((*[20]byte)(&h), ErrInfoHash) {
			if len(p.hashes) == tracker.MaxScrapeUDP {
				p.fail(ErrManyHashes)
				return
			}
			p.hashes = append(p.hashes, h)
		}
	}
	if p.peek() == '[' {
		p.array(one)
		return true
	}
	one()
	return false
}

// event parses the value of event. WebTorrent calls a regular announce "update".
func (p *wsParser) event() tracker.Event {
	name := p.text(16)
	if name == "update" {
		return tracker.EventNone
	}
	e, err := parseEvent([]byte(name))
	if err != nil {
		p.fail(err)
	}
	return e
}

// offer parses an element of offers.
func (p *wsParser) offer(r *WSRequest) {
	if len(r.Offers) == MaxWSOffers {
		p.fail(ErrWSOffers)
		return
	}
	var o WSOffer
	id := false
	p.object(func(key []byte) {
		switch string(key) {
		case "offer":
			o.SDP = p.description("offer")
		case "offer_id":
			id = p.bytes20((*[20]byte)(&o.ID), ErrWSOffer)
		default:
			p.skip(0)
		}
	})
	if o.SDP == "" || !id {
		p.fail(ErrWSOffer)
		return
	}
	r.Offers = append(r.Offers, o)
}

// notInSDP reports whether c is a control character that no session description has (RFC 8866,
// section 9). Its JSON form would be six times as long for those who receive it.
func notInSDP(c rune) bool { return c < ' ' && c != '\r' && c != '\n' && c != '\t' || c == 0x7f }

// description parses the object of an offer or answer and returns its session description.
// It returns an empty string for null.
func (p *wsParser) description(kind string) (sdp string) {
	if p.null() {
		return ""
	}
	typed := false
	p.object(func(key []byte) {
		switch string(key) {
		case "type":
			typed = p.text(16) == kind
		case "sdp":
			sdp = p.text(MaxWSSDP)
			if strings.ContainsFunc(sdp, notInSDP) {
				p.fail(ErrWSOffer)
			}
		default:
			p.skip(0)
		}
	})
	if !typed || sdp == "" {
		p.fail(ErrWSOffer)
	}
	return sdp
}
