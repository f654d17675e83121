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
	"net/netip"
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
	longestWait     = 24 * time.Hour // a tracker cannot make this side wait longer
	neverRetry      = longestWait    // wait after a tracker said that no retry will succeed (BEP 31)
	minGap          = time.Minute    // shortest time between two announces to a tracker that has named peers
	defaultInterval = 30 * time.Minute
	stopTimeout     = 5 * time.Second // time limit of all announces of [Scheduler.Stop] together

	// longestRemembered bounds how long a torrent that is started again waits for an announce
	// before its start.
	longestRemembered = time.Hour
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

// SignalClient is a [Client] that also announces to WebSocket trackers.
// torrent.SignalAnnouncer documents the contract.
type SignalClient interface {
	Client
	AnnounceSignals(ctx context.Context, url string, req *tracker.AnnounceRequest, signals tracker.Signals) (*tracker.AnnounceResponse, error)
}

// Receiver receives the answers of trackers about a swarm. Its methods must be safe for
// concurrent use.
type Receiver interface {
	// Answered is called with each answer of the tracker at url.
	Answered(resp *tracker.AnnounceResponse, url string)
	// Found is called with each peer that the tracker at url names later, or has named before
	// the swarm was started again.
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
	// PartialSeed reports whether the torrent lacks data but downloads nothing more (BEP 21).
	PartialSeed() bool
	// Dormant reports whether the torrent is dormant. The status of its swarms is then not
	// kept, because nothing reads it.
	Dormant() bool
}

// Options configure a [Scheduler]. All are required except Signals and Record.
type Options struct {
	Client Client
	PeerID spate.PeerID
	// Port returns the port that trackers are told; 0 if no peer can connect.
	Port func() uint16
	// MaxAnnounces bounds the announces at one time.
	MaxAnnounces int
	// Signals returns the offers and answers of a swarm for WebSocket trackers. Nil means that no
	// torrent has such trackers.
	Signals func(hash spate.InfoHash) tracker.Signals
	// Go runs a function in a goroutine that the session waits for. It returns false if
	// the session is closed.
	Go func(func()) bool
	// Record is the path of the file that records when trackers may be asked again, so that a
	// program that is started again does not ask sooner. If it is empty, nothing is recorded.
	Record string
	// Log receives messages about the record.
	Log *slog.Logger
}

// Scheduler announces the swarms of a session. Its methods are safe for concurrent use.
type Scheduler struct {
	opt    Options
	gate   gate
	tokens chan struct{} // a token for each announce in progress
	wake   chan struct{} // receives a value when the first announce of the queue changes

	record record

	mu       sync.Mutex // guards the fields below and the state of every swarm
	queue    queue
	unqueued map[*Swarm]bool // swarms that are announced now, and those of Poll
	past     past
}

// NewScheduler returns a scheduler. The caller must call [Scheduler.Run].
func NewScheduler(opt Options) *Scheduler {
	return &Scheduler{
		opt:    opt,
		tokens: make(chan struct{}, opt.MaxAnnounces), wake: make(chan struct{}, 1),
		unqueued: map[*Swarm]bool{}, record: record{path: opt.Record, dirty: make(chan struct{}, 1)},
	}
}

// Start announces the swarms from now on, first with the event "started". uploaded and
// downloaded are the payload at the start, which is subtracted in announces. If a tracker was
// asked about a swarm a moment ago, perhaps by an earlier process, the first announce waits and
// the owner gets the peers of the last answer.
func (s *Scheduler) Start(swarms []*Swarm, uploaded, downloaded int64) {
	s.readRecord()
	port := max(1, s.opt.Port())
	for _, w := range swarms {
		s.mu.Lock()
		if w.active {
			s.mu.Unlock()
			continue
		}
		w.active = true
		w.event = tracker.EventStarted
		w.uploaded, w.downloaded = uploaded, downloaded
		now := time.Now()
		s.recallLocked(w, port)
		first := now
		if w.stops > 0 {
			first = now.Add(stopTimeout) // "started" follows "stopped"
			for _, p := range w.paces {
				p.resume(port)
			}
		}
		s.scheduleLocked(w, first)
		owner := w.owner
		known := map[string][]netip.AddrPort{}
		for _, p := range w.paces {
			if peers := p.remembered(now); len(peers) > 0 && !owner.Dormant() { // peers would wake a dormant torrent
				known[p.url] = peers
			}
		}
		s.mu.Unlock()
		for url, peers := range known {
			tell(owner, url, peers)
		}
	}
}

