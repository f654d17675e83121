// Package schedule decides which limits apply at a time: by windows of the week, by windows that
// occur once, and by a volume for each month. It has no clock and does no I/O.
//
// One rule combines all limits: every limit that applies holds, so that the lowest one counts, and a
// pause counts as lower than any rate.
package schedule

// Limits are limits of rates in bytes a second. The zero Limits limit nothing.
type Limits struct {
	Up    int64 `json:"up,omitempty"`    // for sending; 0: no limit
	Down  int64 `json:"down,omitempty"`  // for receiving; 0: no limit
	Pause bool  `json:"pause,omitempty"` // nothing is sent or received
}

// And returns the limits that hold if both l and o hold.
func (l Limits) And(o Limits) Limits {
	return Limits{Up: lower(l.Up, o.Up), Down: lower(l.Down, o.Down), Pause: l.Pause || o.Pause}
}

// lower returns the lower of two limits; 0 is no limit.
func lower(a, b int64) int64 {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}

// PausedRate is the limit of a pause in bytes a second, for limiters for which 0 is no limit. At this
// rate a block of 16 KiB takes more than four hours.
const PausedRate = 1

// Rates returns the limits for limiters for which 0 is no limit. A pause is [PausedRate].
func (l Limits) Rates() (up, down int64) {
	if l.Pause {
		return PausedRate, PausedRate
	}
	return l.Up, l.Down
}
