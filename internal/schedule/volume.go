package schedule

import (
	"errors"
	"time"
)

// Ways are the directions that count in a [Volume].
type Ways string

// The values of [Ways]. The zero value is [Both].
const (
	Both     Ways = "both"
	Sent     Ways = "up"
	Received Ways = "down"
)

// Volume limits what is carried in a month. The zero Volume is none.
type Volume struct {
	Bytes int64 `json:"bytes"`            // of a month; 0: no limit, and nothing is counted
	Day   int   `json:"day"`              // day on which a month begins, 1 to 31; in shorter months their last day; 0: 1
	Ways  Ways  `json:"counts,omitempty"` // which bytes count
	// Floor is the rate in bytes a second that the counted ways have after the volume is used up; 0: a
	// pause.
	Floor int64 `json:"floor,omitempty"`
}

// Check returns an error if v is not valid.
func (v *Volume) Check() error {
	switch {
	case v.Bytes < 0 || v.Bytes > 1<<60:
		return errors.New("the volume is negative or too large")
	case v.Day < 0 || v.Day > 31:
		return errors.New("a month begins on one of the days 1 to 31")
	case v.Ways != "" && v.Ways != Both && v.Ways != Sent && v.Ways != Received:
		return errors.New("what counts is up, down or both")
	case v.Floor < 0 || v.Floor > maxRate:
		return errRate
	}
	return nil
}

// Month returns the begin and the end of the month of v at now, by the clock of the location of now.
func (v *Volume) Month(now time.Time) (begin, end time.Time) {
	year, month, _ := now.Date()
	if begin = v.first(year, month, now.Location()); now.Before(begin) {
		return v.first(year, month-1, now.Location()), begin
	}
	return begin, v.first(year, month+1, now.Location())
}

// first returns the begin of the month that begins in a calendar month.
func (v *Volume) first(year int, month time.Month, loc *time.Location) time.Time {
	last := time.Date(year, month+1, 0, 0, 0, 0, 0, loc).Day()
	return time.Date(year, month, min(max(1, v.Day), last), 0, 0, 0, 0, loc)
}

// Used is what was carried in a month, in bytes.
type Used struct {
	Begin time.Time `json:"begin"` // of the month
	Up    int64     `json:"up"`
	Down  int64     `json:"down"`
	Told  int       `json:"told,omitempty"` // the highest of the parts in percent that was told: 80 or 100
}

// sameMonth is the difference up to which two begins are those of one month: clocks of time zones
// differ so much.
const sameMonth = 26 * time.Hour

// clockSet is the first year of a clock that is set. Machines without a battery start in 1970.
const clockSet = 2020

// Add counts bytes at now. Bytes of another month begin a new count.
func (u *Used) Add(v *Volume, now time.Time, up, down int64) {
	begin, _ := v.Month(now)
	if begin.Sub(u.Begin).Abs() > sameMonth && (u.Begin.IsZero() || now.Year() >= clockSet) {
		*u = Used{Begin: begin}
	}
	u.Up, u.Down = u.Up+up, u.Down+down
}

// Counted returns the bytes that count in v.
func (u *Used) Counted(v *Volume) int64 {
	switch v.Ways {
	case Sent:
		return u.Up
	case Received:
		return u.Down
	}
	return u.Up + u.Down
}

// WarnAt is the part of a volume in percent at which the user is warned.
const WarnAt = 80

// Reached returns the highest part in percent, 0, 80 or 100, that is used.
func (u *Used) Reached(v *Volume) int {
	switch n := u.Counted(v); {
	case v.Bytes == 0:
	case n >= v.Bytes:
		return 100
	case n >= v.Bytes/100*WarnAt+v.Bytes%100*WarnAt/100:
		return WarnAt
	}
	return 0
}

// Limits returns the limits that follow from the used volume.
func (u *Used) Limits(v *Volume) Limits {
	switch {
	case u.Reached(v) < 100:
		return Limits{}
	case v.Floor == 0:
		return Limits{Pause: true}
	case v.Ways == Sent:
		return Limits{Up: v.Floor}
	case v.Ways == Received:
		return Limits{Down: v.Floor}
	}
	return Limits{Up: v.Floor, Down: v.Floor}
}