// recallLocked gives a swarm that starts the paces of its trackers.
func (s *Scheduler) recallLocked(w *Swarm, port uint16) {
	if len(s.past.by) == 0 {
		return
	}
	for _, url := range w.tiers.URLs() {
		p := s.past.take(paceKey{w.hash, url})
		if p == nil {
			continue
		}
		p.resume(port)
		w.paces = append(w.paces, p)
		if p.listed {
			id := ""
			if p.kept != nil {
				id = p.kept.id
			}
			w.tiers.Listed(url, id)
			p.listed = false
		}
		if p.kept == nil {
			continue
		}
		if p.kept.late != nil {
			p.kept.late.swarm = w
		}
		w.status = &Status{URL: url, Err: p.kept.err, Complete: p.kept.complete, Incomplete: p.kept.incomplete}
		if p.kept.err != nil {
			w.status.URL = ""
		}
	}
	if w.owner.Dormant() {
		w.status = nil
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
			w.completed, w.urgent = true, true
			s.scheduleLocked(w, time.Now())
		}
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
			one.LastAnnounce, one.NextAnnounce = w.last(), w.next
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
	var saving sync.WaitGroup
	defer saving.Wait()
	saving.Go(func() { s.keepRecord(ctx) })
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
	w := s.queue[0]
	now := time.Now()
	at := w.allowed(now)
	urgent := w.urgent && (w.event == tracker.EventNone || now.Before(at))
	if !urgent && now.Before(at) {
		s.scheduleLocked(w, at)
		return false
	}
	heap.Pop(&s.queue)
	announceCtx, cancel := context.WithTimeout(ctx, timeout)
	w.ongoing = &ongoing{cancel, make(chan struct{})}
	s.unqueued[w] = true
	event := w.event
	w.event = tracker.EventNone
	if urgent || event == tracker.EventNone && w.completed { // "started" comes first if it may be sent
		event, w.completed, w.urgent = tracker.EventCompleted, false, false
	}
	if !s.opt.Go(func() {
		defer func() { <-s.tokens }()
		defer cancel()
		s.announce(announceCtx, w, event, urgent)
	}) {
		cancel()
		w.ongoing = nil
		delete(s.unqueued, w)
		w.completed = w.completed || event == tracker.EventCompleted // Stop announces "completed" if this announce fails
		return false
	}
	return true
}

// announce makes one announce and schedules the next. An urgent announce goes to a tracker
// that does not allow another announce yet.
func (s *Scheduler) announce(ctx context.Context, w *Swarm, event tracker.Event, urgent bool) {
	req := s.request(w, event)
	c := &caller{s: s, swarm: w, gate: &s.gate, found: s.found(w), urgent: urgent}
	resp, url, err := w.tiers.Announce(ctx, c, &req)
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
	delete(s.unqueued, w)
	w.concludeLocked(event, resp, url, err)
	next := now.Add(c.next)
	if err != nil {
		next = w.allowed(now)
	}
	if w.urgent {
		next = now // the torrent was completed during this announce
	}
	if w.active {
		s.scheduleLocked(w, next)
		if w.repeat {
			s.hurryLocked(w, 0)
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
	owner := s.owner(w)
	uploaded, downloaded, left := owner.Progress()
	req := s.newRequest(w.hash)
	if event == tracker.EventNone && owner.PartialSeed() {
		event = tracker.EventPaused
	}
	req.Key, req.Event = w.key, event
	req.Uploaded, req.Downloaded, req.Left = uploaded-w.uploaded, downloaded-w.downloaded, left
	if event == tracker.EventStopped {
		req.NumWant = 0
	}
	req.Ranges = left == 0 && event != tracker.EventStopped && w.ranges != nil && w.ranges()
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
