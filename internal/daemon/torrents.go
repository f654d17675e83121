package daemon

import (
	"cmp"
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"spate"
	"spate/internal/fault"
	"spate/internal/source"
)

// TorrentsConfig configures the added torrents of a daemon.
type TorrentsConfig struct {
	Folders      []DownloadFolder // none: the directory "downloads" of the state
	MaxDownloads int              // downloads at the same time; 0: no limit
	MaxSeeds     int              // seeds at the same time; 0: no limit
	Drops        []DropFolder     // folders whose .torrent files and magnet links are added
}

// Torrents are the torrents that were added to a daemon: it downloads them, and seeds them
// afterwards. Every state is on the disk before the call that makes it returns. All methods may be
// called concurrently.
//
// A torrent that is paused, waits in the queue, has failed or has reached its goal is only a record.
// The engine has the others. A torrent that was complete when the daemon started is dormant there
// while nobody asks for it.
type Torrents struct {
	env     *Env
	session *Session
	store   torrentStore
	claims  string // directory of the locks of data; see [Env.ClaimData]
	folders folderRules
	conf    TorrentsConfig
	sources source.Resolver
	state   string
	rescan  time.Duration // of the folders of conf.Drops; 0: the default
	settle  time.Duration
	taken   func(spate.InfoHash) (release string) // the release that has a torrent, or ""
	event   func(what string, i *TorrentInfo)     // called for each change that users want to read
	timed   func(label string) labelLimits        // what the schedule and the monthly volume say

	work     chan struct{} // a change for Run
	checks   chan struct{} // limits the torrents whose data is checked at the same time
	previews chan struct{} // limits the calls of Preview at the same time
	history  rateHistory
	tasks    sync.WaitGroup // started by Run

	placing sync.Mutex // held while places in the queue change; locked before addedTorrent.saving

	// mu guards the fields below, and those of addedTorrent that say so. It is not held during I/O, so
	// that lists are quick while records are written.
	mu    sync.Mutex
	life  context.Context // nil before Run
	by    map[spate.InfoHash]*addedTorrent
	order []*addedTorrent // by place in the queue
	// entering are the torrents whose first record is being written.
	entering map[spate.InfoHash]bool
	last     int // the last place that was given away
}

// addedTorrent is a torrent of [Torrents].
type addedTorrent struct {
	op sync.Mutex // held while the engine gets or loses the torrent, and while its data is moved or deleted
	// saving is held while the record is written and until rec has changed too, so that writes are in
	// order. It is locked after op and before Torrents.mu.
	saving sync.Mutex

	// Guarded by Torrents.mu.
	rec      torrentRecord
	phase    torrentPhase
	cancel   context.CancelFunc // ends the phase preparing; nil in other phases
	starts   int                // how often the phase preparing has begun
	err      error              // why it has failed; it is not started again before a user asks for it
	removed  bool
	checking *progressOf // of a check of existing data; nil if there is none
	fresh    bool        // the data is checked from the beginning: it is not dormant

	download *Download // guarded by op; nil if the engine does not download it
	busy     time.Time // when it last received or sent data; owned by Run
	bytes    int64     // received and sent by then; owned by Run
	down     int64     // received by then; owned by Run
	stalled  bool      // it was told that nothing comes; owned by Run
	began    time.Time // when its seeding was last counted; owned by Run
	asked    bool      // its last resort was asked; owned by Run
	limited  bool      // it has limits of its label; owned by Run
}

type torrentPhase uint8

const (
	phaseIdle      torrentPhase = iota // only a record
	phaseQueued                        // the same, and it waits for its turn
	phasePreparing                     // peers are asked for the torrent, or its data is checked before the engine gets it
	phaseRunning                       // the engine has it
	phaseDormant                       // the engine has it as a dormant torrent
	phaseMoving
)

// progressOf is the progress of a check.
type progressOf struct{ done, total int64 }

// maxChecks is how many torrents are checked and opened at the same time.
const maxChecks = 2

// Limits returns how many torrents download and seed at the same time; 0: no limit.
func (t *Torrents) Limits() (downloads, seeds int) { return t.conf.MaxDownloads, t.conf.MaxSeeds }

// openTorrents loads the added torrents of a daemon. [Torrents.Run] runs them.
func (d *Daemon) openTorrents(c TorrentsConfig) error {
	state, err := filepath.Abs(d.conf.State)
	if err != nil {
		return err
	}
	t := &Torrents{
		env: d.env, session: d.session, store: torrentStore{dir: filepath.Join(state, "torrents")}, claims: filepath.Join(state, "get"), state: state, conf: c,
		folders: folderRules{folders: c.Folders, unnamed: filepath.Join(state, "downloads"), state: state, watched: d.conf.Folders},
		sources: source.Resolver{Bind: d.conf.Session.Options.Bind, Proxy: d.env.Out.Chooser(), Log: d.env.Log, Notef: d.env.Notef},
		rescan:  d.conf.Rescan, settle: d.conf.Settle,
		work: make(chan struct{}, 1), checks: make(chan struct{}, maxChecks), previews: make(chan struct{}, maxPreviews), by: map[spate.InfoHash]*addedTorrent{}, entering: map[spate.InfoHash]bool{},
	}
	t.taken = func(ih spate.InfoHash) string { return d.releaseOf(ih) }
	t.event = d.torrentChanged
	t.timed = d.timed.forLabel
	d.torrents = t
	return t.load()
}

