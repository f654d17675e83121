package torrent

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"spate"
	"spate/bitfield"
	"spate/discovery"
	"spate/metainfo"
	"spate/storage"
	"spate/torrent/internal/announce"
	"spate/tracker"
)

// dormancy holds the fields of a torrent that the session and the announcer use.
type dormancy struct {
	announced []*announce.Swarm // one for each swarm; guarded by the announcer's lock
	running   atomic.Bool       // the torrent downloads or seeds
	record    *dormant          // the record of a torrent that can be dormant; nil for other torrents
	users     int               // goroutines that use a torrent that can become dormant; guarded by Session.mu
	lastBusy  time.Time         // when the torrent last had something to do; owned by the session's ticker
}

// A torrent that no peer asks for can be dormant. The session then keeps only a record of a
// few hundred bytes, and no open file and no timer, so that one session can seed a hundred
// thousand torrents.
//
//  1. AddDormant  loads the torrent and checks its data, as Add does. Files that have not
//     changed since the ledger recorded them are not read again.
//  2. announce    announces it like any other torrent.
//  3. wake        loads the torrent again for a handshake, a tracker that reports leechers, or a
//     peer that the DHT names (dormantdht.go), and compares its files with the record. It is
//     then a torrent like any other.
//  4. sleep       makes the torrent dormant again after it had nothing to do for some time.
//
// The ledger records across restarts which torrents are complete; see ledger.go.

const (
	sleepAfter    = 10 * time.Second // time with nothing to do, after which a torrent becomes dormant
	maxExtraAwake = 64               // torrents that may be loaded at the same time, in addition to Options.MaxConns
)

// Loader loads a torrent when it is needed. Load may be called at any time and by any
// goroutine, and returns the same torrent each time.
type Loader interface {
	Load() (*metainfo.MetaInfo, AddOptions, error)
}

// dormant is the record of a torrent that can be dormant.
type dormant struct {
	s           *Session
	loader      Loader
	anns        []*announce.Swarm
	hash, hash2 spate.InfoHash // the same as in Torrent
	private     bool           // BEP 27
	added       int64          // when the torrent was added, in Unix seconds

	// Guarded by Session.mu.
	stamp                uint64  // stamp of the files when they were verified
	uploaded, downloaded int64   // bytes of payload when the torrent last became dormant
	waking               *waking // the call of wake in progress; nil if there is none
	byDHT                dhtWakes
}

// dormants holds the torrents of a session that can be dormant.
type dormants struct {
	by    map[spate.InfoHash]*dormant // by info-hash, including torrents that are awake; guarded by Session.mu
	awake int                         // number of these torrents that are awake; guarded by Session.mu
	calls wakeQueue
	tiers sync.Map // announce lists by their text: string to [][]string

	ledger ledger
}

func (ds *dormants) removeLocked(d *dormant) {
	delete(ds.by, d.hash)
	delete(ds.by, d.hash2)
	ds.ledger.dirty.Store(true)
}

// AddDormant adds a torrent that only seeds. It checks the data, except for files that are
// known to be complete and have not changed, and returns the info-hash by which the session
// knows the torrent. The torrent is dormant while no peer asks for it: it uses almost no
// memory, and [Session.Torrents] leaves it out. The session loads it again when a peer
// connects.
//
// If data is missing or bad, or hashes of a v2 torrent are missing, AddDormant adds the
// torrent like [Session.Add] and returns dormant false. [Session.Torrent] returns it.
//
// The data must be in files. The session reads from its ledger in Options.ResumeDir, or from
// a record of the torrent in AddOptions.ResumeDir, which files were complete.
func (s *Session) AddDormant(l Loader) (infoHash spate.InfoHash, dormant bool, err error) {
	s.dormant.ledger.once.Do(s.loadLedger)
	mi, opt, err := l.Load()
	if err != nil {
		return infoHash, false, err
	}
	if opt.Storage != nil {
		return infoHash, false, ErrNotFiles
	}
	opt.SeedOnly = true
	d, complete, err := s.newDormant(l, mi, opt)
	switch {
	case err != nil:
	case complete:
		err = s.enterDormant(d, mi)
	default:
		_, err = s.Add(mi, opt)
	}
	if err != nil {
		return spate.InfoHash{}, false, err
	}
	return d.hash, complete, nil
}

