package daemon

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"spate"
	"spate/internal/fault"
	"spate/internal/feed"
	"spate/internal/netguard"
	"spate/internal/source"
)

// fetchedFeed is a feed that was fetched. Its feed is nil if it has not changed.
type fetchedFeed struct {
	doc  *source.Document
	feed *feed.Feed
}

const (
	feedTimeout = time.Minute // for fetching a feed
	feedAccept  = "application/rss+xml, application/atom+xml, application/rdf+xml;q=0.9, application/xml;q=0.9, text/xml;q=0.9, */*;q=0.1"
	maxTaken    = 50 // torrents that one check adds; the next check goes on
	maxTries    = 5  // attempts to add an item
)

// feedBackoff gives the pauses after checks that have failed.
var feedBackoff = netguard.Backoff{First: 5 * time.Minute, Last: 12 * time.Hour}

// fetch fetches a feed, unless it has not changed since its last answer.
func (f *Feeds) fetch(ctx context.Context, r *feedRecord) (*fetchedFeed, error) {
	ctx, cancel := context.WithTimeout(ctx, feedTimeout)
	defer cancel()
	within := netguard.ToChosen
	if r.Remote {
		within = netguard.ToPublic
	}
	doc, err := f.torrents.sources.FetchDocument(ctx, r.URL, within, feedAccept, r.ETag, r.Modified, feed.MaxSize)
	if err != nil || doc.Body == nil {
		return &fetchedFeed{doc: doc}, err
	}
	parsed, err := feed.Parse(doc.Body, doc.ContentType, doc.URL)
	if err != nil {
		hint := "the page may have a link to its feed; give that one"
		if !errors.Is(err, feed.ErrNoFeed) {
			hint = ""
		}
		return nil, fault.New(fault.BadData, hint, "%s: %w", r.URL, err)
	}
	return &fetchedFeed{doc, parsed}, nil
}

// fetched records an answer, and when the next check is due. The validators are kept when all items of
// the answer have been decided.
func (f *Feeds) fetched(r *feedRecord, got *fetchedFeed) {
	now := f.env.Now().UTC()
	r.Checked, r.Failures, r.Error = now, 0, ""
	if got.feed != nil {
		r.ETag, r.Modified, r.Title = "", "", clipName(got.feed.Title)
	}
	r.Next = nextCheck(now, time.Duration(r.Every)*time.Second, got.feed)
}

// nextCheck returns when a feed is checked next: after every, or what the feed asks for if that is
// longer, up to a day, and outside of the hours and days in which it asks for none. A random part
// is added, so that not all clients come at once. got may be nil.
func nextCheck(now time.Time, every time.Duration, got *feed.Feed) time.Time {
	if every == 0 {
		every = feedEvery
	}
	if got != nil {
		every = max(every, min(got.Every, 24*time.Hour))
	}
	next := now.Add(every + rand.N(every/8+1)).UTC()
	if got == nil {
		return next
	}
	for range 7 * 24 {
		if !got.SkipHours[next.Hour()] && !got.SkipDays[next.Weekday()] {
			break
		}
		next = next.Truncate(time.Hour).Add(time.Hour + rand.N(10*time.Minute))
	}
	return next
}

// check fetches the feed of s and adds the torrents of the items that are wanted.
func (f *Feeds) check(ctx context.Context, s *subscription) error {
	s.op.Lock()
	defer s.op.Unlock()
	f.mu.Lock()
	r := s.rec
	f.mu.Unlock()
	got, err := f.fetch(ctx, &r)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return errors.Join(err, f.update(s, func(r *feedRecord) error {
			f.failed(r, err)
			return nil
		}))
	}
	if err := f.update(s, func(r *feedRecord) error {
		f.fetched(r, got)
		return nil
	}); err != nil || got.feed == nil {
		return err
	}
	f.takeHeld(ctx, s, got)
	return nil
}

// failed records a check that has failed. A feed that is gone for good is paused.
func (f *Feeds) failed(r *feedRecord, err error) {
	now := f.env.Now().UTC()
	var asked time.Duration
	var status *source.StatusError
	if errors.As(err, &status) {
		asked = status.RetryAfter
		r.Paused = r.Paused || status.Status == http.StatusGone
	}
	r.Checked, r.Error = now, fault.Message(err)
	r.Next = now.Add(feedBackoff.Pause(r.Failures, asked))
	r.Failures++
}

