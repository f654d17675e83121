package daemon

import (
	"context"
	"maps"
	"time"

	"spate/internal/fault"
	"spate/internal/feed"
)

// PreviewFeed asks what a rule does with the items of a feed: see [Feeds.Preview].
type PreviewFeed struct {
	URL  string     `json:"url,omitempty"`  // a feed, or
	ID   string     `json:"id,omitempty"`   // a subscription, with its rule
	Rule *feed.Rule `json:"rule,omitempty"` // instead of that one
	// Remote says that the caller is on another machine.
	Remote bool `json:"-"`
}

// FeedPreview is what a rule does with the items of a feed.
type FeedPreview struct {
	Title string        `json:"title"`
	Items []PreviewItem `json:"items"` // in the order of the feed
}

// PreviewItem is an item of a feed in a [FeedPreview].
type PreviewItem struct {
	Title     string    `json:"title"`
	Match     bool      `json:"match"`         // the rule wants it
	Why       string    `json:"why,omitempty"` // why the rule does not
	Seen      bool      `json:"seen"`          // the subscription has decided it, and does not take it again
	Here      bool      `json:"here"`          // the torrent was added or is published here
	Source    string    `json:"source,omitempty"`
	InfoHash  string    `json:"info_hash,omitempty"`
	Size      int64     `json:"size,omitempty"` // 0: unknown
	Page      string    `json:"page,omitempty"`
	Published time.Time `json:"published,omitzero"`
}

// Preview fetches a feed and says which of its items a rule wants, and why it does not want the
// others. It adds nothing.
func (f *Feeds) Preview(ctx context.Context, q PreviewFeed) (FeedPreview, error) {
	r := feedRecord{URL: q.URL, Remote: q.Remote}
	switch {
	case (q.ID == "") == (q.URL == ""):
		return FeedPreview{}, fault.Usagef("a preview is of a URL or of a subscription")
	case q.ID != "":
		s, err := f.find(q.ID)
		if err != nil {
			return FeedPreview{}, err
		}
		f.mu.Lock()
		r = s.rec
		r.Versions = maps.Clone(r.Versions)
		f.mu.Unlock()
		r.ETag, r.Modified = "", ""
	}
	if q.Rule != nil {
		r.Rule = *q.Rule
	}
	if err := r.Rule.Check(); err != nil {
		return FeedPreview{}, fault.Usagef("the rule: %w", err)
	}
	got, err := f.fetch(ctx, &r)
	if err != nil {
		return FeedPreview{}, err
	}
	out := FeedPreview{Title: got.feed.Title, Items: make([]PreviewItem, 0, len(got.feed.Items))}
	known, latest := r.known(), r.Rule.Latest(got.feed.Items, r.Versions)
	for n := range got.feed.Items {
		i := &got.feed.Items[n]
		p := PreviewItem{Title: i.Title, Source: i.Source, Size: i.Size, Page: i.Page, Published: i.Published, Seen: seenItem(known, i)}
		p.Why, p.Match = r.Rule.Wants(i, r.Versions)
		if later := latest.Superseded(i.Title); p.Match && later != "" {
			p.Why, p.Match = "the feed has version "+later+" too", false
		}
		if !i.InfoHash.IsZero() {
			p.InfoHash, p.Here = i.InfoHash.String(), f.torrents.has(i.InfoHash)
		}
		out.Items = append(out.Items, p)
	}
	return out, nil
}
