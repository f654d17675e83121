package torrent

import (
	"net/netip"
	"slices"
	"time"

	"spate"
	"spate/discovery"
	"spate/peerwire"
	"spate/torrent/internal/announce"
	"spate/torrent/internal/peerlist"
	"spate/torrent/internal/superseed"
	"spate/tracker"
)

// A hybrid torrent can have a v1 twin: a v1 torrent with the same pieces and a swarm of its own,
// for clients that cannot use hybrids (see [metainfo.MetaInfo.V1Twin]). A torrent that takes part
// in both swarms carries pieces from one to the other, so that the origin need not send a first
// copy to each.
//
// The info dictionary of the hybrid contains that of the twin, so a torrent needs no other
// source for the twin, and the pieces that it checked are the pieces of the twin. It only has to
// learn that the swarm exists: a peer says so in its extension handshake (peerwire.Twin). Such a
// peer either seeds both torrents, or it takes part in both swarms itself.
//
// Both swarms share everything of the torrent except for the list of candidates, because a
// candidate of one swarm may not know the other torrent. So no piece is requested in both swarms,
// except in the endgame. Two peers that take part in both swarms need one connection. A peer that
// seeds both torrents gets two, so that it learns in each swarm which pieces were carried there.

// twinSwarm is the swarm of the v1 twin. Only peers changes after the torrent has joined it.
type twinSwarm struct {
	hash      spate.InfoHash
	info      []byte // the info dictionary
	announced []*announce.Swarm
	peers     *peerlist.List // guarded by Torrent.mu
}

// ofTwin reports whether ih, an info-hash by which the session knows the torrent or a peer
// answered, is that of the twin.
func (t *Torrent) ofTwin(ih spate.InfoHash) bool {
	w := t.twin.Load()
	return w != nil && ih == w.hash
}

// swarms returns all announced swarms of the torrent.
func (t *Torrent) swarms() []*announce.Swarm {
	if w := t.twin.Load(); w != nil {
		return slices.Concat(t.dormancy.announced, w.announced)
	}
	return t.dormancy.announced
}

// listsLocked returns the lists of candidates, one for each swarm that has a list of its own.
func (t *Torrent) listsLocked() []*peerlist.List {
	if w := t.twin.Load(); w != nil {
		return []*peerlist.List{t.peers, w.peers}
	}
	return []*peerlist.List{t.peers}
}

// listOfLocked returns the list of candidates of the swarm with an info-hash.
func (t *Torrent) listOfLocked(ih spate.InfoHash) *peerlist.List {
	if t.ofTwin(ih) {
		return t.twin.Load().peers
	}
	return t.peers
}

// knownPeersLocked returns the number of candidates of all swarms.
func (t *Torrent) knownPeersLocked() (n int) {
	for _, l := range t.listsLocked() {
		n += l.Len()
	}
	return n
}

// listLocked returns the list of candidates of the swarm that the connection belongs to.
func (c *conn) listLocked() *peerlist.List {
	if c.peer.twin {
		return c.t.twin.Load().peers
	}
	return c.t.peers
}

// servesBothLocked reports whether both sides take part in the swarms of the hybrid and of the
// twin, so that they need one connection only.
func (c *conn) servesBothLocked() bool {
	return c.ext.handshake.Twin == peerwire.TwinJoined && c.t.twin.Load() != nil
}

// otherSwarmsConnLocked returns the connection to the same peer in the hybrid's swarm, if c
// belongs to the swarm of the twin, or nil.
func (c *conn) otherSwarmsConnLocked() *conn {
	if !c.peer.twin {
		return nil
	}
	for _, o := range c.t.peerConns.byID {
		if o != nil && !o.end.gone && !o.peer.twin && o.peer.id == c.peer.id {
			return o
		}
	}
	return nil
}

