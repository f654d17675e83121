package daemon

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"spate/internal/fault"
	"spate/internal/feed"
	"spate/internal/units"
)

// Feeds are the subscriptions of a daemon: it fetches feeds and adds the torrents of the items that
// their rules want. Every state is on the disk before the call that makes it returns. All methods may
// be called concurrently.
type Feeds struct {
	env      *Env
	torrents *Torrents
	store    feedStore
	work     chan struct{} // a change for Run
	checks   chan struct{} // limits the feeds that are fetched at the same time
	tasks    sync.WaitGroup

	mu     sync.Mutex // guards the fields below
	closed bool
	list   []*subscription // oldest first
}

// subscription is a subscribed feed.
type subscription struct {
	op  sync.Mutex // held while the feed is checked
	rec feedRecord // guarded by Feeds.mu
	// busy and removed are guarded by Feeds.mu.
	busy    bool // it is being checked
	removed bool
}

// FeedInfo describes a subscription.
type FeedInfo struct {
	ID  string `json:"id"`
	URL string `json:"url"`
	FeedOptions
	Title    string    `json:"title,omitempty"` // of the feed
	Added    time.Time `json:"added"`
	Checked  time.Time `json:"checked,omitzero"`
	Next     time.Time `json:"next,omitzero"` // of the next check
	Failures int       `json:"failures,omitempty"`
	Error    string    `json:"error,omitempty"` // of the last check
	Taken    int       `json:"taken"`           // torrents that it has added
}

// maxFeedChecks is how many feeds are fetched at the same time.
const maxFeedChecks = 4

// openFeeds loads the subscriptions. [Feeds.Run] checks them.
func (d *Daemon) openFeeds() error {
	state, err := filepath.Abs(d.conf.State)
	if err != nil {
		return err
	}
	d.feeds = newFeeds(d.env, d.torrents, state)
	return d.feeds.load()
}

func newFeeds(env *Env, t *Torrents, state string) *Feeds {
	return &Feeds{env: env, torrents: t, store: feedStore{filepath.Join(state, "feeds")}, work: make(chan struct{}, 1), checks: make(chan struct{}, maxFeedChecks)}
}

// active reports whether a feed is followed.
func (f *Feeds) active() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.ContainsFunc(f.list, func(s *subscription) bool { return !s.rec.Paused && !s.removed })
}

func (f *Feeds) load() error {
	list, err := f.store.load(f.env.Warnf)
	if err != nil {
		return fault.WithSetting(err, "state")
	}
	for _, r := range list {
		f.list = append(f.list, &subscription{rec: *r})
	}
	return nil
}

// close waits for the end of checks.
func (f *Feeds) close() {
	if f == nil {
		return
	}
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.tasks.Wait()
}

// Feeds returns the subscriptions. It returns an error for a publisher in the foreground, which has none.
func (d *Daemon) Feeds() (*Feeds, error) {
	if d.feeds == nil {
		return nil, fault.New(fault.NotFound, "start spate serve, which follows feeds", "spate publish follows no feeds")
	}
	return d.feeds, nil
}

// Run checks each feed when it is due until ctx ends.
func (f *Feeds) Run(ctx context.Context) error {
	defer f.tasks.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		case <-f.work:
		}
		timer.Reset(f.startDue(ctx, f.env.Now()))
	}
}

// maxFeedSleep bounds the time until Run looks again, because the clock can be set.
const maxFeedSleep = time.Minute

// startDue starts the checks that are due, and returns the time until the next one.
func (f *Feeds) startDue(ctx context.Context, now time.Time) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	wait := maxFeedSleep
	for _, s := range f.list {
		if s.busy || s.rec.Paused || f.closed {
			continue
		}
		if d := s.rec.Next.Sub(now); d > 0 && d <= maxFeedEvery*2 {
			wait = min(wait, d)
			continue
		}
		s.busy = true
		f.tasks.Go(func() {
			defer f.idle(s)
			select {
			case f.checks <- struct{}{}:
				defer func() { <-f.checks }()
			case <-ctx.Done():
				return
			}
			if err := f.check(ctx, s); err != nil && ctx.Err() == nil {
				f.env.Log.Warn("a feed was not read", "feed", s.rec.ID, "err", err)
			}
		})
	}
	return wait
}

// idle marks that s is not being checked any more.
func (f *Feeds) idle(s *subscription) {
	f.mu.Lock()
	s.busy = false
	f.mu.Unlock()
	select {
	case f.work <- struct{}{}:
	default:
	}
}

// AddFeed asks for a subscription: see [Feeds.Add].
type AddFeed struct {
	URL string `json:"url"`
	FeedOptions
	// Existing also takes the items that the feed has now. Otherwise only items are taken that come
	// later.
	Existing bool `json:"existing,omitempty"`
	Remote   bool `json:"-"` // the caller is on another machine; see [AddRequest]
}

