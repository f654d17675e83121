package site

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"time"

	"spate/publish"
)

// numbers are what is known of a release's swarm at one moment, as its page
// shows them and as the events of /r/NAME/live carry them.
type numbers struct {
	Known     bool    `json:"known"` // whether the tracker has an answer
	Seeds     int     `json:"seeds"`
	Leeches   int     `json:"leechers"`
	Completed int     `json:"completed"`
	Sent      int64   `json:"sent"`   // bytes, by the own seed and by direct downloads
	Rate      float64 `json:"rate"`   // bytes a second, the own seed
	Copies    float64 `json:"copies"` // Sent in copies of the release
	// Saved is what the downloads that were finished took from others than this
	// publisher, in bytes, as far as is known.
	Saved int64 `json:"saved"`
}

// numbers asks the tracker and the seed about rel. A hybrid is two swarms and
// its clients announce to both or to one: the larger count is the nearer one,
// and their sum would count most of them twice.
func (s *Site) numbers(rel *publish.Release) numbers {
	var n numbers
	for _, ih := range rel.Hashes() {
		if s.opts.Swarm == nil {
			break
		}
		if c, ok := s.opts.Swarm(ih); ok {
			n.Known = true
			n.Seeds = max(n.Seeds, c.Seeders)
			n.Leeches = max(n.Leeches, c.Leechers)
			n.Completed = max(n.Completed, c.Completed)
		}
	}
	if s.opts.Origin != nil {
		if o, ok := s.opts.Origin(rel.Hash()); ok {
			n.Sent, n.Rate = o.Bytes, math.Round(o.Rate)
		}
	}
	n.Sent += s.Sent(rel.Hash())
	if rel.Size > 0 {
		n.Copies = math.Round(float64(n.Sent)/float64(rel.Size)*100) / 100
		if n.Completed < int(math.MaxInt64/rel.Size) {
			n.Saved = max(0, int64(n.Completed)*rel.Size-n.Sent)
		}
	}
	return n
}

// liveShown is an event's data: the numbers, and the two that are written out.
type liveShown struct {
	numbers
	RateText  string `json:"rate_text"`
	SavedText string `json:"saved_text"`
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
	if s.watchers.Add(1) > int64(s.opts.MaxLive) {
		s.watchers.Add(-1)
		w.Header().Set("Retry-After", "60")
		s.fail(w, r, http.StatusServiceUnavailable, "Busy", "As many visitors are watching live numbers as are allowed at once.")
		return
	}
	defer s.watchers.Add(-1)
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
		control.SetWriteDeadline(now.Add(s.opts.Tick + heartbeat))
		var err error
		switch n := s.numbers(rel); {
		case first || n != last:
			last, quiet = n, now
			data, _ := json.Marshal(liveShown{n, size(int64(n.Rate)) + "/s", size(n.Saved)})
			_, err = fmt.Fprintf(w, "data: %s\n\n", data)
		case now.Sub(quiet) >= heartbeat:
			quiet = now
			_, err = w.Write([]byte(":\n\n"))
		}
		if err != nil || control.Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-s.done:
			return
		case <-tick.C:
		}
	}
}
