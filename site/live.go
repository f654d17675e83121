package site

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"sync"
	"time"

	"spate"
	"spate/internal/lang"
	"spate/publish"
)

// numbers are the present numbers of a release. Its page shows them, and the events of
// /r/REF/live contain them.
type numbers struct {
	State   string  `json:"state,omitempty"` // [publish.State].Name; "" if it is unknown
	Problem string  `json:"problem"`         // why the publisher cannot send the data, or ""
	Known   bool    `json:"known"`           // whether the tracker knows the swarm
	Seeds   int     `json:"seeders"`
	Leeches int     `json:"leechers"`
	Rate    float64 `json:"up_rate"` // upload rate of the publisher's seed, in bytes per second
	publish.Counts
	FirstCopy int64 `json:"first_copy_seconds"` // seconds from publishing to the end of the first download; 0 if no download has ended
	// The fields below are computed from the Counts.
	Delivered int64   `json:"delivered"` // complete copies, as in [publish.Delivery]
	Sent      int64   `json:"sent"`      // [publish.Counts.OriginBytes]
	Copies    float64 `json:"copies"`    // as in [publish.Delivery]
	Saved     int64   `json:"saved"`     // as in [publish.Delivery]
}

// figures caches recent numbers, so that many visitors cause no more queries of the tracker
// and the catalog than one visitor.
type figures struct {
	mu   sync.Mutex
	seen map[spate.InfoHash]figure
}

type figure struct {
	numbers
	at time.Time
}

// maxFigures is the maximum number of cached numbers. Together they take about 2 MB.
const maxFigures = 10_000

// numbers returns the numbers of rel. They are at most half a tick old. A visitor who asks
// once a tick therefore never gets the same cached numbers twice.
func (s *Site) numbers(ctx context.Context, rel *publish.Release) numbers {
	ih, now := rel.Hash(), time.Now()
	s.known.mu.Lock()
	f, ok := s.known.seen[ih]
	s.known.mu.Unlock()
	if ok && now.Sub(f.at) < s.opts.Tick/2 {
		return f.numbers
	}
	f = figure{s.ask(ctx, rel), now}
	s.known.mu.Lock()
	defer s.known.mu.Unlock()
	if s.known.seen == nil || len(s.known.seen) >= maxFigures {
		s.known.seen = map[spate.InfoHash]figure{}
	}
	s.known.seen[ih] = f
	return f.numbers
}

// ask asks the tracker, the seed and the catalog about rel.
func (s *Site) ask(ctx context.Context, rel *publish.Release) numbers {
	n := numbers{FirstCopy: int64(rel.FirstCopy.Seconds())}
	if s.opts.State != nil {
		state := s.opts.State(ctx, rel)
		n.State, n.Problem = state.Name, state.Problem()
	}
	if s.opts.Swarm != nil {
		c, known := Peers(rel, s.opts.Swarm, s.opts.Common)
		n.Known, n.Seeds, n.Leeches, n.Completed = known, c.Seeders, c.Leechers, int64(c.Completed)
	}
	for _, ih := range []spate.InfoHash{rel.Hash(), rel.Twin.Hash} {
		if s.opts.Origin == nil || ih.IsZero() {
			continue
		}
		if o, ok := s.opts.Origin(ih); ok {
			n.SeedBytes += o.Bytes
			n.Rate += math.Round(o.Rate)
		}
	}
	n.HTTPBytes = s.Sent(rel.Hash())
	// The catalog has the sums of all runs, but is updated only every few seconds.
	if t, err := s.catalog.Total(ctx, rel.Hash()); err == nil {
		n.Completed, n.Direct, n.Archives = max(n.Completed, t.Completed), t.Direct, t.Archives
		n.SeedBytes, n.HTTPBytes = max(n.SeedBytes, t.SeedBytes), max(n.HTTPBytes, t.HTTPBytes)
	}
	d := n.Delivery(rel.Size, rel.NumFiles)
	n.Delivered, n.Sent, n.Copies, n.Saved = d.Finished, n.OriginBytes(), d.Copies, d.Saved
	return n
}

// liveShown is the data of an event: the numbers, and some of them as text.
type liveShown struct {
	numbers
	RateText      string `json:"rate_text"`
	SavedText     string `json:"saved_text"`
	FirstText     string `json:"first_text"`
	DeliveredText string `json:"delivered_text"`
	ProblemText   string `json:"problem_text"`
}

// eventOf returns the data of an event in the language.
func eventOf(l *lang.Language, n numbers) liveShown {
	e := liveShown{n, l.Rate(n.Rate), l.Bytes(n.Saved), firstCopy(l, n.FirstCopy), l.T("%d complete downloads", n.Delivered), ""}
	if n.Problem != "" {
		e.ProblemText = l.T(n.Problem)
	}
	return e
}

// firstCopy formats numbers.FirstCopy. It returns "" if there is no first copy yet.
func firstCopy(l *lang.Language, seconds int64) string {
	if seconds <= 0 {
		return ""
	}
	return l.Duration(time.Duration(seconds) * time.Second)
}

// heartbeat is the maximum time without data on a live connection. Proxies may close a
// connection that is idle for longer.
const heartbeat = 20 * time.Second

// live answers /r/REF/live with the numbers of the release as server-sent events. It sends
// an event after each change.
func (s *Site) live(w http.ResponseWriter, r *http.Request) {
	rel := s.find(w, r, r.PathValue("name"))
	if rel == nil {
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	slot := s.watchers.enter(ctx, 0, s.networkOf(r), cancel)
	if slot == nil {
		w.Header().Set("Retry-After", "60")
		s.fail(w, r, http.StatusServiceUnavailable, "Busy", "Too many visitors are watching live numbers. Try again in a minute.")
		return
	}
	defer slot.leave()
	slot.offer() // after its turn the visitor can lose the slot to another one
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx
	if r.Method == http.MethodHead {
		return
	}

	l := s.in(r).Language
	control := http.NewResponseController(w)
	defer control.SetWriteDeadline(time.Time{})
	tick := time.NewTicker(s.opts.Tick)
	defer tick.Stop()
	var last numbers
	var quiet time.Time // when data was last sent
	for first := true; ; first = false {
		now := time.Now()
		switch fresh, err := s.catalog.Get(ctx, rel.Ref()); {
		case err == nil:
			rel = fresh // the first download may have ended meanwhile
		case errors.Is(err, publish.ErrNotFound):
			return // it was withdrawn; the next request gets an error
		}
		control.SetWriteDeadline(now.Add(s.opts.Tick + heartbeat))
		var err error
		switch n := s.numbers(ctx, rel); {
		case first || n != last:
			last, quiet = n, now
			data, _ := json.Marshal(eventOf(l, n))
			_, err = fmt.Fprintf(w, "data: %s\n\n", data)
		case now.Sub(quiet) >= heartbeat:
			quiet = now
			_, err = w.Write([]byte(":\n\n"))
		}
		if err != nil || control.Flush() != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-s.done:
			return
		case <-tick.C:
		}
	}
}