// newDormant returns the record of a torrent and whether its data is complete.
func (s *Session) newDormant(l Loader, mi *metainfo.MetaInfo, opt AddOptions) (d *dormant, complete bool, err error) {
	t, err := identify(s, mi, opt)
	if err != nil {
		return nil, false, err
	}
	d = &dormant{s: s, loader: l, hash: t.hash, hash2: t.hash2, private: mi.Info.Private}
	t.opt.ResumeDir = opt.ResumeDir
	complete = mi.MissingLayers() == 0 && t.isComplete(d)
	t.life.cancel()
	t.data.store.Close()
	if s.ctx.Err() != nil {
		return nil, false, ErrClosed
	}
	return d, complete, nil
}

// enterDormant adds a dormant torrent to the session and announces it.
func (s *Session) enterDormant(d *dormant, mi *metainfo.MetaInfo) error {
	d.anns = s.newSwarms(d, d.hash, d.hash2, s.dormant.shareTiers(mi.AnnounceList), d.private, nil)
	s.mu.Lock()
	err := s.takenLocked(d.hash, d.hash2)
	if err == nil {
		s.dormant.by[d.hash] = d
		s.nameLocked(d.hash)
		if !d.hash2.IsZero() {
			s.dormant.by[d.hash2] = d
			s.nameLocked(d.hash2)
		}
	}
	s.mu.Unlock()
	if err != nil {
		return fmt.Errorf("%w: %s", err, mi.Info.Name)
	}
	s.dormant.ledger.dropNote(d)
	s.announcer.Start(d.anns, d.uploaded, d.downloaded)
	return nil
}

// isComplete reports whether all data of the torrent is good. It sets the time, the byte
// counts and the stamp in d.
func (t *Torrent) isComplete(d *dormant) bool {
	d.added = t.status.added.Unix()
	if n, ok := t.s.dormant.ledger.note(t.hash); ok {
		d.uploaded, d.downloaded, d.added = n.Uploaded, n.Downloaded, n.Added.Unix()
		if t.filesMatch(n.Stamp) {
			d.stamp = storage.Stamp(t.data.files.Accepted())
			return true
		}
	}
	have, err := t.findData()
	if err != nil || !have.All() {
		return false
	}
	if d.uploaded+d.downloaded == 0 {
		d.uploaded, d.downloaded = t.count.uploaded.Load(), t.count.downloaded.Load()
	}
	d.stamp = storage.Stamp(t.data.files.Accepted())
	return true
}

// filesMatch accepts the files as they are and reports whether they have the stamp. If they are
// only touched, it checks some of the data.
func (t *Torrent) filesMatch(stamp uint64) bool {
	if t.data.files.Accept() != nil {
		return false
	}
	now := storage.Stamp(t.data.files.Accepted())
	if !storage.StampTouched(stamp, now) {
		return stamp == now
	}
	all := bitfield.New(t.info.NumPieces())
	all.SetAll()
	have := all.Clone()
	return t.checkTouched(all, have) == nil && have.All()
}

// shareTiers returns a copy of an announce list. Equal lists share one copy. The copy does
// not keep the metainfo in memory.
func (ds *dormants) shareTiers(tiers [][]string) [][]string {
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

// PartialSeed implements [announce.Torrent].
func (d *dormant) PartialSeed() bool { return false }

// Answered implements [announce.Torrent]. An answer that names leechers wakes the torrent,
// because they may be unable to connect to this side.
func (d *dormant) Answered(resp *tracker.AnnounceResponse, url string) {
	if resp.Incomplete != 0 && len(resp.Peers) > 0 {
		d.wakeFor(func(t announced) { t.Answered(resp, url) })
	}
}

// Found implements [announce.Torrent]. A peer that is not a seed wakes the torrent.
func (d *dormant) Found(peer discovery.Candidate, url string) {
	if !peer.Seed {
		d.wakeFor(func(t announced) { t.Found(peer, url) })
	}
}

// wakeFor wakes the torrent and calls f with the loaded torrent.
func (d *dormant) wakeFor(f func(announced)) {
	t, err := d.s.wake(d)
	if err != nil {
		d.Log().Debug("a dormant torrent does not wake up", "err", err)
		return
	}
	f(announced{t})
	d.s.release(t)
}

// Dormant implements [announce.Torrent].
func (d *dormant) Dormant() bool { return true }

// Log implements [announce.Torrent].
func (d *dormant) Log() *slog.Logger { return d.s.log.With("info_hash", d.hash) }

// errOtherTorrent is the error of a [Loader] that returns another torrent than before.
var errOtherTorrent = errors.New("the .torrent is not the one that was added")

// Dormant returns how many torrents are dormant at this moment.
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
