// Package tracker is what a tracker and its clients say to each other, whatever
// the transport: announces, scrapes, events and failures (BEP 3, 15, 21, 23,
// 24, 31, 48). The bytes on the wire are those of [spate/tracker/wire]; the two
// ends are [spate/tracker/trackerclient] and [spate/tracker/trackerserver].
package tracker

import (
	"net/netip"
	"time"

	"spate"
)

// Unknown is the count that a tracker did not say, and the number of bytes left
// of a peer that does not know it yet (a magnet link without its metadata).
const Unknown = -1

// DefaultNumWant asks the tracker for as many peers as it thinks right.
const DefaultNumWant = -1

// AnnounceRequest is what a peer tells a tracker about itself (BEP 3, BEP 15).
// It is plain data; the codecs neither keep nor share it.
type AnnounceRequest struct {
	InfoHash spate.InfoHash
	PeerID   spate.PeerID
	// Port is the port on which the peer accepts connections, never 0.
	Port uint16
	// Uploaded and Downloaded are bytes since the event "started".
	Uploaded, Downloaded int64
	// Left is the number of bytes that the peer still wants; 0 makes it a seed,
	// [Unknown] is a leecher.
	Left  int64
	Event Event
	// NumWant is the number of peers wanted; negative: the tracker's default.
	NumWant int
	// Key proves that an announce from another address is the same peer.
	Key uint32
	// IP is the address that the peer claims to have; not valid: that of its
	// packets. A tracker believes it from a trusted network only.
	IP netip.Addr
	// TrackerID is what the tracker gave in an earlier answer (HTTP only).
	TrackerID string
	// NotCompact asks for a list of dictionaries instead of BEP 23 (HTTP only).
	NotCompact bool
	// NoPeerID says that the dictionaries need no peer ids (HTTP only).
	NoPeerID bool
}

// Seed reports whether the peer says that it wants nothing more.
func (r *AnnounceRequest) Seed() bool { return r.Left == 0 }

// AnnounceResponse is a tracker's answer to an announce.
type AnnounceResponse struct {
	// Interval is the wait that the tracker asks for before the next regular
	// announce; always positive in an answer that was decoded. MinInterval is
	// the shortest wait before any announce, 0 where the tracker said none.
	Interval, MinInterval time.Duration
	// Complete and Incomplete count seeds and leechers, Downloaded the completed
	// downloads; [Unknown] where the tracker did not say.
	Complete, Incomplete, Downloaded int
	// Peers are of both address families, without duplicates removed.
	Peers []netip.AddrPort
	// Warning is for the user; the answer is good all the same.
	Warning string
	// TrackerID is to be sent back in the next announce to this tracker.
	TrackerID string
	// ExternalIP is the address from which the tracker saw the request (BEP 24);
	// not valid where it did not say.
	ExternalIP netip.Addr
}
