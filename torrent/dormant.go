package torrent

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"spate"
	"spate/discovery"
	"spate/metainfo"
	"spate/storage"
	"spate/torrent/internal/announce"
	"spate/tracker"
)

// A torrent that nobody asks for is dormant: of it there are a few hundred bytes,
// no file is open and no timer runs, so that one session serves a hundred thousand.
//
//  1. AddDormant  loads the torrent and checks its data, as Add does; what was
//     whole before, by the ledger and the looks of the files, is not read again
//  2. announce    as for all torrents; see announcestate.go
//  3. wake        for a handshake, or a tracker that knows of leechers: the torrent
//     is loaded again, its files are compared, and it is one like any other
//  4. sleep       when it has had nothing to do for some time
//
// The ledger remembers over restarts what was verified; see ledger.go.

const (
	sleepAfter = 10 * time.Second // without peers
	spareAwake = 64               // torrents that may be awake beyond the session's connections
)

// Loader loads a torrent when it is needed. Load may be called at any time and from
// any goroutine, and returns the same each time.
type Loader interface {
	Load() (*metainfo.MetaInfo, AddOptions, error)
}

// dormant is what there is of a torrent that is dormant, and what it returns to.
type dormant struct {
	s           *Session
	loader      Loader
	anns        []*announce.Swarm
	hash, hash2 spate.InfoHash // as in Torrent
	private     bool           // BEP 27
	added       int64          // unix seconds

	// Guarded by Session.mu.
	stamp                uint64 // of the files when they were verified
	uploaded, downloaded int64  // when it fell asleep
	waking               *waking
}

// waking is a dormant torrent that wakes up. The result may be read once done is
// closed.
type waking struct {
	done chan struct{}
	t    *Torrent
	err  error
}

// dormants are the torrents of a session that sleep while nobody asks for them.
type dormants struct {
	by    map[spate.InfoHash]*dormant // awake or not; guarded by Session.mu
	awake int                         // guarded by Session.mu
	tiers sync.Map                    // announce lists, each once: string to [][]string

	ledger ledger
}

func (ds *dormants) removeLocked(d *dormant) {
	delete(ds.by, d.hash)
	delete(ds.by, d.hash2)
	ds.ledger.dirty.Store(true)
}

// AddDormant takes a torrent into the session that is only seeded. When it returns,
// the data has been checked, as far as it was not known to be whole, and from then
// on the torrent is dormant while nobody asks for it: it costs next to nothing and
// stands in no list of torrents. It is loaded again when a peer comes.
//
// Where data is missing or bad, or hashes of a v2 half are missing, the torrent is
// added as by [Session.Add], and returned; otherwise AddDormant returns nil. The
// storage must be files. AddOptions.ResumeDir is looked into for a record of the
// torrent's own; without it only the ledger in the session's ResumeDir is.
func (s *Session) AddDormant(l Loader) (*Torrent, error) {
	s.dormant.ledger.once.Do(s.loadLedger)
	mi, opt, err := l.Load()
	if err != nil {
		return nil, err
	}
	if opt.Storage != nil {
		return nil, ErrNotFiles
	}
	opt.SeedOnly = true
	t, err := identify(s, mi, opt)
	if err != nil {
		return nil, err
	}
	d := &dormant{s: s, loader: l, hash: t.hash, hash2: t.hash2, private: mi.Info.Private}
	t.opt.ResumeDir = opt.ResumeDir
	whole := mi.MissingLayers() == 0 && t.isWhole(d)
	t.cancel()
	t.store.Close()
	if !whole {
		if s.ctx.Err() != nil {
			return nil, ErrClosed
		}
		return s.Add(mi, opt)
	}
	d.anns = s.newSwarms(d, d.hash, d.hash2, s.dormant.intern(mi.AnnounceList), nil)
	s.mu.Lock()
	err = s.takenLocked(d.hash, d.hash2)
	if err == nil {
		s.dormant.by[d.hash] = d
		if !d.hash2.IsZero() {
			s.dormant.by[d.hash2] = d
		}
	}
	s.mu.Unlock()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, t.name)
	}
	s.dormant.ledger.noted(d)
	s.announcer.Start(d.anns, d.uploaded, d.downloaded)
	return nil, nil
}

// isWhole reports whether all data is there, and notes in d when that was seen.
func (t *Torrent) isWhole(d *dormant) bool {
	d.added = t.added.Unix()
	if n, ok := t.s.dormant.ledger.note(t.hash); ok {
		d.uploaded, d.downloaded, d.added = n.Uploaded, n.Downloaded, n.Added.Unix()
		if t.looksLike(n.Stamp) {
			d.stamp = n.Stamp
			return true
		}
	}
	have, err := t.findData()
	if err != nil || !have.All() {
		return false
	}
	if d.uploaded+d.downloaded == 0 {
		d.uploaded, d.downloaded = t.uploaded.Load(), t.downloaded.Load()
	}
	d.stamp = storage.Stamp(t.files.Accepted())
	return true
}

// looksLike accepts the files as they are and reports whether they are what they
// were when they had that stamp.
func (t *Torrent) looksLike(stamp uint64) bool {
	return t.files.Accept() == nil && storage.Stamp(t.files.Accepted()) == stamp
}

// intern returns tiers, equal ones always as the same slices and strings, which no
// .torrent is kept for.
func (ds *dormants) intern(tiers [][]string) [][]string {
	var key strings.Builder
	for _, tier := range tiers {
		for _, u := range tier {
			key.WriteString(u)
			key.WriteByte('\n')
		}
		key.WriteByte('\n')
	}
	if known, ok := ds.tiers.Load(key.String()); ok {
		return known.([][]string)
	}
	own := make([][]string, len(tiers))
	for i, tier := range tiers {
		own[i] = slices.Clone(tier)
		for j := range own[i] {
			own[i][j] = strings.Clone(own[i][j])
		}
	}
	known, _ := ds.tiers.LoadOrStore(key.String(), own)
	return known.([][]string)
}