// sayTwinLocked returns what peers of the torrent are told about the twin.
func (t *Torrent) sayTwinLocked() peerwire.Twin {
	switch {
	case t.hash2.IsZero():
		return 0
	case t.twin.Load() != nil:
		return peerwire.TwinJoined
	}
	t.twinApart = t.twinApart || t.s.has(t.twinHash())
	if t.twinApart {
		return peerwire.TwinApart
	}
	return 0
}

// noteTwinApart finds out whether the session seeds the twin as a torrent of its own, and tells
// the peers if it does so now.
func (t *Torrent) noteTwinApart() {
	if t.hash2.IsZero() || t.twin.Load() != nil {
		return
	}
	apart := t.s.has(t.twinHash())
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.twinApart != apart {
		t.twinApart = apart
		t.tellHandshakeLocked()
	}
}

// linkTwin makes the super-seeders of the hybrid and of the twin send one first copy together, if
// the session seeds both. Each of them has the lock of its torrent; they share only the boards.
func (t *Torrent) linkTwin() {
	if t.hash2.IsZero() || t.twin.Load() != nil {
		return
	}
	twin := t.s.Torrent(t.twinHash())
	if twin == t.linked {
		return
	}
	t.linked = twin
	var own, other *superseed.Board
	if twin != nil {
		own, other = superseed.NewBoard(t.info.NumPieces()), superseed.NewBoard(t.info.NumPieces())
		twin.linkSuperSeed(other, own)
	}
	t.linkSuperSeed(own, other)
}

// linkSuperSeed connects the super-seeder to that of the other swarm of the release.
func (t *Torrent) linkSuperSeed(own, other *superseed.Board) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.life.ctx.Err() == nil {
		t.super.Link(own, other)
	}
}

// countCarrierLocked counts the peer if it takes part in both swarms of a release.
func (c *conn) countCarrierLocked() {
	carries := c.ext.handshake.Twin == peerwire.TwinJoined
	if carries == c.ext.carries {
		return
	}
	c.ext.carries = carries
	if carries {
		c.t.peerConns.carriers++
	} else {
		c.t.peerConns.carriers--
	}
	c.t.super.SetCarriers(c.t.peerConns.carriers)
}

// has reports whether the session has a torrent with an info-hash, which may be dormant.
func (s *Session) has(ih spate.InfoHash) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.torrents[ih] != nil || s.dormant.by[ih] != nil
}

// heardOfTwinLocked handles what the peer says about the twin. A torrent that only seeds does not
// join another swarm, because the user chose what it seeds.
func (c *conn) heardOfTwinLocked() {
	t := c.t
	if c.ext.handshake.Twin == 0 || t.hash2.IsZero() || t.opt.SeedOnly || t.twinApart || t.s.opt.ignoreTwins {
		return
	}
	if t.twin.Load() == nil {
		if t.life.ctx.Err() == nil {
			t.life.goroutines.Go(t.joinTwin)
		}
		return
	}
	c.meetInTwinLocked()
}

// updateReportersLocked finds out which connections in the swarm of the twin only tell the peer
// which pieces this side has: the peer seeds both torrents, and this side downloads from it in the
// swarm of the hybrid. If it downloaded in both, such a seed would send the pieces of two first
// copies at a time.
func (t *Torrent) updateReportersLocked() {
	if t.twin.Load() == nil {
		return
	}
	for _, c := range t.peerConns.byID {
		if c != nil && !c.end.gone && c.peer.twin {
			o := c.otherSwarmsConnLocked()
			c.ext.onlyReports = o != nil && o.ext.handshake.Twin == peerwire.TwinApart
			c.updateInterestLocked()
			c.kickLocked()
		}
	}
}

