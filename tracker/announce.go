// Package tracker defines the announces, scrapes, events and failures that trackers and
// their clients exchange over any transport (BEP 3, 15, 21, 23, 24, 31, 48), and the
// reports about them to the logs and statistics of a tracker ([Observation], [Counts]).
// [spate/tracker/wire] encodes and decodes them, [spate/tracker/trackerclient] is the
// client and [spate/tracker/trackerserver] the server.
package tracker

import (
	"net/netip"
	"time"

	"spate"
)

// Unknown stands for a count that the tracker did not send. As a number of bytes left,
// it stands for a peer that has no metadata yet and cannot know it.
const Unknown = -1

// DefaultNumWant, as the number of peers wanted, lets the tracker choose.
const DefaultNumWant = -1

// AnnounceRequest is the announce of a peer to a tracker (BEP 3, BEP 15).
type AnnounceRequest struct {
	InfoHash spate.InfoHash
	PeerID   spate.PeerID
	// Port is the port on which the peer accepts connections. It is never 0.
	Port uint16
	// Uploaded and Downloaded are the bytes transferred since the event "started".
	Uploaded, Downloaded int64
	// Left is the number of bytes that the peer still has to download. A peer with 0
	// bytes left is a seed; a peer with [Unknown] is a leecher.
	Left  int64
	Event Event
	// NumWant is the number of peers wanted. A negative number lets the tracker choose.
	NumWant int
	// Key identifies the peer to the tracker if its address changes.
	Key uint32
	// IP is the address that the peer claims to have. If it is not valid, the tracker
	// uses the source address. A tracker believes IP only from trusted networks.
	IP netip.Addr
	// TrackerID is the tracker id of an earlier response. Only HTTP has it.
	TrackerID string
	// NotCompact asks for a list of dictionaries instead of a compact list (BEP 23).
	// Only HTTP has it.
	NotCompact bool
	// NoPeerID asks for dictionaries without peer ids. Only HTTP has it.
	NoPeerID bool
	// Ranges means that the peer serves ranges of the torrent to pages over HTTP at Port. Only HTTP
	// has it, and only trackers of spate understand it.
	Ranges bool
	// Twice means that the peer announces to the same tracker over HTTP or UDP too, or is an
	// origin there, and is counted for that. Only WebSocket has it, and only trackers of spate
	// understand it.
	Twice bool
}

// Seed reports whether the peer has nothing left to download.
func (r *AnnounceRequest) Seed() bool { return r.Left == 0 }

// MaxPeerNames bounds AnnounceResponse.PeerNames, because each costs a lookup.
const MaxPeerNames = 20

// AnnounceResponse is the response of a tracker to an announce.
type AnnounceResponse struct {
	// Interval is the time that the tracker asks the peer to wait before its next
	// regular announce; it is positive in every decoded response. MinInterval is the
	// minimum time between any two announces; 0 if the tracker sent none. A tracker may
	// send a minimum that is longer than the interval.
	Interval, MinInterval time.Duration
	// Complete and Incomplete are the numbers of seeds and leechers, and Downloaded is
	// the number of completed downloads. They are [Unknown] if the tracker did not send
	// them.
	Complete, Incomplete, Downloaded int
	// Peers are the addresses of both address families. An address can occur twice.
	Peers []netip.AddrPort
	// PeerNames are the peers that an HTTP tracker named by their DNS names, as host:port,
	// at most [MaxPeerNames]. A *trackerclient.Client adds their addresses to Peers.
	PeerNames []string
	// Warning is a message for the user. The announce succeeded nevertheless.
	Warning string
	// TrackerID must be sent with the next announce to this tracker, unless it is
	// empty.
	TrackerID string
	// ExternalIP is the address that the tracker saw as the source of the announce (BEP
	// 24). It is not valid if the tracker did not send it.
	ExternalIP netip.Addr
}
