package site

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"spate/publish"
)

// TestStateIsShown checks that all pages and lists say that the publisher cannot send a release
// or has paused it, and that none of them shows a path.
func TestStateIsShown(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		state     publish.State
		json      string // in release.json and index.json
		page      string // on the pages, in the feeds and in the live numbers
		wantsPage bool
	}{
		{"seeding", publish.State{Name: publish.StateSeeding, Progress: 1}, `"state":"seeding","seeders"`, "since it was published", false},
		{"checking", publish.State{Name: publish.StateChecking}, `"state":"checking","seeders"`, "since it was published", false},
		{"changed", publish.State{Name: publish.StateFailed, Err: fmt.Errorf("check /home/x: %w", publish.ErrChanged)},
			`"state":"failed","error":"its data has changed since it was published"`, "its data has changed since it was published", true},
		{"missing", publish.State{Name: publish.StateFailed, Err: fmt.Errorf("check /home/x: %w", publish.ErrGone)},
			`"state":"failed","error":"its data is missing"`, "its data is missing", true},
		{"unreadable", publish.State{Name: publish.StateFailed, Err: fmt.Errorf("open /home/x: permission denied")},
			`"state":"failed","error":"its data cannot be read"`, "its data cannot be read", true},
		{"paused without its data", publish.State{Name: publish.StatePaused, Err: fmt.Errorf("check /home/x: %w", publish.ErrGone)},
			`"state":"paused","error":"its data is missing"`, "its data is missing", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, Options{Tick: time.Hour, State: func(context.Context, *publish.Release) publish.State { return c.state }})
			f.release(t, "one.iso", 1000)
			for _, path := range []string{"/r/one.iso/release.json", "/index.json"} {
				if got := body(t, f.get("GET", path)); !strings.Contains(got, c.json) || strings.Contains(got, "/home/x") {
					t.Errorf("%s is %s, want %s in it", path, got, c.json)
				}
			}
			for _, path := range []string{"/", "/r/one.iso", "/feed.xml", "/atom.xml"} {
				got := body(t, f.get("GET", path))
				if strings.Contains(got, c.page) != c.wantsPage || strings.Contains(got, "/home/x") {
					t.Errorf("%s is %s; want %q in it: %t", path, got, c.page, c.wantsPage)
				}
				if c.wantsPage && strings.Contains(got, `data-if="problem" hidden`) {
					t.Errorf("%s hides the problem", path)
				}
			}
		})
	}
}

// TestStateOfPausedReleaseIsShown checks that lists say that a release is paused.
func TestStateOfPausedReleaseIsShown(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{State: func(context.Context, *publish.Release) publish.State { return publish.State{Name: publish.StatePaused} }})
	f.release(t, "one.iso", 1000)
	for _, path := range []string{"/", "/feed.xml", "/atom.xml", "/index.json"} {
		if got := body(t, f.get("GET", path)); !strings.Contains(strings.ToLower(got), "paused") {
			t.Errorf("%s does not say that the release is paused: %s", path, got)
		}
	}
}
