package publish

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"spate"
)

// Sources are the functions that a [Counter] calls to read sums. They must return quickly
// and allow concurrent calls.
type Sources struct {
	// Completed returns the number of downloads of a swarm that the tracker has seen
	// finish. The number may start again at 0 when the tracker restarts, but does not
	// decrease while it runs.
	Completed func(spate.InfoHash) int64
	// Sent returns the bytes of a torrent that the seed and the site have sent since
	// they started.
	Sent func(spate.InfoHash) (seed, http int64)
	// Fresh means that the catalog is newer than the sums. The first sums of a release are
	// then not added to its history.
	Fresh bool
	// Finished is called after the counter has counted finished downloads of a release; may be
	// nil. It must not call the counter.
	Finished func(Finish)
}

// Finish says that downloads of a release have finished.
type Finish struct {
	Release   *Release      // without files and notes
	Downloads int64         // number of downloads that have finished since the last call, at least 1
	Total     Counts        // of all downloads of the release, these included
	FirstCopy time.Duration // [Release.FirstCopy] if it was set now, otherwise 0
}

// Counter writes the history of the releases into a catalog: downloads and bytes by day. It
// adds the difference between the tracker's sums and the history, including downloads that
// finished while the process did not run. It therefore counts every download exactly once,
// even if the process is killed. It reads the sums of bytes every few seconds; if the
// process is killed, the bytes since the last read are not counted.
type Counter struct {
	catalog Catalog
	src     Sources
	now     func() time.Time
	log     *slog.Logger
	wake    chan struct{}

	mu    sync.Mutex
	known map[spate.InfoHash]*tally // by main info-hash

	wantedMu sync.Mutex
	wanted   map[spate.InfoHash]time.Time // by any info-hash: begins of downloads that the catalog does not contain yet
}

// tally is the counting state of a release.
type tally struct {
	offset     int64  // completed downloads in the history minus the tracker's sum
	completed  int64  // completed downloads in the history
	total      Counts // total counts in the history
	seed, http int64  // last sums of Sources.Sent
	first      bool   // whether FirstCopy is set
	untold     Finish // Downloads and FirstCopy of downloads over HTTP that were not reported yet
}

// countEvery is the time between two counts.
const countEvery = 5 * time.Second

// NewCounter returns a counter for the releases in c. A nil log discards messages.
func NewCounter(c Catalog, src Sources, now func() time.Time, log *slog.Logger) *Counter {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Counter{catalog: c, src: src, now: now, log: log, wake: make(chan struct{}, 1), known: map[spate.InfoHash]*tally{}, wanted: map[spate.InfoHash]time.Time{}}
}

// Completed notifies the counter that a download has finished. It does not block.
func (c *Counter) Completed() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Wanted notifies the counter that a download of a torrent begins. ih must be an info-hash of a
// release. Wanted does not block.
func (c *Counter) Wanted(ih spate.InfoHash) {
	now := c.now()
	c.wantedMu.Lock()
	defer c.wantedMu.Unlock()
	if _, ok := c.wanted[ih]; !ok {
		c.wanted[ih] = now
	}
}

// recordWanted records when the first download of r began, and returns r with that time.
func (c *Counter) recordWanted(ctx context.Context, r *Release) (*Release, error) {
	var at time.Time
	c.wantedMu.Lock()
	for _, ih := range r.AllHashes() {
		if t, ok := c.wanted[ih]; ok && (at.IsZero() || t.Before(at)) {
			at = t
		}
		delete(c.wanted, ih)
	}
	c.wantedMu.Unlock()
	if at.IsZero() || !r.Wanted.IsZero() || r.FirstCopy > 0 {
		return r, nil
	}
	change := Change{Wanted: &at}
	if err := c.catalog.Update(ctx, r.Ref(), change); err != nil {
		return r, err
	}
	return r.With(change)
}

// Direct counts a complete download of a file over HTTP. The count is durable when Direct
// returns.
func (c *Counter) Direct(ctx context.Context, ih spate.InfoHash) {
	c.direct(ctx, ih, Counts{Direct: 1})
}

// Archive counts a complete download of an archive of all files over HTTP. The count is durable when
// Archive returns.
func (c *Counter) Archive(ctx context.Context, ih spate.InfoHash) {
	c.direct(ctx, ih, Counts{Direct: 1, Archives: 1})
}

// direct counts a complete download over HTTP.
func (c *Counter) direct(ctx context.Context, ih spate.InfoHash, add Counts) {
	now := c.now()
	if err := c.catalog.Count(ctx, ih, now, add); err != nil {
		c.log.Error("publish: counting a download failed", "info_hash", ih, "err", err)
		return
	}
	var f Finish
	if r, err := c.catalog.Find(ctx, ih); err == nil && (r.NumFiles == 1 || add.Archives > 0) {
		f.Downloads = 1
		if r, err = c.recordWanted(ctx, r); err != nil {
			c.log.Error("publish: recording the begin of the first download failed", "release", r.Ref(), "err", err)
		}
		if r.FirstCopy == 0 {
			f.FirstCopy = c.first(ctx, r, now)
		}
	}
	c.mu.Lock()
	if t := c.known[ih]; t != nil {
		t.total = t.total.Add(add)
		t.untold.Downloads += f.Downloads
		t.untold.FirstCopy = max(t.untold.FirstCopy, f.FirstCopy)
		t.first = t.first || f.FirstCopy > 0
	}
	c.mu.Unlock()
	c.Completed() // the next count reports the download with the bytes that were sent for it
}

