package torrent

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"spate/internal/proxy"
	"spate/internal/sockerr"
	"spate/torrent/internal/peerlist"
)

// Stall contains counted facts that say why a torrent receives no data. It is a snapshot.
type Stall struct {
	// Idle is the time since the torrent last received payload or began to download. It is 0
	// unless the torrent downloads.
	Idle       time.Duration
	Candidates CandidateStats
	// Connected is the number of connected peers. Useful is how many of them have missing data,
	// and Choking how many of the useful ones choke this side.
	Connected, Useful, Choking int
	// Pieces is the number of pieces of the torrent.
	Pieces int
	// Missing is the number of wanted pieces that are not verified. Nowhere is how many of
	// these no connected peer and no connected web seed has.
	Missing, Nowhere int
	// WriteWait is the time since a write to the disk last ended, while a write is in progress.
	WriteWait time.Duration
}

// CandidateStats are the numbers of known addresses of peers. Known counts all of them, Trying
// those that are being dialled for the first time, and Connected those that are connected. Untried
// were not dialled yet. The other fields count addresses by the error of the last connection; each
// address is in one of them. NoMetadata is for peers that did not send the metadata of a magnet
// link. NoHole counts addresses, most of them in TimedOut too, to which no hole could be punched
// through the routers of both sides (BEP 55).
type CandidateStats struct {
	Known, Trying, Connected, Untried      int
	TimedOut, Refused, NoRoute, Unanswered int
	NoMetadata, Otherwise, NoHole          int
	// NoProxy counts addresses that were not tried, because the proxy of Options.Network failed.
	NoProxy int
}

func (c *CandidateStats) add(l *peerlist.List) {
	n := l.Counts()
	c.Known += n.Known
	c.Trying += n.Trying
	c.Connected += n.Connected
	c.Untried += n.ByFailure[peerlist.NoFailure]
	c.TimedOut += n.ByFailure[peerlist.TimedOut]
	c.Refused += n.ByFailure[peerlist.Refused]
	c.NoRoute += n.ByFailure[peerlist.NoRoute]
	c.Unanswered += n.ByFailure[peerlist.Unanswered]
	c.NoMetadata += n.ByFailure[peerlist.NoMetadata]
	c.NoProxy += n.ByFailure[peerlist.NoProxy]
	c.Otherwise += n.ByFailure[peerlist.Otherwise]
}

// SourceStats is how many addresses of peers a source was the first to name. Source is "tracker",
// "pex", "dht", "lsd", "link" (the magnet link), "incoming" (the peer connected to us), "caller",
// "manual" (the user) or "other".
type SourceStats struct {
	Source string
	Found  int
}

// sourcesOf returns the sources that named addresses of the lists.
func sourcesOf(lists ...*peerlist.List) (all []SourceStats) {
	at := map[string]int{} // index in all
	for src := range peerlist.Source(peerlist.NumSources) {
		for _, l := range lists {
			n := l.Found(src)
			if n == 0 {
				continue
			}
			name := src.String()
			i, ok := at[name]
			if !ok {
				i = len(all)
				at[name], all = i, append(all, SourceStats{Source: name})
			}
			all[i].Found += n
		}
	}
	return all
}

// Sources returns which sources named peers of the torrent, without those that named none.
func (t *Torrent) Sources() []SourceStats {
	t.mu.Lock()
	defer t.mu.Unlock()
	return sourcesOf(t.listsLocked()...)
}

// stallAfter is the time without data after which Stall looks for pieces that no peer has, which
// takes time.
const stallAfter = time.Second

// Stall returns the facts that say why the torrent receives no data.
func (t *Torrent) Stall() Stall {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	s := Stall{WriteWait: t.writes.waiting(now)}
	for _, l := range t.listsLocked() {
		s.Candidates.add(l)
	}
	s.Candidates.NoHole = t.holes.inVain(now)
	if t.pick == nil {
		return s
	}
	for _, c := range t.peerConns.byID {
		if c == nil || c.otherSwarmsConnLocked() != nil {
			continue
		}
		s.Connected++
		if c.wire.amInterested {
			s.Useful++
			if c.wire.peerChoking {
				s.Choking++
			}
		}
	}
	s.Pieces, s.Missing = t.info.NumPieces(), t.pick.Wanted()
	if t.status.state == StateDownloading && t.count.downloaded.Load() == t.rates.downBytes { // nothing since the last tick
		s.Idle = now.Sub(t.rates.received)
	}
	if s.Idle >= stallAfter {
		s.Nowhere = t.pick.Nowhere()
	}
	return s
}

// failureOf returns why a connection to a peer failed with err.
func failureOf(err error) peerlist.Failure {
	var timeout net.Error
	switch {
	case proxy.Failed(err) != nil:
		return peerlist.NoProxy
	case errors.Is(err, errNoAnswer):
		return peerlist.Unanswered
	case sockerr.Is(err, syscall.ECONNREFUSED):
		return peerlist.Refused
	case sockerr.Is(err, syscall.EHOSTUNREACH), sockerr.Is(err, syscall.ENETUNREACH):
		return peerlist.NoRoute
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout(), sockerr.Is(err, syscall.ETIMEDOUT):
		return peerlist.TimedOut
	}
	return peerlist.Otherwise
}

// writeWatch measures how long writes to the disk take. The zero value is ready to use.
type writeWatch struct {
	mu      sync.Mutex // guards the fields below
	writing int        // writes in progress
	since   time.Time  // when a write last began while none was in progress, or last ended
}

func (w *writeWatch) begin(now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.writing == 0 {
		w.since = now
	}
	w.writing++
}

func (w *writeWatch) end(now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writing--
	w.since = now
}

// waiting returns the time since a write last ended or began, or 0 if none is in progress.
func (w *writeWatch) waiting(now time.Time) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.writing == 0 {
		return 0
	}
	return now.Sub(w.since)
}
