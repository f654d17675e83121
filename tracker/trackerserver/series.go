package trackerserver

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"spate/internal/atomicfile"
	"spate/tracker/swarm"
)

// Point is the state of a tracker at one time, and what it did since the point
// before.
type Point struct {
	Time     time.Time `json:"time"`
	Torrents int       `json:"torrents"`
	Seeders  int       `json:"seeders"`
	Leechers int       `json:"leechers"`
	// Of the time from the last point to this, Seconds: announces by transport,
	// completed downloads, refusals.
	Seconds   float64 `json:"seconds"`
	HTTP      uint64  `json:"announces_http"`
	UDP       uint64  `json:"announces_udp"`
	Completed uint64  `json:"completed"`
	Refused   uint64  `json:"refused"`
}

// Two lines of points are kept: the last hours by the minute, the last week by
// the quarter of an hour.
const (
	minutePoints  = 4 * 60
	quarterPoints = 7 * 24 * 4
)

// series is the recent past of a tracker.
type series struct {
	mu       sync.Mutex // guards all below
	minute   line
	quarters line
}

// line is a ring of points at a fixed distance.
type line struct {
	every time.Duration
	ring  []Point
	next  int
	last  Counts // of the last point
	at    time.Time
}

func newSeries(now time.Time) *series {
	return &series{
		minute:   line{every: time.Minute, ring: make([]Point, 0, minutePoints), at: now},
		quarters: line{every: 15 * time.Minute, ring: make([]Point, 0, quarterPoints), at: now},
	}
}

// sample adds points where they are due.
func (s *series) sample(now time.Time, tot *swarm.Totals, c *Counts) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.minute.sample(now, tot, c)
	s.quarters.sample(now, tot, c)
}

func (l *line) sample(now time.Time, tot *swarm.Totals, c *Counts) {
	if now.Sub(l.at) < l.every {
		return
	}
	p := Point{
		Time: now, Torrents: tot.Active, Seeders: tot.Seeders4 + tot.Seeders6 + tot.Pinned, Leechers: tot.Leechers4 + tot.Leechers6,
		Seconds: now.Sub(l.at).Seconds(),
		HTTP:    c.Announces[HTTP] - l.last.Announces[HTTP], UDP: c.Announces[UDP] - l.last.Announces[UDP],
		Completed: c.Completed - l.last.Completed, Refused: c.Refused - l.last.Refused,
	}
	l.last, l.at = *c, now
	if len(l.ring) < cap(l.ring) {
		l.ring = append(l.ring, p)
		return
	}
	l.ring[l.next] = p
	l.next = (l.next + 1) % len(l.ring)
}

// points returns the points of a line, the oldest first.
func (l *line) points() []Point {
	return append(append([]Point(nil), l.ring[l.next:]...), l.ring[:l.next]...)
}

// past returns the last hours, or with week the last week.
func (s *series) past(week bool) []Point {
	s.mu.Lock()
	defer s.mu.Unlock()
	if week {
		return s.quarters.points()
	}
	return s.minute.points()
}

// maxPast bounds the file of the past, in bytes: three times what is written.
const maxPast = 1 << 20

// savedPast is the past as a file.
type savedPast struct {
	Minutes  []Point `json:"minutes"`
	Quarters []Point `json:"quarters"`
}

// SavePast writes what the charts show to a file, whole or not at all.
func (st *Statistics) SavePast(path string) error {
	b, err := json.Marshal(savedPast{st.series.past(false), st.series.past(true)})
	if err != nil {
		return err
	}
	return atomicfile.Replace(path, b)
}

// LoadPast adds what SavePast wrote before to the charts. A file that is not
// there is no error.
func (st *Statistics) LoadPast(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Size() > maxPast {
		return fmt.Errorf("%s: %d bytes are too many", path, info.Size())
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var p savedPast
	if err := json.Unmarshal(b, &p); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	st.series.mu.Lock()
	defer st.series.mu.Unlock()
	st.series.minute.restore(p.Minutes, st.began)
	st.series.quarters.restore(p.Quarters, st.began)
	return nil
}

// restore puts points of earlier on an empty line, as far as they are in order
// and not too old.
func (l *line) restore(points []Point, now time.Time) {
	span := l.every * time.Duration(cap(l.ring))
	last := now.Add(-span)
	for _, p := range points {
		if p.Time.After(last) && !p.Time.After(now) && p.Seconds > 0 && len(l.ring) < cap(l.ring) {
			l.ring = append(l.ring, p)
			last = p.Time
		}
	}
}