// load reads the records of all torrents.
func (t *Torrents) load() error {
	list, err := t.store.load(t.env.Warnf)
	if err != nil {
		return fault.WithSetting(err, "state")
	}
	for _, r := range list {
		e := &addedTorrent{rec: *r}
		t.by[r.InfoHash] = e
		t.order = append(t.order, e)
	}
	return nil
}

// releaseOf returns the release whose torrent has an info-hash, or "".
func (d *Daemon) releaseOf(ih spate.InfoHash) string {
	r, err := d.Catalog().Find(d.life, ih)
	if err != nil {
		return ""
	}
	return r.Ref()
}

// Torrents returns the added torrents. It returns an error for a publisher in the foreground, which
// has none.
func (d *Daemon) Torrents() (*Torrents, error) {
	if d.torrents == nil {
		return nil, fault.New(fault.NotFound, "start spate serve, which downloads torrents", "spate publish downloads no torrents")
	}
	return d.torrents, nil
}

// followEvery is the interval in which the daemon looks at the torrents that run.
const followEvery = time.Second

// Run runs the torrents until ctx ends.
func (t *Torrents) Run(ctx context.Context) error {
	t.mu.Lock()
	t.life = ctx
	t.mu.Unlock()
	defer t.tasks.Wait()
	t.resumeOperations(ctx)
	if err := t.runDrops(ctx, t.rescan, t.settle); err != nil {
		return err
	}
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		t.follow(t.env.Now())
		t.schedule(ctx)
		t.limitLabels()
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-t.work:
		}
	}
}

// release releases the locks of all data. It is called after Run and the session have ended.
func (t *Torrents) release() {
	for _, e := range t.order {
		e.op.Lock()
		if e.download != nil {
			e.download.Release()
			e.download = nil
		}
		e.op.Unlock()
	}
}

// wake makes Run look for changes.
func (t *Torrents) wake() {
	select {
	case t.work <- struct{}{}:
	default:
	}
}

// minPrefix is the number of digits of an info-hash that may stand for it.
const minPrefix = 6

// find returns the torrent that ref names: its info-hash or the beginning of it, or its name.
func (t *Torrents) find(ref string) (*addedTorrent, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if ih, err := spate.ParseInfoHash(ref); err == nil && t.by[ih] != nil {
		return t.by[ih], nil
	}
	var found []*addedTorrent
	for _, e := range t.order {
		if e.rec.Name == ref || len(ref) >= minPrefix && strings.HasPrefix(e.rec.InfoHash.String(), strings.ToLower(ref)) {
			found = append(found, e)
		}
	}
	switch len(found) {
	case 0:
		return nil, fault.New(fault.NotFound, "spate list shows them", "no torrent %s was added here", strings.ToValidUTF8(ref, "\ufffd"))
	case 1:
		return found[0], nil
	}
	return nil, fault.UsageHint("write its info-hash, which spate list --json shows", "several torrents are called %s", ref)
}

// TorrentList selects the torrents that [Torrents.List] returns. The zero TorrentList selects all.
type TorrentList struct {
	Text   string // words that the name must contain
	Label  string // "": any
	State  string // a state of [TorrentInfo]; "": any
	Offset int
	Limit  int // maximum number; 0: no limit
}

// List returns torrents in the order of the queue, and how many match.
func (t *Torrents) List(l TorrentList) (list []TorrentInfo, total int) {
	words := strings.Fields(strings.ToLower(l.Text))
	t.mu.Lock()
	defer t.mu.Unlock()
	list = make([]TorrentInfo, 0, min(len(t.order), cmp.Or(l.Limit, len(t.order))))
	for _, e := range t.order {
		if l.Label != "" && e.rec.Label != l.Label || !hasWords(e.rec.Name, words) {
			continue
		}
		counted := l.State == "" // otherwise the state must be known to count
		inPage := total >= l.Offset && (l.Limit <= 0 || len(list) < l.Limit)
		if counted && !inPage {
			total++
			continue
		}
		i := t.infoLocked(e)
		if l.State != "" && i.State != l.State {
			continue
		}
		total++
		if inPage {
			list = append(list, i)
		}
	}
	return list, total
}

func hasWords(name string, words []string) bool {
	if len(words) == 0 {
		return true
	}
	name = strings.ToLower(name)
	return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(name, w) })
}

// Info returns the torrent that ref names.
func (t *Torrents) Info(ref string) (TorrentInfo, error) {
	e, err := t.find(ref)
	if err != nil {
		return TorrentInfo{}, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.infoLocked(e), nil
}

// tell reports a change of e.
func (t *Torrents) tell(what string, e *addedTorrent) {
	t.mu.Lock()
	i := t.infoLocked(e)
	t.mu.Unlock()
	t.event(what, &i)
}

// update changes the record of e and saves it. A change that cannot be saved is not made. change must
// not lock t.mu.
func (t *Torrents) update(e *addedTorrent, change func(r *torrentRecord)) error {
	e.saving.Lock()
	defer e.saving.Unlock()
	t.mu.Lock()
	r, removed := e.rec, e.removed
	t.mu.Unlock()
	if removed {
		return errRemoved
	}
	change(&r)
	if err := t.store.save(&r); err != nil {
		return err
	}
	t.mu.Lock()
	e.rec = r
	t.mu.Unlock()
	return nil
}

// errRemoved is the error of an operation on a torrent that was removed meanwhile.
var errRemoved = errors.New("the torrent was removed")
