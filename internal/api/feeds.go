package api

import (
	"context"
	"net/http"
	"net/url"

	"spate/internal/daemon"
)

// Feeds lists the subscriptions: GET /v1/feeds.
type Feeds struct {
	Feeds []daemon.FeedInfo `json:"feeds"` // oldest first
}

// FeedBackend is the part of a [Backend] with the subscriptions to feeds. ref is an ID, a name or a URL.
type FeedBackend interface {
	Feeds(ctx context.Context) (Feeds, error)
	Feed(ctx context.Context, ref string) (daemon.FeedInfo, error)
	AddFeed(ctx context.Context, q daemon.AddFeed) (daemon.FeedInfo, error)
	ChangeFeed(ctx context.Context, ref string, c daemon.FeedChange) error
	RemoveFeed(ctx context.Context, ref string) error
	PreviewFeed(ctx context.Context, q daemon.PreviewFeed) (daemon.FeedPreview, error)
	CheckFeed(ctx context.Context, ref string) (daemon.FeedInfo, error)
}

func (s *Server) feeds(w http.ResponseWriter, r *http.Request) error {
	v, err := s.backend.Feeds(r.Context())
	return send(w, r, v, err)
}

func (s *Server) feed(w http.ResponseWriter, r *http.Request) error {
	v, err := s.backend.Feed(r.Context(), r.PathValue("id"))
	return send(w, r, v, err)
}

func (s *Server) addFeed(w http.ResponseWriter, r *http.Request) error {
	var q daemon.AddFeed
	if err := read(r, &q); err != nil {
		return err
	}
	v, err := s.backend.AddFeed(r.Context(), q)
	return send(w, r, v, err)
}

func (s *Server) previewFeed(w http.ResponseWriter, r *http.Request) error {
	var q daemon.PreviewFeed
	if err := read(r, &q); err != nil {
		return err
	}
	v, err := s.backend.PreviewFeed(r.Context(), q)
	return send(w, r, v, err)
}

func (s *Server) changeFeed(w http.ResponseWriter, r *http.Request) error {
	var c daemon.FeedChange
	if err := read(r, &c); err != nil {
		return err
	}
	return done(w, s.backend.ChangeFeed(r.Context(), r.PathValue("id"), c))
}

func (s *Server) removeFeed(w http.ResponseWriter, r *http.Request) error {
	return done(w, s.backend.RemoveFeed(r.Context(), r.PathValue("id")))
}

func (s *Server) checkFeed(w http.ResponseWriter, r *http.Request) error {
	v, err := s.backend.CheckFeed(r.Context(), r.PathValue("id"))
	return send(w, r, v, err)
}

// feedsDo calls f with the subscriptions, and converts its error.
func (b backend) feedsDo(f func(*daemon.Feeds) error) error {
	feeds, err := b.d.Feeds()
	if err == nil {
		err = f(feeds)
	}
	return toAPI(err)
}

// Feeds implements [FeedBackend].
func (b backend) Feeds(context.Context) (Feeds, error) {
	out := Feeds{Feeds: []daemon.FeedInfo{}}
	if feeds, err := b.d.Feeds(); err == nil {
		out.Feeds = feeds.List()
	}
	return out, nil
}

// Feed implements [FeedBackend].
func (b backend) Feed(_ context.Context, ref string) (i daemon.FeedInfo, err error) {
	err = b.feedsDo(func(f *daemon.Feeds) (err error) {
		i, err = f.Info(ref)
		return err
	})
	return i, err
}

// AddFeed implements [FeedBackend].
func (b backend) AddFeed(ctx context.Context, q daemon.AddFeed) (i daemon.FeedInfo, err error) {
	q.Remote = b.remote
	err = b.feedsDo(func(f *daemon.Feeds) (err error) {
		i, err = f.Add(ctx, q)
		return err
	})
	return i, err
}

// ChangeFeed implements [FeedBackend].
func (b backend) ChangeFeed(_ context.Context, ref string, c daemon.FeedChange) error {
	return b.feedsDo(func(f *daemon.Feeds) error { return f.Change(ref, c, b.remote) })
}

// RemoveFeed implements [FeedBackend].
func (b backend) RemoveFeed(_ context.Context, ref string) error {
	return b.feedsDo(func(f *daemon.Feeds) error { return f.Remove(ref) })
}

// PreviewFeed implements [FeedBackend].
func (b backend) PreviewFeed(ctx context.Context, q daemon.PreviewFeed) (p daemon.FeedPreview, err error) {
	q.Remote = b.remote
	err = b.feedsDo(func(f *daemon.Feeds) (err error) {
		p, err = f.Preview(ctx, q)
		return err
	})
	return p, err
}

// CheckFeed implements [FeedBackend].
func (b backend) CheckFeed(ctx context.Context, ref string) (i daemon.FeedInfo, err error) {
	err = b.feedsDo(func(f *daemon.Feeds) (err error) {
		i, err = f.Check(ctx, ref)
		return err
	})
	return i, err
}

func feedPath(ref string) string { return "/v1/feeds/" + url.PathEscape(ref) }

// Feeds returns the subscriptions, oldest first.
func (c *Client) Feeds(ctx context.Context) (f Feeds, err error) {
	return f, c.call(ctx, http.MethodGet, "/v1/feeds", nil, &f)
}

// AddFeed subscribes to a feed.
func (c *Client) AddFeed(ctx context.Context, q daemon.AddFeed) (i daemon.FeedInfo, err error) {
	return i, c.call(ctx, http.MethodPost, "/v1/feeds", q, &i)
}

// ChangeFeed changes a subscription.
func (c *Client) ChangeFeed(ctx context.Context, ref string, ch daemon.FeedChange) error {
	return c.call(ctx, http.MethodPatch, feedPath(ref), ch, nil)
}

// RemoveFeed ends a subscription.
func (c *Client) RemoveFeed(ctx context.Context, ref string) error {
	return c.call(ctx, http.MethodDelete, feedPath(ref), nil, nil)
}

// PreviewFeed says which items of a feed a rule wants.
func (c *Client) PreviewFeed(ctx context.Context, q daemon.PreviewFeed) (p daemon.FeedPreview, err error) {
	return p, c.call(ctx, http.MethodPost, "/v1/feeds/preview", q, &p)
}

// CheckFeed makes the daemon check a feed now.
func (c *Client) CheckFeed(ctx context.Context, ref string) (i daemon.FeedInfo, err error) {
	return i, c.call(ctx, http.MethodPost, feedPath(ref)+"/check", nil, &i)
}
