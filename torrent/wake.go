package torrent

import (
	"errors"
	"io/fs"
	"time"

	"spate/storage"
)

// waking is a call of wake. t and err may be read once done is closed.
type waking struct {
	done chan struct{}
	t    *Torrent
	err  error
}

// wake returns the torrent of d and loads it if it is dormant. The caller must release the
// torrent. No peer can join it before its files are known to match the record.
func (s *Session) wake(d *dormant) (*Torrent, error) {
	for {
		s.mu.Lock()
		if t := s.torrents[d.hash]; t != nil {
			t.dormancy.users++
			s.mu.Unlock()
			return t, nil
		}
		if s.closed || s.dormant.by[d.hash] != d {
			s.mu.Unlock()
			return nil, errNoTorrent
		}
		w := d.waking
		if w == nil {
			break
		}
		s.mu.Unlock()
		<-w.done
		if w.err != nil {
			return nil, w.err
		}
	}
	w := &waking{done: make(chan struct{})}
	d.waking = w
	full := s.dormant.awake >= s.opt.MaxConns+maxExtraAwake
	s.mu.Unlock()
	if full {
		s.sleepIdle()
	}
	w.t, w.err = s.load(d)
	s.mu.Lock()
	d.waking = nil
	if w.err == nil && (s.closed || s.dormant.by[d.hash] != d) {
		w.err = errNoTorrent
	}
	if w.err == nil {
		w.t.dormancy.users++
		s.dormant.awake++
		s.enterLocked(w.t)
	}
	s.mu.Unlock()
	close(w.done)
	if w.err != nil {
		if w.t != nil {
			w.t.halt()
			w.t.finish()
		}
		s.log.Warn("a dormant torrent does not wake up", "info_hash", d.hash, "err", w.err)
		return nil, w.err
	}
	s.announcer.SetOwner(d.anns, announced{w.t})
	return w.t, nil
}

// load loads the torrent of d. If its files match the record, the torrent is ready at once.
// Otherwise its data is checked as if it had just been added.
func (s *Session) load(d *dormant) (*Torrent, error) {
	mi, opt, err := d.loader.Load()
	if err == nil && mi.Hash() != d.hash {
		err = errOtherTorrent
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errOtherTorrent) {
		s.forgetDormant(d)
	}
	if err != nil {
		return nil, err
	}
	opt.SeedOnly = true
	t, err := newTorrent(s, mi, opt)
	if err != nil {
		return nil, err
	}
	t.dormancy.record, t.dormancy.announced, t.dormancy.lastBusy = d, d.anns, time.Now()
	t.status.added = time.Unix(d.added, 0)
	s.mu.Lock()
	stamp := d.stamp
	t.count.uploaded.Store(d.uploaded)
	t.count.downloaded.Store(d.downloaded)
	s.mu.Unlock()
	if !t.filesMatch(stamp) {
		t.Start()
		return t, nil
	}
	t.status.started = true
	have := t.emptyLocked()
	have.SetAll()
	t.begin(have)
	return t, nil
}

// forgetDormant removes a dormant torrent that can never wake up, because its .torrent is gone or
// another one, and announces "stopped".
func (s *Session) forgetDormant(d *dormant) {
	s.mu.Lock()
	known := s.dormant.by[d.hash] == d
	if known {
		s.dormant.removeLocked(d)
		s.unnameLocked(d.hash, d.hash2)
	}
	s.mu.Unlock()
	if known {
		s.announcer.Halt(d.anns)
	}
}

// release ends the use of a torrent that lookup or wake returned.
func (s *Session) release(t *Torrent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.dormancy.users--
}

// maySleep reports whether the torrent can become dormant: it is complete and had nothing
// to do for some time.
func (t *Torrent) maySleep(now time.Time) bool {
	if t.dormancy.record == nil {
		return false
	}
	if !t.isIdle() {
		t.dormancy.lastBusy = now
	}
	return now.Sub(t.dormancy.lastBusy) >= sleepAfter
}

// isIdle reports whether the torrent is complete and has nothing to do.
func (t *Torrent) isIdle() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	complete := t.pick == nil || t.pick.HaveCount() == t.info.NumPieces()
	return complete && t.status.state == StateSeeding && t.peerConns.n+t.peerConns.dialing+len(t.events.subs)+len(t.selection.readers) == 0
}

// sleep makes a torrent dormant, unless a goroutine uses it.
func (s *Session) sleep(t *Torrent) {
	d := t.dormancy.record
	stamp := storage.Stamp(t.data.files.Accepted())
	s.mu.Lock()
	if t.dormancy.users > 0 || s.closed || s.torrents[t.hash] != t {
		s.mu.Unlock()
		return
	}
	s.leaveLocked(t)
	s.dormant.awake--
	if up, down := t.count.uploaded.Load(), t.count.downloaded.Load(); up != d.uploaded || down != d.downloaded || stamp != d.stamp {
		if up != d.uploaded {
			d.byDHT = dhtWakes{}
		}
		d.uploaded, d.downloaded, d.stamp = up, down, stamp
		s.dormant.ledger.dirty.Store(true)
	}
	s.mu.Unlock()
	s.announcer.SetOwner(d.anns, d)
	t.halt()
	t.finish()
}

// sleepIdle makes some idle torrents dormant at once, because too many are awake.
func (s *Session) sleepIdle() {
	const enough = 16
	n := 0
	for _, t := range s.Torrents() {
		if t.dormancy.record != nil && t.isIdle() {
			s.sleep(t)
			n++
			if n == enough {
				return
			}
		}
	}
}
