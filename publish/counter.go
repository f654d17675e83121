package publish

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"spate"
)

// Sources are where a [Counter] reads sums. They are called often, concurrently,
// and must be quick.
type Sources struct {
	// Completed is how many downloads of a swarm the tracker has seen finished,
	// ever. It may forget, but never counts down while it runs.
	Completed func(spate.InfoHash) int64
	// Sent are the bytes that the seed, and the site, have sent of a torrent since
	// some moment in the past.
	Sent func(spate.InfoHash) (seed, http int64)
	// Fresh says that the catalog is younger than these sums: of a release that is
	// met for the first time, what they are then is not counted.
	Fresh bool
}

// Counter keeps the history of a catalog: what was downloaded, by day. The
// tracker's sums are the truth: what they gained while nobody looked, or while a
// process was killed before it could write, is counted when it is noticed. So a
// download is counted once, whatever happens. Bytes are read every few seconds,
// and those since then are lost with a process that is killed.
type Counter struct {
	catalog Catalog
	src     Sources
	now     func() time.Time
	log     *slog.Logger
	wake    chan struct{}

	mu    sync.Mutex
	known map[spate.InfoHash]*tally // by main info-hash
}

// tally is how far a release is counted.
type tally struct {
	offset     int64  // of the history over the tracker's sum
	completed  int64  // in the history
	total      Counts // in the history
	seed, http int64  // of the sources
	first      bool   // it has a FirstCopy
}

// countEvery is how often sums are read, and the least time between two writes.
const countEvery = 5 * time.Second

// NewCounter returns a counter. A nil log discards.
func NewCounter(c Catalog, src Sources, now func() time.Time, log *slog.Logger) *Counter {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Counter{catalog: c, src: src, now: now, log: log, wake: make(chan struct{}, 1), known: map[spate.InfoHash]*tally{}}
}

// Completed says that a download has finished somewhere. It never waits.
func (c *Counter) Completed() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Direct counts a file that was downloaded whole over HTTP. When it returns, that
// is written.
func (c *Counter) Direct(ctx context.Context, ih spate.InfoHash) {
	now := c.now()
	if err := c.catalog.Count(ctx, ih, now, Counts{Direct: 1}); err != nil {
		c.log.Error("publish: counting a download failed", "info_hash", ih, "err", err)
		return
	}
	c.mu.Lock()
	if t := c.known[ih]; t != nil {
		t.total.Direct++
	}
	c.mu.Unlock()
	if r, err := c.catalog.Find(ctx, ih); err == nil && r.FirstCopy == 0 && r.NumFiles == 1 {
		c.first(ctx, r, now)
	}
}

// Run counts until ctx ends, whose cause it returns. What is known then is
// written first.
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
			select { // what comes together is written together
			case <-ctx.Done():
			case <-time.After(countEvery / 10):
			}
		}
		c.All(ctx)
	}
}

// All counts every release now.
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

// Totals is what was counted of r, ever, as far as it is known without asking the
// catalog.
func (c *Counter) Totals(r *Release) Counts {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := c.known[r.Hash()]; t != nil {
		return t.total
	}
	return Counts{}
}

// sum is the tracker's sum of r. Who knows both hashes of a hybrid announces
// both, so the larger counts; its twin has other peers.
func (c *Counter) sum(r *Release) (n int64) {
	for _, ih := range r.Hashes() {
		n = max(n, c.src.Completed(ih))
	}
	if !r.Twin.Hash.IsZero() {
		n += c.src.Completed(r.Twin.Hash)
	}
	return n
}

func (c *Counter) one(ctx context.Context, r *Release, at **tally) error {
	seed, http := c.src.Sent(r.Hash())
	if !r.Twin.Hash.IsZero() {
		s, h := c.src.Sent(r.Twin.Hash)
		seed, http = seed+s, http+h
	}
	sum := c.sum(r)
	t := *at
	if t == nil {
		h, err := c.catalog.History(ctx, r.Hash(), c.now())
		if err != nil {
			return err
		}
		// A tracker that has lost its memory starts again below the history.
		t = &tally{completed: h.Total.Completed, total: h.Total, offset: max(0, h.Total.Completed-sum), seed: seed, http: http, first: r.FirstCopy > 0}
		if c.src.Fresh {
			t.offset = t.completed - sum
		}
		*at = t
	}
	d := Counts{Completed: max(0, sum+t.offset-t.completed), SeedBytes: max(0, seed-t.seed), HTTPBytes: max(0, http-t.http)}
	if seed < t.seed {
		d.SeedBytes = seed // it was taken out and in again
	}
	if http < t.http {
		d.HTTPBytes = http
	}
	if d == (Counts{}) {
		return nil
	}
	if err := c.catalog.Count(ctx, r.Hash(), c.now(), d); err != nil {
		return err
	}
	t.completed, t.seed, t.http, t.total = t.completed+d.Completed, seed, http, t.total.Add(d)
	if d.Completed > 0 && !t.first {
		t.first = true
		c.first(ctx, r, c.now())
	}
	return nil
}

// first notes when r was first there a second time.
func (c *Counter) first(ctx context.Context, r *Release, now time.Time) {
	took := max(time.Second, now.Sub(r.Published).Round(time.Second))
	if err := c.catalog.Update(ctx, r.Ref(), Change{FirstCopy: &took}); err != nil && !errors.Is(err, ErrNotFound) {
		c.log.Error("publish: recording the time of the first copy failed", "release", r.Ref(), "err", err)
	}
}
