package torrent

import (
	"sync/atomic"
	"time"

	"spate"
)

// counters count the bytes and pieces of a torrent.
type counters struct {
	uploaded, downloaded atomic.Int64 // bytes of payload
	wasted               atomic.Int64 // bytes of downloaded that were not used
	checked              atomic.Int64 // pieces checked so far in StateChecking
}

// State is the state of a torrent.
type State uint8

// The states of a torrent.
const (
	StateChecking    State = iota // reading resume data or the files
	StateDownloading              // pieces are missing
	StateSeeding                  // every wanted piece is verified
	StateStopped                  // not started
	StateFailed                   // halted by Stats.Err; continues when the cause is gone
)

// String returns the state as a word for people and JSON.
func (s State) String() string {
	switch s {
	case StateChecking:
		return "checking"
	case StateDownloading:
		return "downloading"
	case StateSeeding:
		return "seeding"
	case StateStopped:
		return "stopped"
	case StateFailed:
		return "failed"
	}
	return "unknown"
}

// Stats is a snapshot of one torrent. Byte counts are of payload, rates are in
// bytes a second.
type Stats struct {
	Name     string
	InfoHash spate.InfoHash
	State    State
	Err      error // why State is StateFailed; otherwise nil

	BytesTotal, BytesDone  int64 // bytes of wanted data without padding: all, and verified
	Pieces, PiecesHave     int
	Checked                int   // pieces checked so far in StateChecking
	Downloaded, Uploaded   int64 // payload since the torrent was first added
	Wasted                 int64 // payload that was not used: duplicates and pieces that failed their hash
	DownRate, UpRate       float64
	Peers, Seeds, Leechers int // connected
	Known                  int // candidates in the peer list
	Trackers               []TrackerStats
	WebSeeds               []WebSeedStats // empty until web seeds are used for the first time
	Added, Completed       time.Time
}

// TrackerStats is the outcome of the last announce of a torrent in one of its swarms.
type TrackerStats struct {
	URL                  string // the tracker that answered last
	LastAnnounce         time.Time
	NextAnnounce         time.Time
	Err                  error // error of the last announce; nil if it succeeded
	Complete, Incomplete int   // seeds and leechers, or [tracker.Unknown]
	Warning              string
}

// PeerStats is a snapshot of one connected peer.
type PeerStats struct {
	Key                PeerKey
	ID                 spate.PeerID // chosen by the peer
	Client             string
	Transport          Transport
	Incoming           bool
	Holepunched        bool    // the connection goes through a hole that a relay helped to punch (BEP 55)
	Have               float64 // share of the pieces that the peer has, 0 to 1
	Downloaded         int64
	Uploaded           int64
	DownRate, UpRate   float64
	Interested, Choked bool // the peer is interested in this side; it chokes this side
	Unchoked, Seed     bool // this side unchokes the peer; the peer has every piece
	Outstanding        int  // requests that the peer has not answered
}

