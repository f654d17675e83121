package schedule

import (
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the tests do not depend on the zones of the system
)

// berlin is a zone whose clock is put forward on 2026-03-29 at 02:00 and back on 2026-10-25 at 03:00.
func berlin(t *testing.T) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

// minute parses a time such as "2026-11-30 23:59" in loc.
func minute(t *testing.T, s string, loc *time.Location) time.Time {
	t.Helper()
	at, err := time.ParseInLocation("2006-01-02 15:04", s, loc)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func table(t *testing.T, windows ...Window) *Table {
	t.Helper()
	s, err := New(windows)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestWindowApplies checks windows over midnight and over Sunday, on days and on whole days, and when
// they end.
func TestWindowApplies(t *testing.T) {
	t.Parallel()
	limit := Limits{Up: 1000}
	for _, test := range []struct {
		name        string
		window      Window
		at          string
		applies     bool
		until, zone string
	}{
		{"the begin of a window", Window{From: "09:00", To: "17:00"}, "2026-11-30 09:00", true, "2026-11-30 17:00", ""},
		{"the end of a window", Window{From: "09:00", To: "17:00"}, "2026-11-30 17:00", false, "2026-12-01 09:00", ""},
		{"before midnight", Window{Days: "mon", From: "22:00", To: "06:00"}, "2026-11-30 23:59", true, "2026-12-01 06:00", ""},
		{"after midnight", Window{Days: "mon", From: "22:00", To: "06:00"}, "2026-12-01 05:59", true, "2026-12-01 06:00", ""},
		{"the morning of its day", Window{Days: "mon", From: "22:00", To: "06:00"}, "2026-11-30 05:00", false, "2026-11-30 22:00", ""},
		{"over Saturday to Sunday", Window{Days: "sat", From: "22:00", To: "06:00"}, "2026-12-06 01:00", true, "2026-12-06 06:00", ""},
		{"over Sunday to Monday", Window{Days: "sun", From: "22:00", To: "06:00"}, "2026-12-07 01:00", true, "2026-12-07 06:00", ""},
		{"days over Sunday", Window{Days: "fri-mon"}, "2026-12-06 12:00", true, "2026-12-08 00:00", ""},
		{"not those days", Window{Days: "fri-mon"}, "2026-12-02 12:00", false, "2026-12-04 00:00", ""},
		{"the whole day", Window{Days: "Monday"}, "2026-11-30 23:59", true, "2026-12-01 00:00", ""},
		{"up to the end of the day", Window{From: "20:00", To: "24:00"}, "2026-11-30 23:59", true, "2026-12-01 00:00", ""},
		{"24 hours", Window{Days: "mon", From: "08:00", To: "08:00"}, "2026-12-01 07:59", true, "2026-12-01 08:00", ""},
		{"every hour of the week", Window{}, "2026-12-01 07:59", true, "", ""},
		{"a week later", Window{Days: "mon", From: "08:00", To: "09:00"}, "2026-11-30 09:00", false, "2026-12-07 08:00", ""},
	} {
		loc := berlin(t)
		test.window.Limits = limit
		s := table(t, test.window).At(minute(t, test.at, loc))
		until := ""
		if !s.Until.IsZero() {
			until = s.Until.Format("2006-01-02 15:04")
		}
		if got := s.Up == limit.Up; got != test.applies || until != test.until || len(s.Active) == 1 != got {
			t.Errorf("%s: applies %v until %q, want %v until %q", test.name, got, until, test.applies, test.until)
		}
	}
}

// TestWindowOverChangeOfClock checks windows over a change of the clock: they follow the clock, and
// their ends are the real times.
func TestWindowOverChangeOfClock(t *testing.T) {
	t.Parallel()
	loc := berlin(t)
	night := table(t, Window{From: "01:00", To: "05:00", Limits: Limits{Pause: true}})
	for _, test := range []struct {
		name, at, until string // the first in UTC
		pause           bool
	}{
		{"before the clock is put forward", "2026-03-29 00:30", "2026-03-29T05:00:00+02:00", true},
		{"before the night of three hours", "2026-03-28 23:30", "2026-03-29T01:00:00+01:00", false},
		{"in the first hour that comes twice", "2026-10-25 00:30", "2026-10-25T05:00:00+01:00", true},
		{"in the second one", "2026-10-25 01:30", "2026-10-25T05:00:00+01:00", true},
	} {
		s := night.At(minute(t, test.at, time.UTC).In(loc))
		if s.Pause != test.pause || s.Until.Format(time.RFC3339) != test.until {
			t.Errorf("%s: %v until %s, want %v until %s", test.name, s.Pause, s.Until.Format(time.RFC3339), test.pause, test.until)
		}
	}
	if d := night.At(minute(t, "2026-03-29 00:00", time.UTC).In(loc)).Until.Sub(minute(t, "2026-03-29 00:00", time.UTC)); d != 3*time.Hour {
		t.Errorf("the night in which the clock is put forward has %v", d)
	}
	// The hour from 02:00 to 03:00 does not exist on 2026-03-29, and comes twice on 2026-10-25.
	hour := table(t, Window{From: "02:00", To: "02:30", Limits: Limits{Up: 5}})
	if s := hour.At(minute(t, "2026-03-28 12:00", loc)); s.Until.Format(time.RFC3339) != "2026-03-30T02:00:00+02:00" {
		t.Errorf("a window that is skipped comes at %s", s.Until.Format(time.RFC3339))
	}
	at, want := minute(t, "2026-10-24 23:00", time.UTC).In(loc), []string{
		"2026-10-25T02:00:00+02:00", "2026-10-25T02:30:00+02:00", "2026-10-25T02:00:00+01:00", "2026-10-25T02:30:00+01:00", "2026-10-26T02:00:00+01:00",
	}
	for _, next := range want {
		if at = hour.At(at).Until; at.Format(time.RFC3339) != next {
			t.Fatalf("the next change is at %s, want %s", at.Format(time.RFC3339), next)
		}
	}
}

// TestLowestLimitCounts checks overlapping windows, those of labels, and windows that occur once.
func TestLowestLimitCounts(t *testing.T) {
	t.Parallel()
	now := minute(t, "2026-11-30 20:00", berlin(t))
	s := table(t,
		Window{Limits: Limits{Up: 500, Down: 900}},
		Window{From: "18:00", To: "23:00", Limits: Limits{Up: 800, Down: 100}},
		Window{Until: now.Add(90 * time.Minute), Limits: Limits{Up: 600}},
		Window{Since: now.Add(time.Minute), Until: now.Add(time.Hour), Limits: Limits{Up: 1}},
		Window{Label: "films", Limits: Limits{Down: 50}},
		Window{Label: "films", From: "19:00", To: "21:00", Limits: Limits{Pause: true}},
		Window{Label: "books", From: "21:00", To: "22:00", Limits: Limits{Pause: true}},
	)
	got := s.At(now)
	if got.Limits != (Limits{Up: 500, Down: 100}) || len(got.Labels) != 1 || got.Labels["films"] != (Limits{Down: 50, Pause: true}) || len(got.Active) != 5 {
		t.Errorf("%+v", got)
	}
	if want := now.Add(time.Minute); !got.Until.Equal(want) {
		t.Errorf("until %v, want %v", got.Until, want)
	}
	if later := s.At(now.Add(time.Hour)); later.Up != 500 || !later.Until.Equal(now.Add(90*time.Minute)) {
		t.Errorf("after the window that occurs once: %+v", later)
	}
	if up, down := got.Labels["films"].Rates(); up != PausedRate || down != PausedRate {
		t.Errorf("a pause has the rates %d and %d", up, down)
	}
}

// TestNextAgreesWithEachMinute compares the next change with a search over each minute of the weeks
// around a change of the clock.
func TestNextAgreesWithEachMinute(t *testing.T) {
	t.Parallel()
	s := table(t,
		Window{Days: "sat,sun", From: "01:30", To: "02:45", Limits: Limits{Up: 1}},
		Window{Days: "sun-tue", From: "23:15", To: "02:10", Limits: Limits{Down: 1}},
		Window{From: "03:00", To: "03:00", Days: "wed", Limits: Limits{Pause: true}},
	)
	for _, begin := range []string{"2026-03-27 00:00", "2026-10-23 00:00"} {
		at := minute(t, begin, berlin(t))
		for range 30 {
			from := s.active(at)
			next := at
			for ok := true; ok; {
				next = next.Add(time.Minute)
				ok = equal(s.active(next), from)
			}
			if got := s.At(at).Until; !got.Equal(next) {
				t.Fatalf("after %v comes %v, want %v", at, got, next)
			}
			at = next
		}
	}
}

func equal(a, b []bool) bool {
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// TestBadWindows checks that windows that cannot be meant are errors.
func TestBadWindows(t *testing.T) {
	t.Parallel()
	day := time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)
	up := Limits{Up: 1}
	for want, w := range map[string]Window{
		"no limits":           {From: "01:00", To: "02:00"},
		"has no rates":        {Limits: Limits{Up: 1, Pause: true}},
		"negative":            {Limits: Limits{Up: -1}},
		"too large":           {Limits: Limits{Down: 1 << 60}},
		"no days":             {Until: day, Days: "mon", Limits: up},
		"not after":           {Since: day, Until: day, Limits: up},
		"needs until":         {Since: day, Limits: up},
		"only one":            {From: "01:00", Limits: up},
		"no time of the day":  {From: "25:00", To: "26:00", Limits: up},
		"\"1\"":               {From: "1", To: "02:00", Limits: up},
		"\"01:60\"":           {From: "01:60", To: "02:00", Limits: up},
		"\"+1:00\"":           {From: "+1:00", To: "02:00", Limits: up},
		"00:00 and the next":  {From: "24:00", To: "02:00", Limits: up},
		"\"mo\" is no day":    {Days: "mo", Limits: up},
		"\"mons\" is no day":  {Days: "mons", Limits: up},
		"\"\" is no day":      {Days: "mon,", Limits: up},
		"\"sunny\" is no day": {Days: "mon-sunny", Limits: up},
	} {
		_, err := New([]Window{w})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", w, err, want)
		}
	}
	if _, err := New(make([]Window, MaxWindows+1)); err == nil {
		t.Error("any number of windows is allowed")
	}
}
