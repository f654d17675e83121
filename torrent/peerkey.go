package torrent

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
)

// PeerKey identifies a sender of data: a peer by its address, a web seed by its URL, and a
// peer that has neither, such as a browser, by a random id. Two connections of a peer
// without an address have different keys. Keys can be compared with ==. The zero PeerKey
// identifies no sender.
type PeerKey struct {
	addr netip.AddrPort
	url  string // URL of a web seed without its password; "" for a peer
	id   uint64
}

// peerKeyOf returns the key of the peer at an address. If the address is not valid it
// returns a random key.
func peerKeyOf(addr netip.AddrPort) PeerKey {
	if addr.IsValid() {
		return PeerKey{addr: addr}
	}
	return PeerKey{id: 1 + rand.Uint64N(1<<63)}
}

// webSeedKey returns the key of the web seed at a URL.
func webSeedKey(url string) PeerKey { return PeerKey{url: url} }

// IsValid reports whether k identifies a sender.
func (k PeerKey) IsValid() bool { return k != PeerKey{} }

// Addr returns the address of the peer, which is not valid if the key is of another kind.
func (k PeerKey) Addr() netip.AddrPort { return k.addr }

// WebSeed returns the URL of the web seed without its password, or "" if the key is of
// another kind.
func (k PeerKey) WebSeed() string { return k.url }

// String returns the address, the URL or the id.
func (k PeerKey) String() string {
	switch {
	case k.addr.IsValid():
		return k.addr.String()
	case k.url != "":
		return k.url
	case k.id != 0:
		return fmt.Sprintf("id %016x", k.id)
	}
	return "unknown"
}

// MarshalText returns the same text as String, for JSON and logs.
func (k PeerKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }
