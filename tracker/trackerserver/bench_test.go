package trackerserver

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"spate/tracker"
	"spate/tracker/swarm"
	"spate/tracker/wire"
)

// swarmOptions are the options of a small table.
var swarmOptions = swarm.Options{Shards: 4, MaxPeers: 10_000, MaxSwarms: 1000}

// BenchmarkUDPAnnounce measures an announce without its system calls: parsing, the check of
// the connection id, the store, and a reply with 50 peers.
func BenchmarkUDPAnnounce(b *testing.B) {
	s := newServer(b, Options{Limit: RateLimit{PerSecond: 1e12}})
	from := netip.MustParseAddr("192.0.2.1")
	w, id := connected(b, s, from)
	req := peer(1)
	packet := wire.AppendUDPAnnounce(nil, id, 1, &req, "")
	out := make([]byte, 0, maxUDPReply)
	now := s.now()
	b.ReportAllocs()
	n := uint32(0)
	for b.Loop() {
		n++
		binary.BigEndian.PutUint32(packet[16:], n%1000)
		binary.BigEndian.PutUint16(packet[96:], uint16(1+n/1000%100))
		w.answer(now, from, packet, out)
	}
}

// BenchmarkHTTPAnnounce measures an announce over HTTP, without the connection.
func BenchmarkHTTPAnnounce(b *testing.B) {
	s := newServer(b, Options{Limit: RateLimit{PerSecond: 1e12}})
	req := peer(1)
	query := wire.AppendAnnounceQuery(nil, &req)
	var c call
	now, from := s.now(), netip.MustParseAddr("192.0.2.1")
	b.ReportAllocs()
	for b.Loop() {
		c.reset(now, tracker.HTTP, from)
		s.answerHTTP(&c, s.shared, routeAnnounce, query)
	}
}
