package daemon

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"spate/internal/fault"
	"spate/internal/schedule"
)

// timedOf loads the limits by time of a state directory.
func timedOf(t *testing.T, state string, c TimedConfig) *timed {
	t.Helper()
	l, err := testEnv().loadTimed(state, c)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestVolumeSurvivesKill checks that a process that is killed forgets at most what was carried since
// the volume was saved, and that a part of the volume is told once.
func TestVolumeSurvivesKill(t *testing.T) {
	t.Parallel()
	state, now := t.TempDir(), time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	c := TimedConfig{Volume: schedule.Volume{Bytes: 1000}}
	l := timedOf(t, state, c)
	var sum, told int64
	for second := range 25 {
		sum += 10
		limits, part := l.update(now.Add(time.Duration(second)*time.Second), sum, 0)
		told += int64(part)
		if limits.Pause {
			t.Fatal("it pauses before the volume is used up")
		}
		if l.shouldSave(now.Add(time.Duration(second) * time.Second)) {
			if err := l.saveUsed(); err != nil {
				t.Fatal(err)
			}
		}
	}
	now = now.Add(time.Hour)
	l = timedOf(t, state, c) // the process was killed
	if used := l.volumeStatus(now).Counted; used > sum || sum-used > 10*int64(saveVolume/time.Second) {
		t.Errorf("of %d bytes %d were remembered", sum, used)
	}
	for _, step := range []struct {
		carried, want int64
		pause         bool
	}{{600, 80, false}, {610, 0, false}, {900, 100, true}, {910, 0, true}} {
		limits, part := l.update(now, 0, step.carried)
		if int64(part) != step.want || limits.Pause != step.pause || (l.forLabel("").Held == "volume") != step.pause {
			t.Errorf("after %d bytes: %d%% was told, limits %+v", step.carried, part, limits)
		}
		if part > 0 {
			if !l.shouldSave(now) {
				t.Errorf("%d%% was told, and is not saved", part)
			}
			if err := l.saveUsed(); err != nil {
				t.Fatal(err)
			}
			l = timedOf(t, state, c)
			l.down = step.carried
		}
	}
	if limits, _ := l.update(now.Add(24*time.Hour), 0, 920); limits.Pause {
		t.Error("the pause goes on in the next month")
	}
}

// TestScheduleSurvivesRestart checks that the windows of requests are kept beside those of the
// settings, that bad ones change nothing, and that windows that are over are left out.
func TestScheduleSurvivesRestart(t *testing.T) {
	t.Parallel()
	state, now := t.TempDir(), time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	c := TimedConfig{Windows: []schedule.Window{{Limits: schedule.Limits{Up: 500}}}}
	l := timedOf(t, state, c)
	if err := l.set([]schedule.Window{
		{From: "11:00", To: "13:00", Label: "films", Limits: schedule.Limits{Pause: true}},
		{Until: now.Add(time.Hour), Limits: schedule.Limits{Down: 5}},
		{Until: now, Limits: schedule.Limits{Down: 1}},
	}, now); err != nil {
		t.Fatal(err)
	}
	if err := l.set([]schedule.Window{{From: "11:00"}}, now); fault.CodeOf(err) != fault.Usage {
		t.Errorf("a bad window: %v", err)
	}
	for range 2 {
		limits, _ := l.update(now, 0, 0)
		if limits != (schedule.Limits{Up: 500, Down: 5}) || l.forLabel("films").Held != "schedule" || l.forLabel("books").Held != "" || len(l.own) != 2 {
			t.Errorf("%+v, own windows %v", limits, l.own)
		}
		l = timedOf(t, state, c)
	}
	if limits, _ := l.update(now.Add(time.Hour), 0, 0); limits.Down != 0 || l.forLabel("films").Held != "" || len(l.own) != 1 {
		t.Errorf("an hour later: %+v", limits)
	}
	if err := os.WriteFile(filepath.Join(state, scheduleFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if l = timedOf(t, state, c); len(l.own) != 0 || len(l.table.Windows()) != 1 {
		t.Errorf("a damaged file gives %v", l.own)
	}
}

// TestSharesOfLabel checks that the shares of a limit add up to it, that a torrent which uses little
// leaves the rest to the others, and that it can use more again.
func TestSharesOfLabel(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		limit int64
		rates []float64
		want  []int64
	}{
		{1000, []float64{0, 0}, []int64{125, 875}},
		{1000, []float64{500, 500}, []int64{500, 500}},
		{1000, []float64{900, 0, 0, 0}, []int64{814, 62, 62, 62}},
		{0, []float64{5, 5}, []int64{0, 0}},
		{2, []float64{9, 9, 9, 9}, []int64{1, 1, 1, 1}},
	} {
		got := shares(test.limit, test.rates)
		var sum int64
		for i := range got {
			sum += got[i]
			if d := got[i] - test.want[i]; d < -2 || d > 2 {
				t.Errorf("%d of %v: %v, want %v", test.limit, test.rates, got, test.want)
				break
			}
		}
		if sum > max(test.limit, int64(len(got))) {
			t.Errorf("%v is more than %d", got, test.limit)
		}
	}
}
