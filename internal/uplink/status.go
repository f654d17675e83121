package uplink

import (
	"fmt"
	"time"

	"spate/internal/schedule"
	"spate/internal/units"
)

// The modes of a [Status].
const (
	Given       = "given"       // the user has set a limit
	Learned     = "learned"     // the limit is learned
	Scheduled   = "scheduled"   // the schedule or the monthly volume sets a lower limit than the others
	Off         = "off"         // the user has turned off limits
	Unsupported = "unsupported" // the system does not tell what is needed to learn a limit
)

// Status describes the limit of all senders of a process. Rates are in bytes per second.
type Status struct {
	Mode     string  `json:"mode"`
	Limit    int64   `json:"limit"`              // 0: none
	Capacity int64   `json:"capacity,omitempty"` // last known capacity of the line
	Rate     int64   `json:"rate,omitempty"`     // acknowledged in the last second
	QueueMS  float64 `json:"queue_ms,omitempty"` // delay of the queue that the sockets share, in milliseconds
	Foreign  bool    `json:"foreign,omitempty"`  // nothing is limited, because the queue belongs to other senders
}

// Status returns what the line has learned.
func (l *Line) Status() Status {
	if !Supported {
		return Status{Mode: Unsupported}
	}
	s := l.State()
	return Status{
		Mode: Learned, Limit: s.Limit, Capacity: s.Capacity, Rate: s.Rate, Foreign: s.Foreign,
		QueueMS: float64(s.Queue.Round(100*time.Microsecond)) / float64(time.Millisecond),
	}
}

// String describes the status in a few words.
func (s Status) String() string {
	switch {
	case s.Mode == Off:
		return "not limited (--up 0)"
	case s.Mode == Unsupported:
		return "not limited: this system does not report the queues of sockets; --up sets a limit"
	case s.Mode == Scheduled && s.Limit <= schedule.PausedRate:
		return "paused (schedule or monthly volume)"
	case s.Mode == Scheduled:
		return units.Rate(float64(s.Limit)) + " (schedule or monthly volume)"
	case s.Mode == Given:
		return units.Rate(float64(s.Limit)) + " (--up)"
	case s.Foreign:
		return "not limited: other traffic fills the line"
	case s.Limit > 0:
		return fmt.Sprintf("%s learned, queue %.0f ms", units.Rate(float64(s.Limit)), s.QueueMS)
	case s.Capacity > 0:
		return fmt.Sprintf("not limited, last learned %s", units.Rate(float64(s.Capacity)))
	}
	return "not limited: no queue seen yet"
}
