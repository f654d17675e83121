package torrent

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"spate"
	"spate/tracker"
	"spate/tracker/trackerclient"
)

// announced is what is announced: a torrent, or one that is dormant.
type announced interface {
	// standing returns the payload sent and received, and what is left to fetch.
	standing() (uploaded, downloaded, left int64)
	// answered takes what the tracker at that URL said.
	answered(resp *tracker.AnnounceResponse, url string)
	logger() *slog.Logger
}

// announceState is what the announcer knows of one swarm. There may be a great
// many of them: what only some need is behind pointers.
type announceState struct {
	of             announced
	hash           spate.InfoHash
	key            uint32
	tiers          *trackerclient.Tiers
	at             time.Time     // of the next announce
	last           time.Time     // of the last one
	sent, received int64         // payload before "started", which trackers do not count
	minGap         time.Duration // that the tracker asks for
	index          int32         // in the queue, -1 outside
	fails          int32         // announces in a row
	event          tracker.Event // to be told next
	whole          bool          // then that the download is complete
	active         bool          // started and not stopped
	under          *underWay     // the announce that is under way, or nil
	stats          *TrackerStats // of the last announce; nil before, and of dormant torrents
}

// underWay is an announce that goes on.
type underWay struct {
	cancel context.CancelFunc
	done   chan struct{} // closed when it ends
}

// newAnnounceStates returns a state for each swarm of a torrent: a hybrid is in
// two. Without trackers there are none. A nil rng stands for the process's own
// randomness.
func (s *Session) newAnnounceStates(of announced, hash, hash2 spate.InfoHash, tiers [][]string, rng *rand.Rand) []*announceState {
	if len(tiers) == 0 || s.opt.Announcer == nil {
		return nil
	}
	all := []*announceState{{of: of, hash: hash}}
	if !hash2.IsZero() {
		all = append(all, &announceState{of: of, hash: hash2})
	}
	for _, st := range all {
		st.tiers = trackerclient.NewTiers(tiers, rng)
		st.key = rand.Uint32()
		st.index = -1
	}
	return all
}

// announceQueue is a heap by the time of the next announce.
type announceQueue []*announceState

func (q announceQueue) Len() int           { return len(q) }
func (q announceQueue) Less(i, j int) bool { return q[i].at.Before(q[j].at) }
func (q announceQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = int32(i), int32(j)
}
func (q *announceQueue) Push(x any) {
	st := x.(*announceState)
	st.index = int32(len(*q))
	*q = append(*q, st)
}
func (q *announceQueue) Pop() any {
	old := *q
	st := old[len(old)-1]
	st.index = -1
	*q = old[:len(old)-1]
	return st
}