// takeHeld adds the torrents of the items that are wanted and were not decided before, oldest first.
// An item is decided when it is not wanted, was added or is here already; one that cannot be added is
// tried again in the next checks. The caller holds s.op.
func (f *Feeds) takeHeld(ctx context.Context, s *subscription, got *fetchedFeed) {
	f.mu.Lock()
	rule, versions, known := s.rec.Rule, maps.Clone(s.rec.Versions), s.rec.known()
	f.mu.Unlock()
	if versions == nil {
		versions = feed.Versions{}
	}
	taken, all := 0, true
	var decided []*feed.Item
	latest := rule.Latest(got.feed.Items, versions)
	for _, i := range slices.Backward(got.feed.Items) {
		if all = ctx.Err() == nil && taken < maxTaken; !all {
			break
		}
		if seenItem(known, &i) {
			continue
		}
		_, wanted := rule.Wants(&i, versions)
		if !wanted || latest.Superseded(i.Title) != "" {
			decided = append(decided, &i)
			continue
		}
		taken++
		err := f.take(ctx, s, &i, got.doc.Reach)
		if all = ctx.Err() == nil; !all {
			break
		}
		versions.Note(i.Title)
		if !f.took(s, &i, err) {
			return // removed, or the disk is full
		}
		for _, k := range keysOf(&i) { // a second item with the same torrent
			known[k] = known[k] || err == nil
		}
	}
	f.update(s, func(r *feedRecord) error {
		r.refresh(got.feed.Items)
		known := r.known()
		for _, i := range decided {
			r.decide(known, i)
		}
		if all && len(r.tries) == 0 { // otherwise the next check needs the whole feed
			r.ETag, r.Modified = got.doc.ETag, got.doc.Modified
		}
		return nil
	})
}

// take adds the torrent of an item, and completes the info-hash of the item.
func (f *Feeds) take(ctx context.Context, s *subscription, i *feed.Item, within netguard.Reach) error {
	f.mu.Lock()
	r := s.rec
	f.mu.Unlock()
	if !i.InfoHash.IsZero() && f.torrents.has(i.InfoHash) {
		return fault.New(fault.Exists, "", "%s is here already", i.Title)
	}
	info, err := f.torrents.Add(ctx, AddRequest{
		Source: i.Source, Dir: r.Dir, TorrentOptions: TorrentOptions{Label: r.Label}, Remote: r.Remote, Feed: r.Name, Within: within,
	})
	if err == nil && i.InfoHash.IsZero() { // the torrent is known again by it
		i.InfoHash, _ = spate.ParseInfoHash(info.InfoHash)
	}
	return err
}

// took records the result of take. It returns false if the subscription has ended.
func (f *Feeds) took(s *subscription, i *feed.Item, err error) bool {
	saved := f.update(s, func(r *feedRecord) error {
		switch {
		case err == nil:
			r.Taken++
		case fault.CodeOf(err) == fault.Exists:
		default:
			r.Error = i.Title + ": " + strings.TrimSpace(fault.Message(err))
			key := keysOf(i)[0]
			tries := maps.Clone(r.tries)
			if tries == nil {
				tries = map[string]int{}
			}
			tries[key]++
			r.tries = tries
			if tries[key] < maxTries {
				return nil
			}
			f.env.Warnf("%s of the feed %s was not added: %s", i.Title, r.Name, fault.Message(err))
		}
		r.decide(r.known(), i)
		if err == nil {
			r.note(i.Title)
		}
		return nil
	})
	return saved == nil
}

// has reports whether a torrent was added or is published here.
func (t *Torrents) has(ih spate.InfoHash) bool {
	t.mu.Lock()
	known := t.by[ih] != nil
	t.mu.Unlock()
	return known || t.taken(ih) != ""
}

// Check checks the feed that ref names now.
func (f *Feeds) Check(ctx context.Context, ref string) (FeedInfo, error) {
	s, err := f.find(ref)
	if err != nil {
		return FeedInfo{}, err
	}
	if err := f.check(ctx, s); err != nil {
		return FeedInfo{}, err
	}
	return f.info(s), nil
}