// meetInTwinLocked makes the torrent have the connections that it needs to a peer that knows of
// the twin: one to a peer that takes part in both swarms, two to a peer that seeds both torrents.
func (c *conn) meetInTwinLocked() {
	t := c.t
	twin := t.twin.Load().peers
	switch {
	case c.ext.handshake.Twin == peerwire.TwinApart && !c.peer.twin && c.ext.listens.IsValid():
		src, known := t.peers.Source(c.ext.listens)
		if !known {
			src = peerlist.SourceIncoming
		}
		twin.Add([]netip.AddrPort{c.ext.listens}, src)
		t.updateReportersLocked()
	case !c.servesBothLocked():
	case c.otherSwarmsConnLocked() != nil:
		c.dropLocked(errDuplicate)
	default:
		for _, o := range t.peerConns.byID {
			if o != nil && o.otherSwarmsConnLocked() == c {
				o.dropLocked(errDuplicate)
			}
		}
		c.listInBothLocked()
	}
}

// listInBothLocked marks the peer as connected in the list of the other swarm too, so that it is
// not dialled there.
func (c *conn) listInBothLocked() {
	if c.ext.alsoIn != nil || !c.ext.listens.IsValid() {
		return
	}
	other := c.t.twin.Load().peers
	if c.peer.twin {
		other = c.t.peers
	}
	other.Add([]netip.AddrPort{c.ext.listens}, peerlist.SourceIncoming)
	if other.Connected(c.ext.listens) {
		c.ext.alsoIn = other
	}
}

// joinTwin makes a hybrid take part in the swarm of its v1 twin.
func (t *Torrent) joinTwin() {
	if t.s.has(t.twinHash()) {
		return
	}
	info, hash, err := t.mi.V1Twin()
	if err != nil {
		t.log.Debug("the swarm of the v1 twin is not joined", "err", err)
		return
	}
	w := &twinSwarm{hash: hash, info: info, peers: peerlist.New(t.s.peerListOptions(t.info.Private))}
	w.announced = t.s.newSwarms(announcedTwin{announced{t}}, hash, spate.InfoHash{}, t.mi.AnnounceList, t.info.Private, nil)
	if !t.enterTwin(w) {
		return
	}
	t.log.Info("the torrent takes part in the swarm of its v1 twin too", "info_hash", hash)
	t.announceTwin(w)
	t.dialMore(time.Now())
}

// announceTwin starts the announces to the swarm of the twin, unless the torrent ends.
func (t *Torrent) announceTwin(w *twinSwarm) {
	t.s.announcer.Start(w.announced, t.count.uploaded.Load(), t.count.downloaded.Load())
	if t.life.ctx.Err() != nil {
		t.s.announcer.Halt(w.announced)
	}
}

// enterTwin adds the swarm of the twin to the torrent and the session. It returns false if the
// torrent cannot join the swarm, for example because another torrent of the session is in it.
func (t *Torrent) enterTwin(w *twinSwarm) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.life.ctx.Err() != nil || t.status.state != StateDownloading && t.status.state != StateSeeding || t.twin.Load() != nil {
		return false
	}
	t.s.mu.Lock()
	free := t.s.torrents[t.hash] == t && t.s.takenLocked(w.hash, spate.InfoHash{}) == nil
	if free {
		t.twin.Store(w)
		t.peerConns.changes++
		t.s.torrents[w.hash] = t
		t.s.nameLocked(w.hash)
	}
	t.s.mu.Unlock()
	if !free {
		return false
	}
	w.peers.SetSeeding(t.completeLocked())
	for _, key := range t.bad.banned {
		w.peers.Ban(key.Addr())
	}
	for _, c := range t.peerConns.byID {
		if c != nil && !c.end.gone {
			c.meetInTwinLocked()
		}
	}
	t.tellHandshakeLocked()
	return true
}

// announcedTwin implements [announce.Torrent] for the swarm of the twin.
type announcedTwin struct{ announced }

func (a announcedTwin) Answered(resp *tracker.AnnounceResponse, url string) {
	a.t.foundPeers(a.t.twin.Load().peers, resp.Peers, url)
}

func (a announcedTwin) Found(peer discovery.Candidate, url string) {
	a.t.foundPeer(a.t.twin.Load().peers, peer, url)
}
