package announce

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"spate/discovery"
	"spate/tracker"
)

// caller makes announces for one swarm, one at a time. It implements
// [trackerclient.Announcer].
type caller struct {
	s      *Scheduler
	swarm  *Swarm
	gate   *gate                                      // nil lets every announce through
	found  func(peer discovery.Candidate, url string) // called with each peer that is named after the answer
	urgent bool                                       // the announce does not wait for the pace of the tracker
	next   time.Duration                              // time from the last answer to the next regular announce
}

// earlyError is the error of an announce that the pace of its tracker does not allow yet.
type earlyError struct {
	url string
	err error // error of the last announce; nil if the tracker answered
}

func (e *earlyError) Error() string {
	if e.err == nil {
		return shown(e.url) + ": it was asked a moment ago"
	}
	return e.err.Error()
}

func (e *earlyError) Unwrap() error { return e.err }

// Announce implements [trackerclient.Announcer].
func (c *caller) Announce(ctx context.Context, url string, req *tracker.AnnounceRequest) (*tracker.AnnounceResponse, error) {
	c.s.mu.Lock()
	p := c.swarm.pace(url)
	now := time.Now()
	if !c.urgent && now.Before(p.allowed()) {
		early := &earlyError{url: url}
		if p.kept != nil {
			early.err = p.kept.err
		}
		c.s.mu.Unlock()
		return nil, early
	}
	if c.gate != nil {
		if err := c.gate.enter(url, now); err != nil {
			p.last = now
			p.failed(err)
			c.s.mu.Unlock()
			return nil, err
		}
	}
	p.begin(now, req.Event)
	req.Twice = IsWebSocket(url) && c.s.twiceLocked(c.swarm, url, req.Event == tracker.EventCompleted || req.Event == tracker.EventStopped)
	c.s.mu.Unlock()
	c.s.changed()
	resp, err := c.call(ctx, url, req)
	if c.gate != nil {
		c.gate.leave(ctx, url, now, err)
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.s.changed()
	if err != nil && errors.Is(ctx.Err(), context.Canceled) {
		return resp, err
	}
	c.next = p.conclude(time.Now(), req.Event, resp, err)
	if req.Event != tracker.EventStopped && !c.swarm.owner.Dormant() {
		p.keepAnswer(resp, err)
	}
	return resp, err
}

func (c *caller) call(ctx context.Context, url string, req *tracker.AnnounceRequest) (resp *tracker.AnnounceResponse, err error) {
	if IsWebSocket(url) {
		resp, err = c.s.announceSignals(ctx, url, req)
	} else if late, ok := c.s.opt.Client.(LateClient); ok {
		resp, err = late.AnnounceLate(ctx, url, req, func(peer discovery.Candidate) { c.found(peer, url) })
	} else {
		resp, err = c.s.opt.Client.Announce(ctx, url, req)
	}
	return resp, named(url, err)
}

// announceSignals announces to a WebSocket tracker.
func (s *Scheduler) announceSignals(ctx context.Context, url string, req *tracker.AnnounceRequest) (*tracker.AnnounceResponse, error) {
	client, ok := s.opt.Client.(SignalClient)
	if !ok || s.opt.Signals == nil {
		return s.opt.Client.Announce(ctx, url, req)
	}
	return client.AnnounceSignals(ctx, url, req, s.opt.Signals(req.InfoHash))
}

// IsWebSocket reports whether the URL of a tracker is that of a WebSocket tracker.
func IsWebSocket(url string) bool {
	return strings.HasPrefix(url, "ws://") || strings.HasPrefix(url, "wss://")
}

// named adds the URL of the tracker to a refusal, whose error does not name the tracker.
func named(url string, err error) error {
	if f, ok := err.(*tracker.FailureError); ok {
		return fmt.Errorf("%s: %w", shown(url), f)
	}
	return err
}

// shown returns the part of a tracker's URL that may be shown: the path and the query may
// contain a passkey.
func shown(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return "the tracker"
	}
	return "tracker " + u.Scheme + "://" + u.Host
}