// report reports downloads of r that have finished.
func (c *Counter) report(r *Release, t *tally, completed int64, first time.Duration) {
	f := Finish{Release: r, Downloads: completed + t.untold.Downloads, Total: t.total, FirstCopy: max(first, t.untold.FirstCopy)}
	t.untold = Finish{}
	if f.Downloads > 0 && c.src.Finished != nil {
		c.src.Finished(f)
	}
}

// Run counts until ctx ends, counts once more, and returns the cause of ctx.
func (c *Counter) Run(ctx context.Context) error {
	tick := time.NewTicker(countEvery)
	defer tick.Stop()
	c.All(ctx)
	for {
		select {
		case <-ctx.Done():
			late, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
			defer cancel()
			c.All(late)
			return context.Cause(ctx)
		case <-tick.C:
		case <-c.wake:
			select { // wait a little, to count downloads that finish at about the same time together
			case <-ctx.Done():
			case <-time.After(countEvery / 10):
			}
		}
		c.All(ctx)
	}
}

// All immediately counts the downloads and bytes of every release.
func (c *Counter) All(ctx context.Context) {
	list, _, err := c.catalog.List(ctx, Query{All: true})
	if err != nil {
		c.log.Error("publish: listing the catalog failed", "err", err)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	alive := map[spate.InfoHash]*tally{}
	for _, r := range list {
		t := c.known[r.Hash()]
		if err := c.one(ctx, r, &t); err != nil && !errors.Is(err, context.Canceled) {
			c.log.Error("publish: counting downloads failed", "release", r.Ref(), "err", err)
		}
		if t != nil {
			alive[r.Hash()] = t
		}
	}
	c.known = alive
}

// Totals returns the total counts of r without reading the catalog. They are zero before
// the first count.
func (c *Counter) Totals(r *Release) Counts {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := c.known[r.Hash()]; t != nil {
		return t.total
	}
	return Counts{}
}

// sum returns the tracker's number of completed downloads of r. For a hybrid it takes the
// larger number of the two swarms, because clients announce both hashes. It adds the number
// of the twin, whose swarm has other peers.
func (c *Counter) sum(r *Release) (n int64) {
	for _, ih := range r.Hashes() {
		n = max(n, c.src.Completed(ih))
	}
	if !r.Twin.Hash.IsZero() {
		n += c.src.Completed(r.Twin.Hash)
	}
	return n
}

// one counts the downloads and bytes of r. *at is its tally; one creates it if it is nil.
func (c *Counter) one(ctx context.Context, r *Release, at **tally) error {
	r, err := c.recordWanted(ctx, r)
	if err != nil {
		return err
	}
	seed, http := c.src.Sent(r.Hash())
	if !r.Twin.Hash.IsZero() {
		s, h := c.src.Sent(r.Twin.Hash)
		seed, http = seed+s, http+h
	}
	sum := c.sum(r)
	t := *at
	if t == nil {
		total, err := c.catalog.Total(ctx, r.Hash())
		if err != nil {
			return err
		}
		// The tracker's sum is below the history if the tracker has lost its state.
		t = &tally{completed: total.Completed, total: total, offset: max(0, total.Completed-sum), seed: seed, http: http, first: r.FirstCopy > 0}
		if c.src.Fresh {
			t.offset = t.completed - sum
		}
		*at = t
	}
	d := Counts{Completed: max(0, sum+t.offset-t.completed), SeedBytes: max(0, seed-t.seed), HTTPBytes: max(0, http-t.http)}
	if seed < t.seed {
		d.SeedBytes = seed // the torrent was removed from the session and added again
	}
	if http < t.http {
		d.HTTPBytes = http
	}
	if d == (Counts{}) {
		c.report(r, t, 0, 0)
		return nil
	}
	if err := c.catalog.Count(ctx, r.Hash(), c.now(), d); err != nil {
		return err
	}
	t.completed, t.seed, t.http, t.total = t.completed+d.Completed, seed, http, t.total.Add(d)
	var first time.Duration
	if d.Completed > 0 && !t.first {
		t.first = true
		first = c.first(ctx, r, c.now())
	}
	c.report(r, t, d.Completed, first)
	return nil
}

// first records and returns the time from the begin of the first download of r to the end of the
// first complete one.
func (c *Counter) first(ctx context.Context, r *Release, now time.Time) time.Duration {
	began := r.Wanted
	if began.IsZero() {
		began = r.Published
	}
	took := max(time.Second, now.Sub(began).Round(time.Second))
	if err := c.catalog.Update(ctx, r.Ref(), Change{FirstCopy: &took}); err != nil && !errors.Is(err, ErrNotFound) {
		c.log.Error("publish: recording the time of the first copy failed", "release", r.Ref(), "err", err)
	}
	return took
}
