// Package announce announces the swarms of a session to trackers (BEP 3, BEP 12).
//
// A [Scheduler] announces any number of swarms with one timer and a bounded number of
// announces at once. A [Swarm] is the state of one swarm: its tiers of trackers, when it is
// announced next, and with which event. The scheduler reaches the torrent of a swarm only
// through the interface [Torrent], and trackers only through a [Client]. It announces less
// often to a tracker that does not answer (downtrackers.go).
package announce

import (
	"container/heap"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"spate"
	"spate/discovery"
	"spate/tracker"
)

// Times between announces if the tracker sets no interval, and time limits.
const (
	timeout         = 40 * time.Second // time limit of one announce
	firstRetry      = 10 * time.Second
	lastRetry       = 30 * time.Minute
	neverRetry      = 24 * time.Hour // wait after a tracker said that no retry will succeed (BEP 31)
	minGap          = time.Minute    // shortest time between two announces of a swarm, whatever the tracker says
	defaultInterval = 30 * time.Minute
	stopTimeout     = 5 * time.Second // time limit of all announces of [Scheduler.Stop] together
)

// Client announces to the tracker at a URL. It must be safe for concurrent use.
type Client interface {
	Announce(ctx context.Context, url string, req *tracker.AnnounceRequest) (*tracker.AnnounceResponse, error)
}

// LateClient is a [Client] whose trackers also name peers after their answers.
// torrent.LateAnnouncer documents the contract.
type LateClient interface {
	Client
	AnnounceLate(ctx context.Context, url string, req *tracker.AnnounceRequest, found func(discovery.Candidate)) (*tracker.AnnounceResponse, error)
}

// Receiver receives the answers of trackers about a swarm. Its methods must be safe for
// concurrent use.
type Receiver interface {
	// Answered is called with each answer of the tracker at url.
	Answered(resp *tracker.AnnounceResponse, url string)
	// Found is called with each peer that the tracker at url names later.
	Found(peer discovery.Candidate, url string)
	// Log returns the logger for messages about the swarm.
	Log() *slog.Logger
}

// Torrent is the owner of one or two swarms.
type Torrent interface {
	Receiver
	// Progress returns the payload that was uploaded and downloaded, and how much is
	// left to download, in bytes.
	Progress() (uploaded, downloaded, left int64)
	// Dormant reports whether the torrent is dormant. The status of its swarms is then not
	// kept, because nothing reads it.
	Dormant() bool
}

// Options configure a [Scheduler]. All are required.
type Options struct {
	Client Client
	PeerID spate.PeerID
	// Port returns the port that trackers are told; 0 if no peer can connect.
	Port func() uint16
	// MaxAnnounces bounds the announces at one time.
	MaxAnnounces int
	// Go runs a function in a goroutine that the session waits for. It returns false if
	// the session is closed.
	Go func(func()) bool
}

// Scheduler announces the swarms of a session. Its methods are safe for concurrent use.
type Scheduler struct {
	opt    Options
	gate   gate
	tokens chan struct{} // a token for each announce in progress
	wake   chan struct{} // receives a value when the first announce of the queue changes

	mu    sync.Mutex // guards the queue and the state of every swarm
	queue queue
}

// NewScheduler returns a scheduler. The caller must call [Scheduler.Run].
func NewScheduler(opt Options) *Scheduler {
	return &Scheduler{
		opt:    opt,
		tokens: make(chan struct{}, opt.MaxAnnounces), wake: make(chan struct{}, 1),
	}
}

// Start announces the swarms from now on, first with the event "started". uploaded and
// downloaded are the payload at the start, which is subtracted in announces.
func (s *Scheduler) Start(swarms []*Swarm, uploaded, downloaded int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range swarms {
		if !w.active {
			w.active = true
			w.event = tracker.EventStarted
			w.uploaded, w.downloaded = uploaded, downloaded
			s.scheduleLocked(w, time.Now())
		}
	}
}

// SetOwner changes the owner of the swarms.
func (s *Scheduler) SetOwner(swarms []*Swarm, owner Torrent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range swarms {
		w.owner = owner
	}
}

// Completed announces the event "completed".
func (s *Scheduler) Completed(swarms []*Swarm) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range swarms {
		if w.active {
			w.completed = true
			s.scheduleLocked(w, time.Now())
		}
	}
}

// Hurry announces the swarms of a torrent that needs peers as soon as the trackers allow.
// It changes nothing during an announce or after a failed one.
func (s *Scheduler) Hurry(swarms []*Swarm) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range swarms {
		s.hurryLocked(w)
	}
}

func (s *Scheduler) hurryLocked(w *Swarm) {
	if !w.active || w.ongoing != nil || w.failures > 0 || w.last.IsZero() {
		return
	}
	if at := w.last.Add(max(w.minInterval, minGap)); at.Before(w.next) {
		s.scheduleLocked(w, at)
	}
}

// Repeat announces the swarms again as soon as the trackers allow, because a value in the
// announces, such as the port, has changed.
func (s *Scheduler) Repeat(swarms []*Swarm) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range swarms {
		w.repeat = w.ongoing != nil
		s.hurryLocked(w)
	}
}

// Asked reports whether every swarm was announced at least once, even if the announce failed.
func (s *Scheduler) Asked(swarms []*Swarm) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !slices.ContainsFunc(swarms, func(w *Swarm) bool { return w.status == nil })
}

