package torrent

import (
	"net"
	"net/netip"
	"time"

	"spate"
	"spate/metainfo"
	"spate/peerwire"
)

// Connections over which metadata was looked for are not ended when it is there: the
// torrent that is added next goes on with them, as if it had heard from the start
// what their peers have said. To dial the same peers again would cost a round trip,
// and run into those that hold the old connection still.

// Bounds of what is kept for a torrent that may come.
const (
	warmFor     = 10 * time.Second
	maxWarm     = 2 * metadataConns
	maxSaid     = 256 << 10 // bytes of messages of one peer: a bitfield of two million pieces, or many haves
	maxSaidHeld = 4 << 20   // of all peers together
)

// warmConn is one connection, after the handshake and our extension handshake.
type warmConn struct {
	nc       net.Conn
	hs       peerwire.Handshake
	addr     netip.AddrPort
	incoming bool
	said     []byte // messages of the peer, whole but for the last
}

// warmth is what is kept of one search for metadata; its timer ends it.
type warmth struct {
	conns []warmConn
	timer *time.Timer
}

// note remembers a message, or the beginning of one, for a torrent to come.
func (d *metaDialog) note(b []byte) {
	f := d.f
	f.mu.Lock()
	defer f.mu.Unlock()
	if d.cold || len(d.said)+len(b) > maxSaid || f.said+len(b) > maxSaidHeld {
		f.said -= len(d.said)
		d.cold, d.said = true, nil
		return
	}
	f.said += len(b)
	d.said = append(d.said, b...)
}

// keep takes over the connection of a conversation that is over, and reports whether
// it does.
func (f *metaFetch) keep(d *metaDialog, hs peerwire.Handshake) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if d.cold || d.cut || f.s.ctx.Err() != nil || len(f.warm) >= maxWarm || d.nc.SetDeadline(time.Time{}) != nil {
		return false
	}
	f.warm = append(f.warm, warmConn{d.nc, hs, d.addr, d.incoming, d.said})
	d.said = nil
	return true
}

// keepWarm holds the connections of a search for the torrent that it found. Those of
// a hybrid are of use only where the peer goes by v2: piece hashes come over no other.
func (s *Session) keepWarm(f *metaFetch, mi *metainfo.MetaInfo) {
	var keep []warmConn
	for _, w := range f.warm {
		if mi != nil && (!mi.Info.HasV1() || !mi.Info.HasV2() || w.hs.InfoHash == f.link.HashV2.Truncate()) && (w.incoming || f.mayTell(mi, w.addr)) {
			keep = append(keep, w)
			continue
		}
		s.endWarm(w)
	}
	f.warm = nil
	if len(keep) == 0 {
		return
	}
	s.coolDown(f.hash)
	s.mu.Lock()
	s.warm[f.hash] = &warmth{keep, time.AfterFunc(warmFor, func() { s.coolDown(f.hash) })}
	closed := s.closed
	s.mu.Unlock()
	if closed {
		s.coolDown(f.hash)
	}
}

func (s *Session) endWarm(w warmConn) {
	w.nc.Close()
	s.hungUp()
}

// takeWarm returns the connections that are kept for a torrent.
func (s *Session) takeWarm(ih spate.InfoHash) []warmConn {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.warm[ih]
	if w == nil {
		return nil
	}
	w.timer.Stop()
	delete(s.warm, ih)
	return w.conns
}

// coolDown ends the connections that are kept for a torrent which did not come.
func (s *Session) coolDown(ih spate.InfoHash) {
	for _, w := range s.takeWarm(ih) {
		s.endWarm(w)
	}
}

// goOnWarm makes peers of those who gave the metadata. They were told that we have
// nothing.
func (t *Torrent) goOnWarm() {
	for _, ih := range [2]spate.InfoHash{t.hash, t.hash2} {
		for _, w := range t.s.takeWarm(ih) {
			t.mu.Lock()
			fits := t.pick != nil && t.pick.HaveCount() == 0
			if fits && !w.incoming {
				t.peers.Take(w.addr)
			}
			t.mu.Unlock()
			c := newConn(t, w.nc, w.hs, w.addr, w.incoming)
			c.warm, c.replay = true, w.said
			if !fits || !t.spawn(c.run) {
				t.s.endWarm(w)
			}
		}
	}
}