// Stats returns a snapshot of the torrent.
func (t *Torrent) Stats() Stats {
	var trackers []TrackerStats
	for _, status := range t.s.announcer.Status(t.swarms()) {
		trackers = append(trackers, TrackerStats(status))
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	st := Stats{
		Name: t.name, InfoHash: t.hash, State: t.status.state, Err: t.status.err,
		Checked:    int(t.count.checked.Load()),
		Downloaded: t.count.downloaded.Load(), Uploaded: t.count.uploaded.Load(), Wasted: t.count.wasted.Load(),
		Known: t.knownPeersLocked(),
		Added: t.status.added, Completed: t.status.completed,
	}
	now := time.Now()
	st.DownRate, st.UpRate = t.rates.down.current(now, st.Downloaded), t.rates.up.current(now, st.Uploaded)
	st.Trackers = trackers
	st.WebSeeds = t.webStatsLocked()
	st.BytesTotal, st.BytesDone = t.status.bytesTotal, t.status.bytesDone
	if t.pick == nil {
		return st
	}
	st.Pieces, st.PiecesHave = t.info.NumPieces(), t.pick.HaveCount()
	for _, c := range t.peerConns.byID {
		if c == nil || c.otherSwarmsConnLocked() != nil {
			continue
		}
		st.Peers++
		if t.pick.PeerIsSeed(c.id) {
			st.Seeds++
		} else {
			st.Leechers++
		}
	}
	return st
}

// wantedBytes returns how many bytes of piece i are in wanted files. Padding does not count.
func (t *Torrent) wantedBytes(i int) int64 {
	return t.bytesOf(i, func(file int) bool { return t.priorityLocked(file) != PrioritySkip })
}

// bytesOf returns how many bytes of piece i are in files for which counts returns true.
// Padding does not count.
func (t *Torrent) bytesOf(i int, counts func(file int) bool) (n int64) {
	from := int64(i) * t.info.PieceLength
	to := from + t.info.PieceSize(i)
	for k := t.info.FileAt(from); k >= 0 && k < len(t.info.Files); k++ {
		f := &t.info.Files[k]
		if f.Offset >= to {
			break
		}
		if f.Pad() || !counts(k) {
			continue
		}
		n += max(0, min(to, f.Offset+f.Length)-max(from, f.Offset))
	}
	return n
}

// countLocked counts the wanted and the verified bytes again.
func (t *Torrent) countLocked() {
	t.status.bytesTotal, t.status.bytesDone = 0, 0
	for i := range t.info.NumPieces() {
		n := t.wantedBytes(i)
		t.status.bytesTotal += n
		if t.pick.Have(i) {
			t.status.bytesDone += n
		}
	}
}

// leftLocked returns the number of bytes that this side lacks, as announced to trackers (BEP 3).
// Files that are not wanted count, because a tracker takes a peer with 0 bytes left for a seed.
func (t *Torrent) leftLocked() (left int64) {
	switch {
	case t.pick == nil:
		return 0
	case t.selection.priorities == nil:
		return t.status.bytesTotal - t.status.bytesDone
	}
	for i := range t.pick.Bitfield().Zeros() {
		left += t.bytesOf(i, func(int) bool { return true })
	}
	return left
}

// Add adds the snapshot of a second connection to the same peer, in another swarm of the same
// pieces.
func (p *PeerStats) Add(q PeerStats) {
	p.Downloaded, p.Uploaded = p.Downloaded+q.Downloaded, p.Uploaded+q.Uploaded
	p.DownRate, p.UpRate = p.DownRate+q.DownRate, p.UpRate+q.UpRate
	p.Have = max(p.Have, q.Have)
	p.Interested, p.Choked = p.Interested || q.Interested, p.Choked && q.Choked
	p.Unchoked, p.Seed = p.Unchoked || q.Unchoked, p.Seed || q.Seed
	p.Outstanding += q.Outstanding
}

// PeerStats returns a snapshot of the connected peers, in no order. It includes clients that fetch
// ranges over HTTP, which Stats does not count as peers.
func (t *Torrent) PeerStats() []PeerStats {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make([]PeerStats, 0, t.peerConns.n)
	var second []*conn
	at := map[*conn]int{} // index in all
	for _, c := range t.peerConns.byID {
		switch {
		case c == nil:
		case c.otherSwarmsConnLocked() != nil:
			second = append(second, c)
		default:
			at[c] = len(all)
			all = append(all, c.statsLocked())
		}
	}
	for _, c := range second {
		all[at[c.otherSwarmsConnLocked()]].Add(c.statsLocked())
	}
	return append(all, t.rangeStatsLocked()...)
}

// statsLocked returns a snapshot of the connection.
func (c *conn) statsLocked() PeerStats {
	t := c.t
	return PeerStats{
		Key: c.peer.key, ID: c.peer.id, Client: c.ext.client, Transport: c.peer.transport, Incoming: c.peer.incoming, Holepunched: c.peer.punched,
		Have:       float64(t.pick.PeerHaveCount(c.id)) / float64(t.info.NumPieces()),
		Downloaded: c.received.Load(), Uploaded: c.sent.Load(),
		DownRate: c.req.meter.rate, UpRate: c.tx.meter.rate,
		Interested: c.wire.peerInterested, Choked: c.wire.peerChoking, Unchoked: !c.wire.amChoking,
		Seed:        t.pick.PeerIsSeed(c.id),
		Outstanding: t.pick.PendingOf(c.id),
	}
}
