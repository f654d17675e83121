package trackerserver

import (
	"encoding/binary"
	"testing"
	"time"

	"spate"
	"spate/tracker/wire"
)

// offerID returns the id of an offer.
func offerID(n int) (id wire.OfferID) {
	binary.BigEndian.PutUint32(id[:], uint32(n))
	return id
}

// TestLargeSwarmDoesNotDisplaceOffersOfOthers checks that the offer of a small swarm can be answered while a
// large one, whose state has the same lock, makes more offers than the tracker keeps, and that the offers stay within
// their bounds.
func TestLargeSwarmDoesNotDisplaceOffersOfOthers(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	var s meetingShard
	join := func(ih spate.InfoHash, id int) *attendee {
		a := &attendee{socket: &socket{}, hash: ih, id: spate.PeerID{byte(id), byte(id >> 8)}}
		s.join(a)
		return a
	}
	small, large := spate.InfoHash{1}, spate.InfoHash{2}
	a, b := join(small, 1), join(small, 2)
	if !s.expect(now, s.swarms[small], a, b, offerID(0)) {
		t.Fatal("the offer is refused")
	}
	c, d := join(large, 1), join(large, 2)
	for i := range 4000 {
		join(large, 3+i)
	}
	for i := range 3 * maxPending {
		if !s.expect(now, s.swarms[large], c, d, offerID(i)) {
			t.Fatalf("offer %d is refused", i)
		}
	}
	if n := s.swarms[large].offers.n; n != maxPending/2 || len(s.pending) != n+1 {
		t.Errorf("%d offers of the large swarm are kept, %d of all", n, len(s.pending))
	}
	answer := func(from *attendee, ih spate.InfoHash, to *attendee, n int) *socket {
		return s.answered(now, from.socket, &wire.WSRequest{InfoHash: ih, AnswerTo: offerID(n), ToPeer: to.id})
	}
	if answer(b, small, a, 0) != a.socket {
		t.Error("the offer of the small swarm is forgotten")
	}
	if answer(d, large, c, 3*maxPending-1) != c.socket {
		t.Error("the newest offer of the large swarm is forgotten")
	}
	for i := range 3 * fewerPending {
		s.expect(now, s.swarms[small], a, b, offerID(i))
	}
	if n := s.swarms[small].offers.n; n != fewerPending+2*perPeerPending {
		t.Errorf("%d offers of two peers are kept", n)
	}
	now = now.Add(offerTime)
	s.expire(now, s.swarms[small])
	if n := s.swarms[small].offers.n; n != 0 {
		t.Errorf("%d offers are kept too long", n)
	}
	m := s.swarms[large]
	for len(m.peers) > 0 {
		m.remove(m.peers[0])
	}
	s.forget(large, m)
	if len(s.pending) != 0 || s.swarms[large] != nil {
		t.Errorf("%d offers of a swarm without peers are kept", len(s.pending))
	}
}
