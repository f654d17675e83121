package schedule

import (
	"testing"
	"time"
)

// TestMonthOfVolume checks where months begin that do not begin on the first day.
func TestMonthOfVolume(t *testing.T) {
	t.Parallel()
	loc := berlin(t)
	for _, test := range []struct {
		day            int
		at, begin, end string
	}{
		{0, "2026-11-30 23:59", "2026-11-01", "2026-12-01"},
		{1, "2026-12-01 00:00", "2026-12-01", "2027-01-01"},
		{15, "2026-12-14 23:59", "2026-11-15", "2026-12-15"},
		{15, "2026-12-15 00:00", "2026-12-15", "2027-01-15"},
		{31, "2026-02-28 12:00", "2026-02-28", "2026-03-31"},
		{31, "2026-03-30 12:00", "2026-02-28", "2026-03-31"},
		{30, "2028-02-29 00:00", "2028-02-29", "2028-03-30"},
		{29, "2026-03-29 02:30", "2026-03-29", "2026-04-29"}, // the clock is put forward
		{31, "2027-01-01 00:00", "2026-12-31", "2027-01-31"},
	} {
		v := Volume{Day: test.day}
		begin, end := v.Month(minute(t, test.at, loc))
		if begin.Format(time.DateOnly) != test.begin || end.Format(time.DateOnly) != test.end || begin.Hour() != 0 {
			t.Errorf("day %d at %s: %v to %v", test.day, test.at, begin, end)
		}
	}
}

// TestVolumeUsedUp checks what counts, when it is told, which limits follow, and that a new month
// begins with nothing.
func TestVolumeUsedUp(t *testing.T) {
	t.Parallel()
	now := minute(t, "2026-11-30 23:00", berlin(t))
	var u Used
	both, sent := Volume{Bytes: 1000}, Volume{Bytes: 1000, Ways: Sent, Floor: 7}
	for _, step := range []struct {
		up, down            int64
		reached, sentReach  int
		limits, sentLimited Limits
	}{
		{up: 300, down: 499},
		{down: 1, reached: 80},
		{down: 199, reached: 80},
		{down: 1, reached: 100, limits: Limits{Pause: true}},
		{up: 700, reached: 100, sentReach: 100, limits: Limits{Pause: true}, sentLimited: Limits{Up: 7}},
	} {
		u.Add(&both, now, step.up, step.down)
		if u.Reached(&both) != step.reached || u.Reached(&sent) != step.sentReach || u.Limits(&both) != step.limits || u.Limits(&sent) != step.sentLimited {
			t.Errorf("%+v: %+v", step, u)
		}
	}
	u.Add(&both, now.Add(time.Hour), 3, 4)
	if u.Up != 3 || u.Down != 4 || u.Begin.Month() != time.December {
		t.Errorf("in the next month: %+v", u)
	}
	before := u
	u.Add(&both, time.Unix(100, 0), 1, 0) // the clock is not set
	u.Add(&both, now.Add(72*time.Hour).UTC(), 1, 0)
	if u.Up != 5 || !u.Begin.Equal(before.Begin) {
		t.Errorf("with a clock that is not set, and in another zone: %+v, before %+v", u, before)
	}
	for _, bad := range []Volume{{Bytes: -1}, {Day: 32}, {Day: -1}, {Ways: "sideways"}, {Floor: -1}} {
		if bad.Check() == nil {
			t.Errorf("%+v is allowed", bad)
		}
	}
	if huge := (Volume{Bytes: 1 << 60}); huge.Check() != nil || (&Used{Up: 1 << 59}).Reached(&huge) != 0 {
		t.Error("a large volume counts wrongly")
	}
}
