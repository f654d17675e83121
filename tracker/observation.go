package tracker

import (
	"net/netip"
	"time"

	"spate"
)

// Transport is the protocol over which a request reached a tracker.
type Transport uint8

// The transports of trackers: HTTP (BEP 3), UDP (BEP 15), and WebSocket as WebTorrent uses it.
// HTTP and WebSocket can be encrypted.
const (
	HTTP Transport = iota
	UDP
	WebSocket
	NumTransports // the number of transports
)

// String returns "http", "udp" or "websocket".
func (t Transport) String() string { return [...]string{"http", "udp", "websocket"}[t] }

// Observation is an announce and its outcome, as a tracker reports it to its logs and
// its statistics. It and everything it points to is valid only during the call that
// receives it.
type Observation struct {
	Time      time.Time
	Transport Transport
	Request   *AnnounceRequest
	// From is the address of the client. Behind a trusted proxy it is the address that
	// the proxy reported.
	From netip.Addr
	// Peer is the address that the swarm stores. It is not valid if the request was
	// refused before the tracker chose an address, or came over WebSocket, because such a
	// peer has no address that others could connect to.
	Peer netip.AddrPort
	// User is the user whose token the request had; empty if it had none.
	User string
	// Name is the name of the torrent; empty if the tracker does not know it.
	Name string
	// Release is that of the [Note] of the torrent.
	Release spate.InfoHash
	// Refused means that the announce was refused. Reason is the failure reason in the
	// answer, and the fields below are zero.
	Refused bool
	Reason  string
	// Seeders, Leechers and Completed are the counts of the swarm in the answer, and
	// Peers is the number of addresses in it, or of peers that got an offer of this one.
	Seeders, Leechers, Completed uint32
	Peers                        int
	// Counted means that the announce was counted as a completed download.
	Counted bool
	// New means that the peer was not in the swarm before.
	New bool
	// Moved means that a leecher became a seed.
	Moved bool
	// Removed means that the peer left the swarm.
	Removed bool
}

// Addr returns the address of the peer: that of Peer, or From if the peer has none.
func (o *Observation) Addr() netip.Addr {
	if o.Peer.IsValid() {
		return o.Peer.Addr()
	}
	return o.From
}

// Counts are the numbers of requests that a tracker has handled since it was created.
type Counts struct {
	// Announces and Scrapes are the answered requests by transport. Announces4 and
	// Announces6 are the announces by the address family of the client.
	Announces, Scrapes     [NumTransports]uint64
	Announces4, Announces6 uint64
	// Refused are the requests that were answered with a reason for their refusal.
	// Limited are those of them that exceeded the rate limit of their network.
	Refused, Limited uint64
	// Malformed are the requests that could not be parsed.
	Malformed uint64
	// Unproved are the UDP requests without a valid connection id (BEP 15), which were
	// not answered. Connects are the connection ids that were issued.
	Unproved, Connects uint64
	// Dropped are the answers that did not fit into the send buffer of a socket.
	Dropped uint64
	// Overflowed are the connections that were closed at once because the limit was
	// reached. Ended are the connections that were closed so that another one could be
	// accepted.
	Overflowed, Ended uint64
	// Events are the answered announces by event.
	Events [EventPaused + 1]uint64
	// Completed are the completed downloads that were counted.
	Completed uint64
	// Peers is the number of peer addresses in all answers.
	Peers uint64
	// Sockets is the number of WebSocket connections that are open now. Offers and Answers
	// are the offers and answers of WebRTC connections that were handed to other peers.
	Sockets, Offers, Answers uint64
	// STUN is the number of answered STUN requests.
	STUN uint64
}

// Note describes a torrent that a tracker allows.
type Note struct {
	Name string
	Size int64 // size of the data in bytes; 0 if unknown
	// Pair is the other info-hash of a hybrid torrent (BEP 52), which has two swarms;
	// zero for other torrents.
	Pair spate.InfoHash
	// Release is the main info-hash of a release that has several swarms, which statistics count as
	// one: a hybrid torrent, or several torrents with the same data. It is zero for a torrent alone.
	Release spate.InfoHash
	// Torrent is the path of the .torrent file; empty if there is none.
	Torrent string
	// Warning is sent as the warning message of each answer to an announce. If Failure
	// is not empty, announces are refused with it as the reason.
	Warning, Failure string
}
