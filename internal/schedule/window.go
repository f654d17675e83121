package schedule

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Window is a time with limits. It comes every week, on Days from From to To, or once, from Since to
// Until.
//
// A window of the week follows the local clock: it applies while the clock shows a time of the
// window. When the clock is put back, a window can therefore apply for an hour more, or twice. A
// window whose times are all skipped does not occur on that day.
type Window struct {
	Days string `json:"days,omitempty"` // days on which it begins: "mon-fri,sun"; "": every day
	From string `json:"from,omitempty"` // time of the day, "22:00"; "" with an empty To: the whole day
	// To is when it ends: "06:00" or "24:00". If To is not after From, it ends on the next day.
	To string `json:"to,omitempty"`

	Since time.Time `json:"since,omitzero"` // of a window that occurs once; zero: it has begun
	Until time.Time `json:"until,omitzero"` // end of a window that occurs once; zero: it comes every week

	// Label is the label of the torrents that the limits are for, which share them; "": the whole
	// daemon, with its releases.
	Label string `json:"label,omitempty"`
	Limits
}

// Limits of a table.
const (
	MaxWindows = 100
	maxRate    = 1 << 50 // bytes a second
)

// Errors of windows.
var (
	errNoLimits   = errors.New("it has no limits: write up, down or pause")
	errBothLimits = errors.New("a pause has no rates")
	errRate       = errors.New("a rate is negative or too large")
	errOnce       = errors.New("a window with until has no days, from and to")
	errHalf       = errors.New("it has only one of from and to")
	errEnd        = errors.New("until is not after since")
	errSince      = errors.New("since needs until")
)

// Check returns an error if w is not valid.
func (w *Window) Check() error {
	_, err := w.parse()
	return err
}

// times is a parsed window.
type times struct {
	days     [7]bool // by [time.Weekday], days on which it begins
	from, to int     // minutes after midnight; to is at most from if it ends on the next day
	once     bool
}

const dayMinutes = 24 * 60

func (w *Window) parse() (t times, err error) {
	switch {
	case w.Up < 0 || w.Down < 0 || w.Up > maxRate || w.Down > maxRate:
		return t, errRate
	case w.Pause && (w.Up > 0 || w.Down > 0):
		return t, errBothLimits
	case w.Limits == Limits{}:
		return t, errNoLimits
	case w.Until.IsZero() && !w.Since.IsZero():
		return t, errSince
	case !w.Until.IsZero() && (w.Days != "" || w.From != "" || w.To != ""):
		return t, errOnce
	case !w.Until.IsZero() && !w.Since.Before(w.Until):
		return t, errEnd
	case !w.Until.IsZero():
		t.once = true
		return t, nil
	case (w.From == "") != (w.To == ""):
		return t, errHalf
	}
	if t.days, err = parseDays(w.Days); err != nil || w.From == "" {
		t.to = dayMinutes
		return t, err
	}
	if t.from, err = parseClock(w.From); err != nil {
		return t, err
	}
	if t.from == dayMinutes {
		return t, fmt.Errorf("from is %s: write 00:00 and the next day", w.From)
	}
	t.to, err = parseClock(w.To)
	return t, err
}

// parseClock returns the minutes after midnight of a time such as 22:00. 24:00 is the end of the day.
func parseClock(s string) (int, error) {
	hours, minutes, ok := strings.Cut(s, ":")
	h, err := strconv.ParseUint(hours, 10, 8)
	m, err2 := strconv.ParseUint(minutes, 10, 8)
	n := int(h)*60 + int(m)
	if !ok || err != nil || err2 != nil || len(hours) > 2 || len(minutes) != 2 || m > 59 || n > dayMinutes {
		return 0, fmt.Errorf("%q is no time of the day such as 22:00", s)
	}
	return n, nil
}

// dayNames are the names of days, by [time.Weekday].
var dayNames = [7]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// parseDays parses days and ranges of them, such as "mon-fri,sun". A range can pass Sunday:
// "fri-mon".
func parseDays(s string) (days [7]bool, err error) {
	if strings.TrimSpace(s) == "" {
		return [7]bool{true, true, true, true, true, true, true}, nil
	}
	for part := range strings.SplitSeq(s, ",") {
		first, last, isRange := strings.Cut(part, "-")
		a, err := parseDay(first)
		b := a
		if err == nil && isRange {
			b, err = parseDay(last)
		}
		if err != nil {
			return days, err
		}
		for d := a; ; d = (d + 1) % 7 {
			days[d] = true
			if d == b {
				break
			}
		}
	}
	return days, nil
}

// parseDay parses the name of a day: its first three letters or more.
func parseDay(s string) (int, error) {
	name := strings.ToLower(strings.TrimSpace(s))
	for d, short := range dayNames {
		if len(name) >= 3 && strings.HasPrefix(name, short) && strings.HasPrefix(strings.ToLower(time.Weekday(d).String()), name) {
			return d, nil
		}
	}
	return 0, fmt.Errorf("%q is no day: write mon, tue, wed, thu, fri, sat or sun", s)
}

// applies reports whether the window applies at now, by the clock of the location of now.
func (w *Window) applies(t *times, now time.Time) bool {
	if t.once {
		return !now.Before(w.Since) && now.Before(w.Until)
	}
	minute, day := now.Hour()*60+now.Minute(), int(now.Weekday())
	if t.to > t.from {
		return t.days[day] && minute >= t.from && minute < t.to
	}
	return t.days[day] && minute >= t.from || t.days[(day+6)%7] && minute < t.to
}

// String describes when the window applies, and its limits.
func (w Window) String() string {
	when := "every day"
	if w.Days != "" {
		when = w.Days
	}
	if w.From != "" {
		when += " " + w.From + "-" + w.To
	}
	if !w.Until.IsZero() {
		when = "until " + w.Until.Local().Format("2006-01-02 15:04")
		if !w.Since.IsZero() {
			when = w.Since.Local().Format("2006-01-02 15:04") + " " + when
		}
	}
	return when
}

// Clock returns when a window of the week begins and ends, in minutes after midnight, and on which days
// it begins, by [time.Weekday]. A window that is not valid, or that occurs once, has none.
func (w *Window) Clock() (from, to int, days [7]bool) {
	t, err := w.parse()
	if err != nil || t.once {
		return 0, 0, days
	}
	return t.from, t.to, t.days
}
