package torrent

import (
	"net"
	"net/netip"
	"time"

	"spate"
	"spate/metainfo"
	"spate/peerwire"
	"spate/torrent/internal/peerlist"
)

// The connections to peers that were asked for metadata stay open after the search: the
// torrent that is added next takes them over, and first handles the messages that these
// peers have sent so far. To dial the same peers again would cost a round trip, and they
// might still hold the old connection.

// Bounds of the connections that are kept.
const (
	keepConnsFor = 10 * time.Second // how long the caller may take to add the torrent
	maxKept      = 2 * metadataConns
)

// keptConn is a connection on which both handshakes and our extension handshake were sent.
type keptConn struct {
	nc       net.Conn
	hs       peerwire.Handshake
	addr     netip.AddrPort
	incoming bool
	backlog  []byte // messages of the peer; the last one may be incomplete
}

// keptConns holds the connections and the candidates that are left after one search for
// metadata. The timer closes the connections.
type keptConns struct {
	conns    []keptConn
	peers    *peerlist.List   // does not change any more
	answered []netip.AddrPort // peers that sent the metadata, also those that connected to us
	timer    *time.Timer
}

// keep keeps the connection of a dialog that has ended. It returns false if it cannot.
func (f *metaFetch) keep(d *metaDialog, hs peerwire.Handshake) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.s.ctx.Err() != nil || len(f.kept) >= maxKept || d.nc.SetDeadline(time.Time{}) != nil {
		return false
	}
	backlog, ok := d.peer.TakeBacklog()
	if ok {
		f.kept = append(f.kept, keptConn{d.nc, hs, d.addr, d.incoming, backlog})
	}
	return ok
}

// keepConns keeps the connections of a search for the torrent that the search found, and
// closes connections that the torrent cannot use. A hybrid can use only connections with
// the v2 info-hash, because no others carry piece hashes. mi is nil if nothing was found.
func (s *Session) keepConns(f *metaFetch, mi *metainfo.MetaInfo) {
	var keep []keptConn
	for _, k := range f.kept {
		if mi != nil && (!mi.Info.HasV1() || !mi.Info.HasV2() || k.hs.InfoHash == f.link.HashV2.Truncate()) && (k.incoming || f.mayConnect(mi, k.addr)) {
			keep = append(keep, k)
			continue
		}
		s.closeKept(k)
	}
	f.kept = nil
	if mi == nil {
		return
	}
	s.closeKeptFor(f.hash)
	s.mu.Lock()
	s.kept[f.hash] = &keptConns{keep, f.peers, f.peersFor(mi), time.AfterFunc(keepConnsFor, func() { s.closeKeptFor(f.hash) })}
	closed := s.closed
	s.mu.Unlock()
	if closed {
		s.closeKeptFor(f.hash)
	}
}

func (s *Session) closeKept(k keptConn) {
	k.nc.Close()
	s.hungUp()
}

// takeKept returns the connections that are kept for a torrent, and removes them from
// the session.
func (s *Session) takeKept(ih spate.InfoHash) []keptConn {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.kept[ih]
	if k == nil {
		return nil
	}
	k.timer.Stop()
	delete(s.kept, ih)
	return k.conns
}

// inheritCandidates adds the candidates of the search that found the torrent, with their sources.
// A peer that connected to the search is no candidate of it.
func (t *Torrent) inheritCandidates() {
	for _, ih := range [2]spate.InfoHash{t.hash, t.hash2} {
		t.s.mu.Lock()
		k := t.s.kept[ih]
		t.s.mu.Unlock()
		if k != nil {
			t.mu.Lock()
			t.peers.Inherit(k.peers)
			for _, a := range k.answered {
				if _, known := t.peers.Source(a); !known {
					t.peers.Add([]netip.AddrPort{a}, peerlist.SourceIncoming)
				}
			}
			t.mu.Unlock()
		}
	}
}

// closeKeptFor closes the connections that are kept for a torrent.
func (s *Session) closeKeptFor(ih spate.InfoHash) {
	for _, k := range s.takeKept(ih) {
		s.closeKept(k)
	}
}

// takeOverConns adds the connections that are kept for the torrent to its peers. These
// peers were told that we have no pieces, so takeOverConns closes the connections if we
// have some.
func (t *Torrent) takeOverConns() {
	for _, ih := range [2]spate.InfoHash{t.hash, t.hash2} {
		for _, k := range t.s.takeKept(ih) {
			t.mu.Lock()
			fits := t.pick != nil && t.pick.HaveCount() == 0
			if fits && !k.incoming {
				t.peers.Take(k.addr)
			}
			t.mu.Unlock()
			c := newConn(t, k.nc, k.hs, k.addr, k.incoming)
			c.peer.firstSent, c.rx.replay = true, append(k.backlog, c.rx.replay...)
			if !fits || !t.spawn(c.run) {
				t.s.closeKept(k)
			}
		}
	}
}
