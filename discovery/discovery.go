// Package discovery defines the interface between a BitTorrent client and the sources that
// find peers for it. A source asks [Swarms] for the swarms of the client, and passes each
// peer that it finds to Swarms. *torrent.Session implements Swarms; package lsd is a source.
//
// A source usually has a constructor New(swarms, Options) and a method Run(ctx) that does the
// work. It needs only this package, not the engine.
package discovery

import (
	"net/netip"

	"spate"
)

// Swarms is the client as a source sees it. Its methods are safe for concurrent use and do
// not block.
type Swarms interface {
	// Swarms returns the swarms that the client is in, in no order: of torrents that
	// download or seed, of dormant seeds, and of magnet links whose metadata is not
	// known yet. A hybrid torrent is in two swarms.
	Swarms() []Swarm
	// AdvertisedPort returns the port at which peers on the internet can connect to the
	// client, or 0 if they cannot. It is another one than PeerPort if a router maps it to
	// PeerPort. It can change at any time.
	AdvertisedPort() uint16
	// PeerPort returns the port that the client listens on, or 0 if it does not listen.
	// Peers on the local network connect to it without the router.
	PeerPort() uint16
	// Found passes a peer of a swarm to the client. It reports whether the client is in
	// the swarm and accepts peers from the source: a private torrent accepts them only
	// from trackers (BEP 27). The client ignores an address that cannot be a peer or that
	// it knows already.
	Found(infoHash spate.InfoHash, peer Candidate, source Source) bool
}

// Swarm is a swarm that the client is in.
type Swarm struct {
	InfoHash spate.InfoHash
	// Private is true for a private torrent (BEP 27). Only trackers may learn that the
	// client is in the swarm.
	Private bool
	// Local is true if the local network may learn that the client is in the swarm. It
	// is false for every private torrent.
	Local bool
	// Seed is true if the client has every piece of the torrent (BEP 33).
	Seed bool
	// NeedsPeers is true if no connected peer is of use to the client: it downloads and none has
	// data for it, or it seeds and none is connected. A source should look for peers more often
	// then.
	NeedsPeers bool
}

// Candidate is a peer to which the client may connect.
type Candidate struct {
	// Addr is the address at which the peer accepts connections.
	Addr netip.AddrPort
	// Seed is true if the source says that the peer has every piece. It counts only for
	// an address that the client does not know yet, because it can be a lie.
	Seed bool
}

// Source is the way in which a candidate was found.
type Source uint8

// The sources of candidates.
const (
	Other   Source = iota // any other way
	Tracker               // BEP 3
	DHT                   // BEP 5
	PEX                   // BEP 11
	LSD                   // BEP 14
)

// String returns the source as a word for logs.
func (s Source) String() string {
	switch s {
	case Other:
		return "other"
	case Tracker:
		return "tracker"
	case DHT:
		return "dht"
	case PEX:
		return "pex"
	case LSD:
		return "lsd"
	}
	return "unknown"
}