// Progress implements [announce.Torrent].
func (d *dormant) Progress() (uploaded, downloaded, left int64) {
	d.s.mu.Lock()
	defer d.s.mu.Unlock()
	return d.uploaded, d.downloaded, 0
}

// Answered implements [announce.Torrent]. An answer that names leechers wakes the torrent,
// because they may be unable to connect to this side.
func (d *dormant) Answered(resp *tracker.AnnounceResponse, url string) {
	if resp.Incomplete != 0 && len(resp.Peers) > 0 {
		d.wakeFor(func(t announced) { t.Answered(resp, url) })
	}
}

// Found implements [announce.Torrent]. The peer wakes the torrent unless it is a seed.
func (d *dormant) Found(peer discovery.Candidate, url string) {
	if !peer.Seed {
		d.wakeFor(func(t announced) { t.Found(peer, url) })
	}
}

// wakeFor wakes the torrent and calls f with it.
func (d *dormant) wakeFor(f func(announced)) {
	t, err := d.s.wake(d)
	if err != nil {
		d.Log().Debug("a dormant torrent does not wake", "err", err)
		return
	}
	f(announced{t})
	d.s.letGo(t)
}

// Dormant implements [announce.Torrent].
func (d *dormant) Dormant() bool { return true }

func (d *dormant) Log() *slog.Logger { return d.s.log.With("info_hash", d.hash) }

// wake returns the torrent of d, awake; the caller lets go of it. Until its files
// have been found to be what they were, no peer can join it.
func (s *Session) wake(d *dormant) (*Torrent, error) {
	for {
		s.mu.Lock()
		if t := s.torrents[d.hash]; t != nil {
			t.users++
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
	full := s.dormant.awake >= s.opt.MaxConns+spareAwake
	s.mu.Unlock()
	if full {
		s.sleepIdle()
	}
	w.t, w.err = s.rouse(d)
	s.mu.Lock()
	d.waking = nil
	if w.err == nil && (s.closed || s.dormant.by[d.hash] != d) {
		w.err = errNoTorrent
	}
	if w.err == nil {
		w.t.users++
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
		s.log.Warn("a torrent does not wake up", "info_hash", d.hash, "err", w.err)
		return nil, w.err
	}
	s.announcer.SetOwner(d.anns, announced{w.t})
	return w.t, nil
}

var errOther = errors.New("the .torrent is another one than it was")

// rouse makes a torrent of d. While its files are as they were it is ready at
// once, otherwise it is checked as if it had just been added.
func (s *Session) rouse(d *dormant) (*Torrent, error) {
	mi, opt, err := d.loader.Load()
	if err != nil {
		return nil, err
	}
	if mi.Hash() != d.hash {
		return nil, errOther
	}
	opt.SeedOnly = true
	t, err := newTorrent(s, mi, opt)
	if err != nil {
		return nil, err
	}
	t.asleep, t.anns, t.busy = d, d.anns, time.Now()
	t.added = time.Unix(d.added, 0)
	s.mu.Lock()
	stamp := d.stamp
	t.uploaded.Store(d.uploaded)
	t.downloaded.Store(d.downloaded)
	s.mu.Unlock()
	if !t.looksLike(stamp) {
		t.Start()
		return t, nil
	}
	t.started = true
	have := t.emptyLocked()
	have.SetAll()
	t.begin(have)
	return t, nil
}

// letGo ends the use of a torrent that lookup or wake returned.
func (s *Session) letGo(t *Torrent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.users--
}

// drowsy reports whether the torrent may fall asleep: it has everything, and has had
// nothing to do for some time.
func (t *Torrent) drowsy(now time.Time) bool {
	if t.asleep == nil {
		return false
	}
	if !t.idle() {
		t.busy = now
	}
	return now.Sub(t.busy) >= sleepAfter
}

// idle reports whether a torrent has everything and nothing to do.
func (t *Torrent) idle() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	whole := t.pick == nil || t.pick.HaveCount() == t.info.NumPieces()
	return whole && t.state == StateSeeding && t.nconns+t.dialing+len(t.subs)+len(t.readers) == 0
}

// sleep makes a torrent dormant, unless somebody has come for it meanwhile.
func (s *Session) sleep(t *Torrent) {
	d := t.asleep
	stamp := storage.Stamp(t.files.Accepted())
	s.mu.Lock()
	if t.users > 0 || s.closed || s.torrents[t.hash] != t {
		s.mu.Unlock()
		return
	}
	delete(s.torrents, t.hash)
	delete(s.torrents, t.hash2)
	s.dormant.awake--
	if up, down := t.uploaded.Load(), t.downloaded.Load(); up != d.uploaded || down != d.downloaded || stamp != d.stamp {
		d.uploaded, d.downloaded, d.stamp = up, down, stamp
		s.dormant.ledger.dirty.Store(true)
	}
	s.mu.Unlock()
	s.announcer.SetOwner(d.anns, d)
	t.halt()
	t.finish()
}

// sleepIdle puts torrents to sleep at once that have nothing to do, because many
// are awake.
func (s *Session) sleepIdle() {
	const enough = 16
	n := 0
	for _, t := range s.Torrents() {
		if t.asleep != nil && t.idle() {
			s.sleep(t)
			if n++; n == enough {
				return
			}
		}
	}
}

// Dormant returns how many torrents sleep at this moment.
func (s *Session) Dormant() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for ih, d := range s.dormant.by {
		if ih == d.hash && s.torrents[ih] == nil {
			n++
		}
	}
	return n
}
