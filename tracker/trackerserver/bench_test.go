package trackerserver

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"spate/tracker/swarm"
	"spate/tracker/wire"
)

// swarmOptions are a small table's.
var swarmOptions = swarm.Options{Shards: 4, MaxPeers: 10_000, MaxSwarms: 1000}

// BenchmarkUDPAnnounce is an announce without its system calls: parse, check of
// the connection id, table, reply with 50 peers.
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

// BenchmarkHTTPAnnounce is the same over HTTP, without the connection.
func BenchmarkHTTPAnnounce(b *testing.B) {
	s := newServer(b, Options{Limit: RateLimit{PerSecond: 1e12}})
	req := peer(1)
	query := wire.AppendAnnounceQuery(nil, &req)
	var c call
	now, from := s.now(), netip.MustParseAddr("192.0.2.1")
	b.ReportAllocs()
	for b.Loop() {
		c.reset(now, HTTP, from)
		s.answerHTTP(&c, s.shared, routeAnnounce, query)
	}
}
