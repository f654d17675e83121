package torrent

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"

	"spate/internal/fairpool"
)

// Transport is the protocol below a connection to a peer.
type Transport uint8

// The transports.
const (
	TCP           Transport = iota
	UTP                     // BEP 29
	WebRTCChannel           // a WebRTC data channel, over which browsers are peers
	HTTPRanges              // ranges over HTTP, which browsers fetch
)

// String returns "tcp", "utp", "webrtc" or "http", as the API and the command line name a transport.
func (t Transport) String() string { return [...]string{"tcp", "utp", "webrtc", "http"}[t] }

// other returns the other transport over which peers are dialled.
func (t Transport) other() Transport { return TCP + UTP - t }

// UTPSocket makes and accepts connections over uTP (BEP 29). It must be safe for concurrent
// use. The addresses of its connections have the network "udp", and Close ends all of them.
type UTPSocket interface {
	net.Listener
	// Dial connects to a peer. Its error wraps utp.ErrTooMany if the socket has no place for
	// another connection.
	Dial(ctx context.Context, to netip.AddrPort) (net.Conn, error)
}

// transportOf returns the transport of a connection.
func transportOf(nc net.Conn) Transport {
	switch nc.RemoteAddr().Network() {
	case "udp":
		return UTP
	case "webrtc":
		return WebRTCChannel
	}
	return TCP
}

// maxRemembered bounds each map of a transportMemory. If a map is full, a new entry replaces
// any other one.
const maxRemembered = 4096

// transportMemory remembers which transport reached which peers, and which peers are said to
// support uTP. It is safe for concurrent use. Use newTransportMemory to make one.
type transportMemory struct {
	mu       sync.Mutex                     // guards the fields below
	peers    map[netip.AddrPort]Transport   // the last transport that reached the peer
	networks map[fairpool.Network]Transport // the last transport that reached a peer of the network
	utp      map[netip.AddrPort]struct{}    // peers that support uTP, as peer exchange says
	dialled  map[netip.Addr]time.Time       // when an address was last dialled over uTP
}

func newTransportMemory() *transportMemory {
	return &transportMemory{
		peers: map[netip.AddrPort]Transport{}, networks: map[fairpool.Network]Transport{}, utp: map[netip.AddrPort]struct{}{},
		dialled: map[netip.Addr]time.Time{},
	}
}

// reached records that a transport reached a peer.
func (m *transportMemory) reached(addr netip.AddrPort, by Transport) {
	m.mu.Lock()
	defer m.mu.Unlock()
	remember(m.peers, addr, by)
	if n := fairpool.NetworkOf(addr.Addr()); n != 0 {
		remember(m.networks, n, by)
	}
}

// silent records that a peer did not answer the handshake over a transport. Something on the
// way may block that transport, so the next dial begins with the other one.
func (m *transportMemory) silent(addr netip.AddrPort, over Transport) {
	m.mu.Lock()
	defer m.mu.Unlock()
	remember(m.peers, addr, over.other())
}

// supportsUTP records that peer exchange says that a peer supports uTP.
func (m *transportMemory) supportsUTP(addr netip.AddrPort) {
	m.mu.Lock()
	defer m.mu.Unlock()
	remember(m.utp, addr, struct{}{})
}

// first returns the transport with which the dial of a peer begins: the one that last reached
// the peer or its network, and else TCP, which costs less. both reports whether the other
// transport has a good chance too: nothing is known but that the peer is said to support uTP.
func (m *transportMemory) first(addr netip.AddrPort) (first Transport, both bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if by, ok := m.peers[addr]; ok {
		return by, false
	}
	if by, ok := m.networks[fairpool.NetworkOf(addr.Addr())]; ok {
		return by, false
	}
	_, both = m.utp[addr]
	return TCP, both
}

// holeTime is longer than routers let packets in from an address after the last one to it.
const holeTime = 30 * time.Minute

// dials records that an address is dialled over uTP.
func (m *transportMemory) dials(addr netip.Addr) {
	m.mu.Lock()
	defer m.mu.Unlock()
	remember(m.dialled, addr, time.Now())
}

// dialledLately reports whether a router may let in packets from an address because this side has
// dialled it over uTP.
func (m *transportMemory) dialledLately(addr netip.Addr) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	at, ok := m.dialled[addr]
	return ok && time.Since(at) < holeTime
}

// remember adds an entry to a map that has a bound.
func remember[K comparable, V any](m map[K]V, k K, v V) {
	if _, known := m[k]; !known && len(m) >= maxRemembered {
		for other := range m {
			delete(m, other)
			break
		}
	}
	m[k] = v
}
