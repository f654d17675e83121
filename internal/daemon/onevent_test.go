package daemon

import (
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"

	"spate"
	"spate/internal/onevent"
	"spate/internal/reach"
	"spate/storage"
	"spate/torrent"
)

// TestProblems checks that a torrent that fails again and again, as it does every ten seconds while
// its disk is full, is told once an hour, and another error at once.
func TestProblems(t *testing.T) {
	told := problems{}
	now := time.Unix(1e9, 0)
	one, two := spate.InfoHash{1}, spate.InfoHash{2}
	full, gone := errors.New("full"), errors.New("gone")
	for _, step := range []struct {
		after time.Duration
		hash  spate.InfoHash
		err   error
		want  bool
	}{
		{0, one, full, true},
		{10 * time.Second, one, full, false},
		{0, two, full, true},
		{10 * time.Second, one, gone, true},
		{10 * time.Second, one, gone, false},
		{time.Hour, one, gone, true},
	} {
		now = now.Add(step.after)
		if got := told.isNew(step.hash, now, step.err); got != step.want {
			t.Errorf("%v at %v: %v", step.err, now, got)
		}
	}
	if len(told) != 1 {
		t.Errorf("%d problems are remembered, want one", len(told))
	}
}

// TestFailureKind checks which failures are those of a full disk.
func TestFailureKind(t *testing.T) {
	for err, want := range map[error]onevent.Kind{
		fmt.Errorf("write: %w", syscall.ENOSPC):  onevent.DiskFull,
		fmt.Errorf("write: %w", storage.ErrFull): onevent.DiskFull,
		fmt.Errorf("write: %w", syscall.EIO):     onevent.Failed,
		torrent.ErrHybridMismatch:                onevent.Failed,
	} {
		if got := failureKind(err); got != want {
			t.Errorf("%v: %s, want %s", err, got, want)
		}
	}
}

// TestMappingLost checks when a lost mapping is told.
func TestMappingLost(t *testing.T) {
	var lost []string
	f := lostMapping(func(problem string) { lost = append(lost, problem) })
	for _, s := range []reach.Status{
		{}, {Peers: "203.0.113.1:1"}, {Peers: "203.0.113.2:1"}, {Problem: "gone"}, {Problem: "still gone"}, {Peers: "203.0.113.2:1"}, {},
	} {
		f(s)
	}
	if len(lost) != 2 || lost[0] != "gone" || lost[1] != "" {
		t.Errorf("%q", lost)
	}
}

// TestOnEvent checks that listeners get each event with its time until they stop, without rules in the
// settings too.
func TestOnEvent(t *testing.T) {
	t.Parallel()
	d := &Daemon{Publisher: &Publisher{env: testEnv()}}
	var got [2][]onevent.Event
	var stop [2]func()
	for i := range stop {
		stop[i] = d.OnEvent(func(e onevent.Event) { got[i] = append(got[i], e) })
	}
	d.tell(onevent.Event{Kind: onevent.Added, Name: "a"})
	stop[0]()
	stop[0]()
	d.tell(onevent.Event{Kind: onevent.Completed, Name: "a"})
	stop[1]()
	d.tell(onevent.Event{Kind: onevent.Failed, Name: "a"})
	if len(got[0]) != 1 || len(got[1]) != 2 || got[1][1].Kind != onevent.Completed || got[0][0].Time.IsZero() {
		t.Errorf("%+v", got)
	}
}