// Add subscribes to a feed. It fetches the feed first, and fails if it cannot be read. Unless
// q.Existing is set, it takes none of the items that the feed has now.
func (f *Feeds) Add(ctx context.Context, q AddFeed) (FeedInfo, error) {
	q.URL = strings.TrimSpace(q.URL)
	if err := q.check(); err != nil {
		return FeedInfo{}, err
	}
	if len(q.URL) > maxFeedURL {
		return FeedInfo{}, fault.Usagef("the URL is too long")
	}
	if _, _, err := f.torrents.folders.choose(q.Dir, q.Label, q.Remote); err != nil {
		return FeedInfo{}, err
	}
	s := &subscription{rec: feedRecord{URL: q.URL, FeedOptions: q.FeedOptions, Remote: q.Remote, Added: f.env.Now().UTC().Truncate(time.Second)}}
	got, err := f.fetch(ctx, &s.rec)
	if err != nil {
		return FeedInfo{}, err
	}
	id := make([]byte, 6)
	rand.Read(id)
	s.rec.ID = hex.EncodeToString(id)
	s.rec.Name = cmp.Or(s.rec.Name, clipName(got.feed.Title), clipName(got.doc.URL.Host))
	f.fetched(&s.rec, got)
	if q.Existing {
		s.rec.Next = time.Time{} // Run takes them
	} else {
		s.rec.ETag, s.rec.Modified = got.doc.ETag, got.doc.Modified
		known := map[string]bool{}
		for i := range got.feed.Items {
			s.rec.decide(known, &got.feed.Items[i])
			s.rec.note(got.feed.Items[i].Title)
		}
	}
	if err := f.enter(s); err != nil {
		return FeedInfo{}, err
	}
	f.wake()
	return f.info(s), nil
}

// clipName returns the beginning of a title that fits into a name.
func clipName(s string) string {
	if len(s) <= maxFeedName {
		return s
	}
	return strings.ToValidUTF8(s[:maxFeedName], "")
}

// enter records a subscription.
func (f *Feeds) enter(s *subscription) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.list) >= maxFeeds {
		return fault.New(fault.Exists, "remove one with spate feed remove", "there are %s already", units.Plural(len(f.list), "feed"))
	}
	for _, o := range f.list {
		if o.rec.URL == s.rec.URL && o.rec.Label == s.rec.Label {
			return fault.New(fault.Exists, "spate feed list shows it", "this feed is followed already, as %s", o.rec.Name)
		}
	}
	if err := f.store.save(&s.rec); err != nil {
		return fault.WithSetting(err, "state")
	}
	f.list = append(f.list, s)
	return nil
}

func (f *Feeds) wake() {
	select {
	case f.work <- struct{}{}:
	default:
	}
}

// List returns all subscriptions, oldest first.
func (f *Feeds) List() []FeedInfo {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := make([]FeedInfo, 0, len(f.list))
	for _, s := range f.list {
		list = append(list, s.infoLocked())
	}
	return list
}

func (f *Feeds) info(s *subscription) FeedInfo {
	f.mu.Lock()
	defer f.mu.Unlock()
	return s.infoLocked()
}

func (s *subscription) infoLocked() FeedInfo {
	r := &s.rec
	return FeedInfo{
		ID: r.ID, URL: r.URL, FeedOptions: r.FeedOptions, Title: r.Title, Added: r.Added, Checked: r.Checked, Next: r.Next, Failures: r.Failures, Error: r.Error, Taken: r.Taken,
	}
}

// find returns the subscription that ref names: its ID, name or URL.
func (f *Feeds) find(ref string) (*subscription, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var found []*subscription
	for _, s := range f.list {
		if s.rec.ID == ref {
			return s, nil
		}
		if s.rec.Name == ref || s.rec.URL == ref {
			found = append(found, s)
		}
	}
	switch len(found) {
	case 0:
		return nil, fault.New(fault.NotFound, "spate feed list shows them", "no feed %s is followed here", strings.ToValidUTF8(ref, "\ufffd"))
	case 1:
		return found[0], nil
	}
	return nil, fault.UsageHint("write its ID, which spate feed list --json shows", "several feeds are called %s", ref)
}

// Info returns the subscription that ref names.
func (f *Feeds) Info(ref string) (FeedInfo, error) {
	s, err := f.find(ref)
	if err != nil {
		return FeedInfo{}, err
	}
	return f.info(s), nil
}

// FeedChange is a change of a subscription. A nil field stays as it is.
type FeedChange struct {
	Name   *string    `json:"name,omitempty"`
	Rule   *feed.Rule `json:"rule,omitempty"`
	Label  *string    `json:"label,omitempty"`
	Dir    *string    `json:"dir,omitempty"`
	Paused *bool      `json:"paused,omitempty"`
	Every  *int64     `json:"every,omitempty"`
}

// Change changes the subscription that ref names. Items that were decided before stay so: a new rule
// holds for later ones.
func (f *Feeds) Change(ref string, c FeedChange, remote bool) error {
	s, err := f.find(ref)
	if err != nil {
		return err
	}
	err = f.update(s, func(r *feedRecord) error {
		set(&r.Name, c.Name)
		set(&r.Rule, c.Rule)
		set(&r.Label, c.Label)
		set(&r.Dir, c.Dir)
		set(&r.Paused, c.Paused)
		set(&r.Every, c.Every)
		if c.Dir != nil || c.Label != nil {
			if _, _, err := f.torrents.folders.choose(r.Dir, r.Label, remote || r.Remote); err != nil {
				return err
			}
		}
		if c.Paused != nil && !*c.Paused {
			r.Next, r.Failures = time.Time{}, 0
		}
		return r.check()
	})
	f.wake()
	return err
}

// Remove ends the subscription that ref names. The torrents that it has added stay.
func (f *Feeds) Remove(ref string) error {
	s, err := f.find(ref)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if s.removed {
		return nil
	}
	if err := f.store.remove(s.rec.ID); err != nil {
		return err
	}
	s.removed = true
	f.list = slices.DeleteFunc(f.list, func(o *subscription) bool { return o == s })
	return nil
}

// update changes the record of s and saves it. A change that fails is undone.
func (f *Feeds) update(s *subscription, change func(r *feedRecord) error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s.removed {
		return errRemoved
	}
	before := s.rec
	err := change(&s.rec)
	if err == nil {
		err = f.store.save(&s.rec)
	}
	if err != nil {
		s.rec = before
	}
	return err
}
