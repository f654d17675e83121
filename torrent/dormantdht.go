package torrent

import (
	"time"

	"spate"
	"spate/discovery"
)

// A peer that the DHT names wakes a dormant torrent, because a leecher may be unable to connect to
// this side. The DHT also names seeds, addresses that no longer answer, and lies, so these wakes are
// limited: for each torrent by a pause that doubles while they are in vain, and for the session by
// one worker, a short queue, and half of the torrents that may be awake.
const (
	minVainPause = 30 * time.Minute // about the time between two searches of the DHT
	maxVainPause = 24 * time.Hour
	maxWakeQueue = 256 // torrents that wait to wake
	maxWakePeers = 16  // peers that wait for a torrent to wake
	maxVainWakes = 6   // number of vain wakes from which on the pause is maxVainPause
)

// dhtWakes limits how often peers of the DHT wake a torrent. Session.mu guards it.
type dhtWakes struct {
	next time.Time // when the next peer may wake it
	vain uint8     // number of wakes since one of them sent data
}

// wokenLocked records a wake.
func (w *dhtWakes) wokenLocked(now time.Time) {
	pause := maxVainPause
	if w.vain < maxVainWakes {
		pause = min(minVainPause<<w.vain, maxVainPause)
		w.vain++
	}
	w.next = now.Add(pause)
}

// wakeQueue holds the dormant torrents that peers of the DHT wake. Session.mu guards it.
type wakeQueue struct {
	waiting []*wakeCall
	running bool // wakeQueued runs
}

// wakeCall is a dormant torrent with the peers that it connects to once it is awake.
type wakeCall struct {
	d        *dormant
	infoHash spate.InfoHash // of the swarm of the peers
	peers    []discovery.Candidate
}

// wakeForDHT wakes a dormant torrent for a peer that the DHT names, unless the limits forbid it. It
// does not wait.
func (s *Session) wakeForDHT(d *dormant, infoHash spate.InfoHash, peer discovery.Candidate, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := &s.dormant.calls
	for _, c := range q.waiting {
		if c.d == d {
			if c.infoHash == infoHash && len(c.peers) < maxWakePeers {
				c.peers = append(c.peers, peer)
			}
			return
		}
	}
	if s.closed || peer.Seed || now.Before(d.byDHT.next) || len(q.waiting) >= maxWakeQueue || s.fullForDHTLocked() {
		return
	}
	q.waiting = append(q.waiting, &wakeCall{d, infoHash, []discovery.Candidate{peer}})
	if !q.running {
		q.running = true
		s.wg.Go(s.wakeQueued)
	}
}

// fullForDHTLocked reports whether so many torrents are awake that peers of the DHT wake no more.
func (s *Session) fullForDHTLocked() bool {
	return s.dormant.awake >= (s.opt.MaxConns+maxExtraAwake)/2
}

// wakeQueued wakes the torrents in the queue one after the other until it is empty, or until too many
// are awake.
func (s *Session) wakeQueued() {
	for {
		s.mu.Lock()
		q := &s.dormant.calls
		if s.closed || len(q.waiting) == 0 || s.fullForDHTLocked() {
			q.waiting, q.running = nil, false
			s.mu.Unlock()
			return
		}
		c := q.waiting[0]
		c.d.byDHT.wokenLocked(time.Now())
		s.mu.Unlock()
		t, err := s.wake(c.d) // logs its errors
		s.mu.Lock()
		q.waiting = q.waiting[1:]
		s.mu.Unlock()
		if err != nil {
			continue
		}
		for _, peer := range c.peers {
			s.Found(c.infoHash, peer, discovery.DHT)
		}
		s.release(t)
	}
}
