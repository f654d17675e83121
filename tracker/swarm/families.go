package swarm

// A peer with an IPv4 and an IPv6 address announces over both (BEP 7), and has an entry for each. Its
// key, which only the peer and the tracker know, tells that it is one peer: the entry of the family
// over which it announces second is marked, and the counts of the swarm leave out marked entries. A
// peer without a key counts once for each address, because everybody can learn its peer id, and
// could make the counts smaller with it.

// numRecent is the number of peers that a shard remembers, see recentPeers.
const numRecent = 256

// recentPeers remembers over which family peers have announced. It is a cache: a newer peer takes the
// place of an older one. The announces of a peer over its families usually follow each other within
// seconds.
type recentPeers [numRecent]struct {
	peer  uint64 // hash of the peer and of the swarm
	stamp uint16 // of the last announce
	six   bool
}

// peer returns the hash of the announcing peer and of the swarm, or 0 if the peer sent no key.
func (s *shard) peer(a *announce) uint64 {
	if a.req.Key == 0 {
		return 0
	}
	k := &s.t.keys
	return k.hash20((*[20]byte)(&a.req.PeerID))*0x9e3779b97f4a7c15 ^ k.hash1(uint64(a.req.Key), 8) ^ a.hash
}

// second reports whether the announcing peer has an entry of the other address family, which is
// counted, so that the entry for this announce is not. Otherwise it remembers the announce.
func (s *shard) second(a *announce) bool {
	peer := s.peer(a)
	if peer == 0 {
		return false
	}
	r, six := &s.peersSeen[peer%numRecent], a.six != 0
	if r.peer == peer && r.six != six && age(a.now, r.stamp) <= s.t.expire {
		return true
	}
	r.peer, r.stamp, r.six = peer, a.now, six
	return false
}

// left forgets that the announcing peer, which has stopped, announced over this family.
func (s *shard) left(a *announce) {
	peer := s.peer(a)
	if r := &s.peersSeen[peer%numRecent]; r.peer == peer && r.six == (a.six != 0) {
		r.peer = 0
	}
}

// countSecond adds d to the number of marked entries of a list, if meta has the mark.
func (s *shard) countSecond(rec record, list int, meta uint16, d int) {
	if meta&metaSecond == 0 {
		return
	}
	role := list & listSeed
	rec.setSecond(role, rec.second(role)+d)
	s.marked[role] += d
}
