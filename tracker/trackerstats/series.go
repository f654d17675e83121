package trackerstats

import (
	"encoding/json"
	"errors"
	"io/fs"
	"sync"
	"time"

	"spate/internal/atomicfile"
	"spate/tracker"
	"spate/tracker/swarm"
)

// Point is the state of a tracker at one time, and the requests since the previous
// point.
type Point struct {
	Time     time.Time `json:"time"`
	Torrents int       `json:"torrents"` // torrents with peers
	Seeders  int       `json:"seeders"`  // including pinned origins
	Leechers int       `json:"leechers"`
	// Seconds is the time since the previous point. The fields below are numbers from
	// that time: answered announces by transport, counted completions and refusals.
	Seconds   float64 `json:"seconds"`
	HTTP      uint64  `json:"announces_http"`
	UDP       uint64  `json:"announces_udp"`
	WebSocket uint64  `json:"announces_websocket"`
	Completed uint64  `json:"completed"`
	Refused   uint64  `json:"refused"`
}

// The lengths of the two lines of points: four hours with a point for each minute, and a
// week with a point for each quarter of an hour.
const (
	minutePoints  = 4 * 60
	quarterPoints = 7 * 24 * 4
)

// series holds the points of the charts.
type series struct {
	mu       sync.Mutex // guards the fields below
	minutes  line
	quarters line
}

// line is a ring of points with a fixed distance.
type line struct {
	every time.Duration
	ring  []Point
	next  int            // the oldest point, once the ring is full
	last  tracker.Counts // counts at the last point
	at    time.Time      // time of the last point
}

func newSeries(now time.Time) *series {
	return &series{
		minutes:  line{every: time.Minute, ring: make([]Point, 0, minutePoints), at: now},
		quarters: line{every: 15 * time.Minute, ring: make([]Point, 0, quarterPoints), at: now},
	}
}

// sample adds a point to each line whose last point is old enough.
func (s *series) sample(now time.Time, tot *swarm.Totals, c *tracker.Counts) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.minutes.sample(now, tot, c)
	s.quarters.sample(now, tot, c)
}

func (l *line) sample(now time.Time, tot *swarm.Totals, c *tracker.Counts) {
	if now.Sub(l.at) < l.every {
		return
	}
	p := Point{
		Time: now, Torrents: tot.Active, Seeders: tot.Seeders(), Leechers: tot.Leechers(),
		Seconds:   now.Sub(l.at).Seconds(),
		HTTP:      c.Announces[tracker.HTTP] - l.last.Announces[tracker.HTTP],
		UDP:       c.Announces[tracker.UDP] - l.last.Announces[tracker.UDP],
		WebSocket: c.Announces[tracker.WebSocket] - l.last.Announces[tracker.WebSocket],
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

// points returns a copy of the points, the oldest first.
func (l *line) points() []Point {
	return append(append([]Point(nil), l.ring[l.next:]...), l.ring[:l.next]...)
}

// points returns the points of the last hours and of the last week, the oldest first.
func (s *series) points() (hours, week []Point) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.minutes.points(), s.quarters.points()
}

// maxPast limits the size of the file of SavePast in bytes. SavePast writes about a
// third of it.
const maxPast = 1 << 20

// savedPast is the content of the file of SavePast.
type savedPast struct {
	Minutes  []Point `json:"minutes"`
	Quarters []Point `json:"quarters"`
}

// SavePast writes the points of the charts to the file at path, which it replaces
// atomically.
func (st *Statistics) SavePast(path string) error {
	hours, week := st.series.points()
	b, err := json.Marshal(savedPast{hours, week})
	if err != nil {
		return err
	}
	return atomicfile.Replace(path, b)
}

// LoadPast adds the points that SavePast wrote to the charts. Call it before the first
// Sample. If the file does not exist, LoadPast does nothing and returns nil. If the file is
// damaged, LoadPast renames it, and returns an error with the new name.
func (st *Statistics) LoadPast(path string) error {
	var p savedPast
	err := atomicfile.Load(path, maxPast, func(b []byte) error { return json.Unmarshal(b, &p) })
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	st.series.mu.Lock()
	defer st.series.mu.Unlock()
	st.series.minutes.restore(p.Minutes, st.started)
	st.series.quarters.restore(p.Quarters, st.started)
	return nil
}

// restore adds earlier points to an empty line. It skips points that are out of order,
// in the future or too old.
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
