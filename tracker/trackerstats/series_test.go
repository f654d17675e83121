package trackerstats

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"spate"
	"spate/tracker"
	"spate/tracker/swarm"
)

// TestPastIsKept checks that the points of the charts survive a restart, except for those
// that are too old.
func TestPastIsKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "past.json")
	u := newFixture(t, Options{})
	if err := u.st.LoadPast(path); err != nil {
		t.Errorf("no file: %v", err)
	}
	for range 500 { // more points than minutePoints
		u.now = u.now.Add(time.Minute)
		u.announce(spate.InfoHash{1}, "203.0.113.1", "-TR4050-", "&left=0")
		u.st.Sample(u.s)
	}
	if err := u.st.SavePast(path); err != nil {
		t.Fatal(err)
	}
	before := u.report()
	again := func(later time.Duration) *Statistics {
		now := u.now.Add(later)
		st := New(Options{Now: func() time.Time { return now }})
		if err := st.LoadPast(path); err != nil {
			t.Fatal(err)
		}
		return st
	}
	if hours, week := again(0).series.points(); !slices.Equal(hours, before.Past) || !slices.Equal(week, before.Week) {
		t.Errorf("%d and %d points of %d and %d", len(hours), len(week), len(before.Past), len(before.Week))
	}
	st := again(time.Hour)
	if hours, _ := st.series.points(); len(hours) != minutePoints-60 {
		t.Errorf("an hour later: %d points", len(hours))
	}
	for i := range 2 * minutePoints {
		st.series.sample(u.now.Add(time.Hour+time.Duration(i+1)*time.Minute), &swarm.Totals{}, &tracker.Counts{})
	}
	if past, _ := st.series.points(); len(past) != minutePoints || !slices.IsSortedFunc(past, func(a, b Point) int { return a.Time.Compare(b.Time) }) {
		t.Errorf("%d points after many more, or not in order", len(past))
	}
	if hours, _ := again(-time.Hour).series.points(); len(hours) != minutePoints-60 {
		t.Error("points of the future are shown")
	}
	for _, text := range []string{"{", `{"minutes":1}`, strings.Repeat(" ", maxPast+1)} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if New(Options{}).LoadPast(path) == nil {
			t.Errorf("%.20q is no error", text)
		}
	}
}
