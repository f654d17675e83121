// Package metafetch assembles the info dictionary of a magnet link from the pieces
// that peers give (BEP 9).
//
// Each peer is asked for the whole dictionary, piece by piece in order, so that
// exactly one peer answers for a dictionary that does not match the hashes. The size
// that a peer names reserves no memory, and the bytes that all peers together gave
// are bounded.
//
// A [Fetch] and its peers are plain data: no lock, no clock, no goroutine, no socket.
// The caller holds one lock around every call except [Hashes.Match], which reads up
// to 16 MiB, and writes to the peers what [Peer.Receive] returns.
package metafetch

import (
	"crypto/sha1"
	"crypto/sha256"

	"spate"
	"spate/peerwire"
)

// Bounds of a Fetch.
const (
	requestsAhead = 4                        // pieces that one peer is asked for at once
	maxUnverified = 2 * peerwire.MaxMetadata // bytes of metadata that all peers together gave and that match no hash yet
	maxBacklog    = 256 << 10                // bytes of other messages of one peer: a bitfield of two million pieces, or many haves
	maxBacklogs   = 4 << 20                  // bytes of other messages of all peers together
)

// Hashes are the info-hashes of a magnet link. One of them may be zero, which means
// that the link does not name it.
type Hashes struct {
	V1 spate.InfoHash
	V2 spate.InfoHashV2
}

// Hybrid reports whether the link names both hashes.
func (h Hashes) Hybrid() bool { return !h.V1.IsZero() && !h.V2.IsZero() }

// Swarms returns the hashes by which peers may ask for the torrent.
func (h Hashes) Swarms() []spate.InfoHash {
	switch {
	case h.Hybrid():
		return []spate.InfoHash{h.V1, h.V2.Truncate()}
	case h.V2.IsZero():
		return []spate.InfoHash{h.V1}
	}
	return []spate.InfoHash{h.V2.Truncate()}
}

// Accepts reports whether a peer may answer the handshake by ih, although it was asked
// by another hash. A peer that knows both hashes of a hybrid answers by the v2 hash
// (BEP 52), which the link need not name: [Hashes.Match] checks the metadata by the
// hashes that it does name.
func (h Hashes) Accepts(ih spate.InfoHash) bool {
	return h.V2.IsZero() || ih == h.V2.Truncate()
}

// Match reports whether raw has every hash that the link names.
func (h Hashes) Match(raw []byte) bool {
	if !h.V1.IsZero() && sha1.Sum(raw) != h.V1 {
		return false
	}
	return h.V2.IsZero() || sha256.Sum256(raw) == h.V2
}

// Fetch is one search for metadata. Make one with [New].
type Fetch struct {
	number     uint8         // of our metadata messages in the extension handshake
	unverified map[*Peer]int // bytes of metadata that each peer gave
	backlogs   int           // bytes of other messages that are kept
}

// New returns a Fetch without peers. number is the message number that peers use for
// metadata, as our extension handshake assigns it (BEP 10).
func New(number uint8) *Fetch {
	return &Fetch{number: number, unverified: map[*Peer]int{}}
}

// Join adds a peer that supports extensions.
func (f *Fetch) Join() *Peer { return &Peer{f: f} }

// Leave removes a peer and frees the bytes that it gave. A backlog that was taken stays
// counted.
func (f *Fetch) Leave(p *Peer) {
	delete(f.unverified, p)
	f.backlogs -= len(p.backlog)
	p.backlog, p.backlogLost = nil, true
}

// add counts n more bytes of metadata from a peer. If all peers together gave too
// much, it returns the peer that gave most, to be dropped: metadata is small as a rule.
func (f *Fetch) add(p *Peer, n int) (drop *Peer) {
	f.unverified[p] += n
	total, most := 0, p
	for o, m := range f.unverified {
		total += m
		if m > f.unverified[most] {
			most = o
		}
	}
	if total <= maxUnverified {
		return nil
	}
	delete(f.unverified, most)
	most.dropped = true
	return most
}
