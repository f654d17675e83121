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
	"spate/publish"
)

// numbers are what is known of a release's swarm at one moment, as its page
// shows them and as the events of /r/REF/live carry them.
type numbers struct {
	Known     bool    `json:"known"` // whether the tracker has an answer
	Seeds     int     `json:"seeds"`
	Leeches   int     `json:"leechers"`
	Completed int     `json:"completed"`
	Delivered int     `json:"delivered"` // Completed and whole downloads over HTTP
	Sent      int64   `json:"sent"`      // bytes, by the own seed and by direct downloads
	Rate      float64 `json:"rate"`      // bytes a second, the own seed
	Copies    float64 `json:"copies"`    // Sent in copies of the release
	// Saved is what the downloads that were finished took from others than this
	// publisher, in bytes, as far as is known.
	Saved     int64 `json:"saved"`
	FirstCopy int64 `json:"first_copy"` // seconds from publishing to the first download finished; 0: none yet
}

// figures are numbers that were asked for lately, so that many visitors cost the
// tracker and the catalog no more than one.
type figures struct {
	mu   sync.Mutex
	seen map[spate.InfoHash]figure
}

type figure struct {
	numbers
	at time.Time
}

// maxFigures bounds what is kept: about 2 MB.
const maxFigures = 10_000

// numbers returns what is known of rel, no older than half a tick: who looks once a
// tick, a little early, would else find what was there the last time.
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

// ask asks the tracker, the seed and the catalog about rel. A hybrid is two
// swarms and its clients announce to both or to one: the larger count is the
// nearer one, and their sum would count most of them twice. In the swarm of its
// twin are others.
func (s *Site) ask(ctx context.Context, rel *publish.Release) numbers {
	var n numbers
	count := func(ih spate.InfoHash) (c Swarm) {
		if s.opts.Swarm != nil && !ih.IsZero() {
			var ok bool
			c, ok = s.opts.Swarm(ih)
			n.Known = n.Known || ok
		}
		return c
	}
	for _, ih := range rel.Hashes() {
		c := count(ih)
		n.Seeds, n.Leeches, n.Completed = max(n.Seeds, c.Seeders), max(n.Leeches, c.Leechers), max(n.Completed, c.Completed)
	}
	if c := count(rel.Twin.Hash); n.Known {
		n.Leeches += c.Leechers
		n.Completed += c.Completed
		n.Seeds += max(0, c.Seeders-1) // the publisher's own is counted above
	}
	if s.opts.Origin != nil {
		for _, ih := range []spate.InfoHash{rel.Hash(), rel.Twin.Hash} {
			if ih.IsZero() {
				continue
			}
			if o, ok := s.opts.Origin(ih); ok {
				n.Sent += o.Bytes
				n.Rate += math.Round(o.Rate)
			}
		}
	}
	n.Sent += s.Sent(rel.Hash())
	n.Delivered, n.FirstCopy = n.Completed, int64(rel.FirstCopy.Seconds())
	// What was counted in earlier runs, and before the tracker forgot.
	if h, err := s.catalog.History(ctx, rel.Hash(), time.Now()); err == nil {
		n.Sent = max(n.Sent, h.Total.OriginBytes())
		n.Delivered = int(max(int64(n.Completed), h.Total.Completed) + h.Total.Direct)
	}
	if rel.Size > 0 {
		n.Copies = math.Round(float64(n.Sent)/float64(rel.Size)*100) / 100
		if n.Delivered < int(math.MaxInt64/rel.Size) {
			n.Saved = max(0, int64(n.Delivered)*rel.Size-n.Sent)
		}
	}
	return n
}

// liveShown is an event's data: the numbers, and those that are written out.
type liveShown struct {
	numbers
	RateText  string `json:"rate_text"`
	SavedText string `json:"saved_text"`
	FirstText string `json:"first_text"`
}

// heartbeat is the longest silence on a live connection, so that what lies
// between does not take it for dead.
const heartbeat = 20 * time.Second

// live answers /r/NAME/live: the release's numbers as server-sent events, one
// whenever they are others.
func (s *Site) live(w http.ResponseWriter, r *http.Request) {
	rel := s.find(w, r, r.PathValue("name"))
	if rel == nil {
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	place := s.watchers.enter(ctx, 0, s.networkOf(r), cancel)
	if place == nil {
		w.Header().Set("Retry-After", "60")
		s.fail(w, r, http.StatusServiceUnavailable, "Busy", "As many visitors are watching live numbers as are allowed at once.")
		return
	}
	defer place.leave()
	place.offer() // once it has had its turn it makes room for others
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx
	if r.Method == http.MethodHead {
		return
	}

	control := http.NewResponseController(w)
	defer control.SetWriteDeadline(time.Time{})
	tick := time.NewTicker(s.opts.Tick)
	defer tick.Stop()
	var last numbers
	var quiet time.Time // since when nothing was sent
	for first := true; ; first = false {
		now := time.Now()
		switch fresh, err := s.catalog.Get(ctx, rel.Ref()); {
		case err == nil:
			rel = fresh // its first copy may be there meanwhile
		case errors.Is(err, publish.ErrNotFound):
			return // it was taken back, and who asks again is told
		}
		control.SetWriteDeadline(now.Add(s.opts.Tick + heartbeat))
		var err error
		switch n := s.numbers(ctx, rel); {
		case first || n != last:
			last, quiet = n, now
			data, _ := json.Marshal(liveShown{n, size(int64(n.Rate)) + "/s", size(n.Saved), took(n.FirstCopy)})
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
