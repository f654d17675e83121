package daemon

import (
	"context"
	"time"

	"spate/torrent"
)

// queueEntry is what the queue knows of a torrent.
type queueEntry struct {
	wanted  bool // the user wants it to run
	seed    bool // it is complete
	running bool
	stalled bool // it runs, but transfers nothing; it does not count
}

// maxStalled is how many downloads or seeds run at most, for each that may run. Otherwise all
// downloads of a long queue would run if none of them receives anything.
const maxStalled = 8

// planQueue returns the indexes of the torrents that should start, and of the seeds that should stop
// because more seeds are active than may be. The order of list is that of the queue. Limits of 0 do
// not limit. A download is never stopped for another.
func planQueue(list []queueEntry, maxDownloads, maxSeeds int) (start, stop []int) {
	for _, seed := range []bool{false, true} {
		most := maxDownloads
		if seed {
			most = maxSeeds
		}
		active, running := 0, 0
		for i, e := range list {
			if e.seed != seed || !e.running {
				continue
			}
			running++
			if e.stalled {
				continue
			}
			active++
			if seed && most > 0 && active > most {
				stop = append(stop, i)
			}
		}
		for i, e := range list {
			if e.seed != seed || e.running || !e.wanted {
				continue
			}
			if most > 0 && (active >= most || running >= most*maxStalled) {
				break
			}
			start = append(start, i)
			active, running = active+1, running+1
		}
	}
	return start, stop
}

// idleAfter is the time without data after which a torrent does not count in the queue.
const idleAfter = time.Minute

// schedule starts the torrents whose turn it is.
func (t *Torrents) schedule(ctx context.Context) {
	now := t.env.Now()
	t.mu.Lock()
	list := make([]queueEntry, len(t.order))
	for i, e := range t.order {
		q := &list[i]
		q.running = e.phase >= phasePreparing
		q.wanted = !q.running && !e.rec.Paused && !e.rec.Finished && e.err == nil && e.rec.Remove == "" && e.rec.MoveTo == ""
		q.seed = e.completeLocked()
		q.stalled = e.phase == phaseDormant || e.phase == phaseRunning && now.Sub(e.busy) >= idleAfter || e.phase == phasePreparing && !e.rec.Known
	}
	start, stop := planQueue(list, t.conf.MaxDownloads, t.conf.MaxSeeds)
	for _, i := range stop {
		e := t.order[i]
		t.tasks.Go(func() { t.stop(e, phaseQueued) })
	}
	for _, i := range start {
		t.startLocked(ctx, t.order[i])
	}
	for i, e := range t.order {
		if list[i].wanted && e.phase == phaseIdle {
			e.phase = phaseQueued
		}
	}
	t.mu.Unlock()
}

// completeLocked reports whether all selected files of e are complete.
func (e *addedTorrent) completeLocked() bool { return !e.rec.Completed.IsZero() }

// follow looks at the torrents that the engine has: it records which are complete, and stops those
// that have reached a goal.
func (t *Torrents) follow(now time.Time) {
	t.mu.Lock()
	var running []*addedTorrent
	for _, e := range t.order {
		if e.phase == phaseRunning || e.phase == phaseDormant {
			running = append(running, e)
		}
	}
	t.mu.Unlock()
	for _, e := range running {
		t.mu.Lock()
		ih, goal := e.rec.InfoHash, goalOf(&e.rec)
		t.mu.Unlock()
		if tor := t.session.Torrent(ih); tor != nil {
			t.followOne(e, tor, now)
		} else if goal {
			t.countSeeding(e, nil, now)
		}
	}
}

// goalOf reports whether a torrent has a goal.
func goalOf(r *torrentRecord) bool {
	return r.Ratio > 0 || r.SeedTime > 0 || r.SeedIdle > 0 || r.NoSeed
}

func (t *Torrents) followOne(e *addedTorrent, tor *torrent.Torrent, now time.Time) {
	st := tor.Stats()
	t.mu.Lock()
	held := t.timed(e.rec.Label).Held != ""
	t.mu.Unlock()
	if n := st.Downloaded + st.Uploaded; n != e.bytes || e.busy.IsZero() || st.State == torrent.StateChecking || held {
		if down := st.Downloaded - e.down; !e.busy.IsZero() && n != e.bytes {
			t.history.add(tor.InfoHash(), now, down, n-e.bytes-down)
		}
		e.bytes, e.down, e.busy, e.stalled = n, st.Downloaded, now, false
	}
	switch st.State {
	case torrent.StateSeeding:
		t.mu.Lock()
		complete := e.completeLocked()
		t.mu.Unlock()
		if !complete {
			if err := t.update(e, func(r *torrentRecord) {
				r.Completed, r.Done, r.Length, r.Downloaded, r.Uploaded = now.UTC(), st.BytesDone, st.BytesTotal, st.Downloaded, st.Uploaded
			}); err != nil {
				t.env.Log.Warn("a torrent cannot be recorded as complete", "name", tor.Name(), "err", err)
				return
			}
			t.tell("completed", e)
		}
		t.countSeeding(e, &st, now)
	case torrent.StateDownloading:
		e.began = time.Time{}
		t.mu.Lock()
		direct, complete := e.rec.Direct, e.completeLocked()
		t.mu.Unlock()
		if complete { // more files were selected, or some were damaged
			t.update(e, func(r *torrentRecord) { r.Completed, r.Finished = time.Time{}, false })
		}
		if direct != "" && !e.asked && now.Sub(e.busy) >= idleAfter {
			e.asked = true
			tor.AddWebSeeds([]string{direct})
		}
		if !e.stalled && now.Sub(e.busy) >= idleAfter {
			e.stalled = true
			t.tell("stalled", e)
		}
	}
}

// saveSeeding is the interval in which the time of seeding is saved.
const saveSeeding = 5 * time.Minute

// countSeeding counts the time for which e has seeded, and stops it if a goal is reached. st is nil
// for a dormant torrent.
func (t *Torrents) countSeeding(e *addedTorrent, st *torrent.Stats, now time.Time) {
	if e.began.IsZero() {
		e.began = now
	}
	if e.busy.IsZero() {
		e.busy = now
	}
	seeded := now.Sub(e.began)
	t.mu.Lock()
	r := e.rec
	t.mu.Unlock()
	reached := r.NoSeed || r.SeedIdle > 0 && now.Sub(e.busy) >= time.Duration(r.SeedIdle)*time.Second || r.SeedTime > 0 && r.Seeded+int64(seeded/time.Second) >= r.SeedTime ||
		st != nil && r.Ratio > 0 && st.BytesTotal > 0 && float64(st.Uploaded) >= r.Ratio*float64(st.BytesTotal)
	if reached || goalOf(&r) && seeded >= saveSeeding {
		e.began = now
		if err := t.update(e, func(r *torrentRecord) {
			r.Seeded += int64(seeded / time.Second)
			r.Finished = reached
		}); err != nil {
			return
		}
	}
	if reached {
		t.tell("finished", e)
		t.tasks.Go(func() { t.stop(e, phaseIdle) })
	}
}