// Status returns the status of the swarms that were announced.
func (s *Scheduler) Status(swarms []*Swarm) []Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Status
	for _, w := range swarms {
		if w.status != nil {
			one := *w.status
			one.LastAnnounce, one.NextAnnounce = w.last, w.next
			all = append(all, one)
		}
	}
	return all
}

// scheduleLocked sets the time of the next announce. A swarm is not in the queue during an
// announce: the next announce is scheduled when that one ends.
func (s *Scheduler) scheduleLocked(w *Swarm, at time.Time) {
	w.next = at
	if w.ongoing != nil {
		return
	}
	if w.index < 0 {
		heap.Push(&s.queue, w)
	} else {
		heap.Fix(&s.queue, int(w.index))
	}
	if s.queue[0] == w {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

// Run announces the swarms when they are due until ctx is done.
func (s *Scheduler) Run(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		wait := time.Hour
		s.mu.Lock()
		if len(s.queue) > 0 {
			wait = time.Until(s.queue[0].next)
		}
		s.mu.Unlock()
		if wait > 0 {
			timer.Reset(wait)
			select {
			case <-ctx.Done():
				return
			case <-s.wake:
			case <-timer.C:
			}
			continue
		}
		select {
		case s.tokens <- struct{}{}:
		case <-ctx.Done():
			return
		}
		if !s.launch(ctx) {
			<-s.tokens
		}
	}
}

// launch starts the first announce of the queue. It returns false if none is due any more
// or the session is closed.
func (s *Scheduler) launch(ctx context.Context) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 || time.Until(s.queue[0].next) > 0 {
		return false
	}
	w := heap.Pop(&s.queue).(*Swarm)
	announceCtx, cancel := context.WithTimeout(ctx, timeout)
	w.ongoing = &ongoing{cancel, make(chan struct{})}
	event := w.event
	w.event = tracker.EventNone
	if event == tracker.EventNone && w.completed { // "started" comes first
		event, w.completed = tracker.EventCompleted, false
	}
	if !s.opt.Go(func() {
		defer func() { <-s.tokens }()
		defer cancel()
		s.announce(announceCtx, w, event)
	}) {
		cancel()
		w.ongoing = nil
		w.completed = w.completed || event == tracker.EventCompleted // Stop announces "completed" if this announce fails
		return false
	}
	return true
}

// announce makes one announce and schedules the next.
func (s *Scheduler) announce(ctx context.Context, w *Swarm, event tracker.Event) {
	req := s.request(w, event)
	resp, url, err := w.tiers.Announce(ctx, caller{s.opt.Client, &s.gate, s.found(w)}, &req)
	now := time.Now()
	owner := s.owner(w)
	var down *downError
	switch {
	case err == nil:
		owner.Answered(resp, url)
	case !errors.As(err, &down) && !errors.Is(ctx.Err(), context.Canceled):
		owner.Log().Info("announce failed", "err", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	close(w.ongoing.done)
	w.ongoing = nil
	w.last = now
	next := now.Add(w.concludeLocked(event, resp, url, err))
	if w.completed && err == nil {
		next = now // the torrent was completed during this announce
	}
	if w.active {
		s.scheduleLocked(w, next)
		if w.repeat {
			s.hurryLocked(w)
		}
	}
	w.repeat = false
}

// found returns the function that receives the peers that trackers name after their
// answers. It ignores peers while the swarm is not announced.
func (s *Scheduler) found(w *Swarm) func(peer discovery.Candidate, url string) {
	return func(peer discovery.Candidate, url string) {
		s.mu.Lock()
		owner, active := w.owner, w.active
		s.mu.Unlock()
		if active {
			owner.Found(peer, url)
		}
	}
}

func (s *Scheduler) owner(w *Swarm) Torrent {
	s.mu.Lock()
	defer s.mu.Unlock()
	return w.owner
}

// request returns an announce with the progress of the torrent.
func (s *Scheduler) request(w *Swarm, event tracker.Event) tracker.AnnounceRequest {
	uploaded, downloaded, left := s.owner(w).Progress()
	req := s.newRequest(w.hash)
	req.Key, req.Event = w.key, event
	req.Uploaded, req.Downloaded, req.Left = uploaded-w.uploaded, downloaded-w.downloaded, left
	if event == tracker.EventStopped {
		req.NumWant = 0
	}
	return req
}

// newRequest returns an announce without progress.
func (s *Scheduler) newRequest(hash spate.InfoHash) tracker.AnnounceRequest {
	return tracker.AnnounceRequest{
		InfoHash: hash, PeerID: s.opt.PeerID,
		Port:    max(1, s.opt.Port()), // trackers refuse 0
		NumWant: tracker.DefaultNumWant,
	}
}

// caller makes announces for one swarm, one at a time. It implements
// [trackerclient.Announcer].
type caller struct {
	client Client
	gate   *gate                                      // nil lets every announce through
	found  func(peer discovery.Candidate, url string) // called with each peer that is named after the answer
}

// Announce implements [trackerclient.Announcer].
func (c caller) Announce(ctx context.Context, url string, req *tracker.AnnounceRequest) (resp *tracker.AnnounceResponse, err error) {
	if c.gate != nil {
		began := time.Now()
		if err := c.gate.enter(url, began); err != nil {
			return nil, err
		}
		defer func() { c.gate.leave(ctx, url, began, err) }()
	}
	if late, ok := c.client.(LateClient); ok {
		return late.AnnounceLate(ctx, url, req, func(peer discovery.Candidate) { c.found(peer, url) })
	}
	return c.client.Announce(ctx, url, req)
}
