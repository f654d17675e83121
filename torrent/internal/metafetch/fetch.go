// Package metafetch assembles the info dictionary of a magnet link from the pieces
// that peers give (BEP 9).
//
// Each peer is asked for the whole dictionary, piece by piece in order, so that
// exactly one peer is to blame for a dictionary that does not match the hashes. The
// size that a peer claims reserves no memory, and the total of the bytes from all
// peers is bounded.
//
// A [Fetch] and its peers are plain data: no lock, no clock, no goroutine, no socket.
// The caller holds one lock around every call except [Hashes.Match], which hashes up to
// 256 MB. The caller writes the bytes that [Peer.Receive] returns to the peers.
package metafetch

import (
	"crypto/sha1"
	"crypto/sha256"

	"spate"
	"spate/metainfo"
)

// Bounds of a Fetch.
const (
	requestsAhead = 4                             // pieces that one peer is asked for at once
	maxBacklog    = metainfo.MaxPieces/8 + 64<<10 // bytes of other messages of one peer: the largest bitfield, or many haves
	maxBacklogs   = 8 * maxBacklog                // bytes of other messages of all peers together

	// MaxUnverified bounds the bytes of metadata from all peers that were not checked against
	// a hash yet: the largest metadata of one peer, and 64 MB of others beside it.
	MaxUnverified = metainfo.MaxSize + 64_000_000
)

// Hashes are the info-hashes of a magnet link. One of them may be zero, which means
// that the link does not name it.
type Hashes struct {
	V1 spate.InfoHash
	V2 spate.InfoHashV2
}

// Hybrid reports whether the link names both hashes.
func (h Hashes) Hybrid() bool { return !h.V1.IsZero() && !h.V2.IsZero() }

// Swarms returns the info-hashes of the swarms in which peers may ask for the torrent.
func (h Hashes) Swarms() []spate.InfoHash {
	switch {
	case h.Hybrid():
		return []spate.InfoHash{h.V1, h.V2.Truncate()}
	case h.V2.IsZero():
		return []spate.InfoHash{h.V1}
	}
	return []spate.InfoHash{h.V2.Truncate()}
}

// Accepts reports whether a peer may answer with the info-hash ih a handshake that had
// another one. A peer that knows both hashes of a hybrid answers with the v2 hash (BEP 52),
// even if the link does not name it. [Hashes.Match] later checks the metadata by the hashes
// that the link names.
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
	number     uint8         // message number of metadata in our extension handshake
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

// Leave removes a peer and frees the bytes that it sent. A backlog that was taken still
// counts.
func (f *Fetch) Leave(p *Peer) {
	delete(f.unverified, p)
	f.backlogs -= len(p.backlog)
	p.backlog, p.backlogLost = nil, true
}

// add counts n more bytes of metadata from a peer. If the total of all peers is too large,
// it returns the peer that sent most, which the caller drops.
func (f *Fetch) add(p *Peer, n int) (drop *Peer) {
	f.unverified[p] += n
	total, most := 0, p
	for o, m := range f.unverified {
		total += m
		if m > f.unverified[most] {
			most = o
		}
	}
	if total <= MaxUnverified {
		return nil
	}
	delete(f.unverified, most)
	most.dropped = true
	return most
}
