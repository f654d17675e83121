package trackerclient_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"spate/tracker"
	"spate/tracker/trackerclient"
)

// fakeAnnouncer fails for the trackers in down and records the announces.
type fakeAnnouncer struct {
	down  map[string]error
	asked []string
}

func (s *fakeAnnouncer) Announce(_ context.Context, url string, req *tracker.AnnounceRequest) (*tracker.AnnounceResponse, error) {
	s.asked = append(s.asked, url+" "+req.Event.String()+req.TrackerID)
	if err := s.down[url]; err != nil {
		return nil, err
	}
	return &tracker.AnnounceResponse{TrackerID: "@" + url}, nil
}

func (s *fakeAnnouncer) take() string {
	all := strings.Join(s.asked, ", ")
	s.asked = nil
	return all
}

func TestTiers(t *testing.T) {
	broken := errors.New("down")
	tiers := trackerclient.NewTiers([][]string{{"a"}, {"b", "c", "", "a"}, {}}, rand.New(rand.NewPCG(1, 1)))
	order := tiers.URLs()
	if len(order) != 3 || order[0] != "a" {
		t.Fatalf("order %q", order)
	}
	second, third := order[1], order[2]
	s := &fakeAnnouncer{down: map[string]error{"a": broken, second: broken}}
	announce := func(e tracker.Event, want string) {
		t.Helper()
		tiers.Announce(t.Context(), s, &tracker.AnnounceRequest{Event: e})
		if got := s.take(); got != want {
			t.Errorf("%v: asked %q, want %q", e, got, want)
		}
	}
	announce(tracker.EventStarted, "a started, "+second+" started, "+third+" started")
	if got := tiers.URLs(); !slices.Equal(got, []string{"a", third, second}) || tiers.Current() != third {
		t.Errorf("order %q: a tracker that responds moves to the front", got)
	}
	announce(tracker.EventNone, "a started, "+third+" @"+third)
	announce(tracker.EventCompleted, third+" completed@"+third)
	delete(s.down, "a")
	announce(tracker.EventNone, "a started")
	announce(tracker.EventStopped, "a stopped@a, "+third+" stopped@"+third)
	announce(tracker.EventStopped, "")

	if _, _, err := trackerclient.NewTiers(nil, nil).Announce(t.Context(), s, &tracker.AnnounceRequest{}); !errors.Is(err, trackerclient.ErrNoTrackers) {
		t.Errorf("no trackers: %v", err)
	}
	refused := &tracker.FailureError{Reason: "no"}
	s.down = map[string]error{"a": broken, "b": refused, "c": broken}
	_, _, err := tiers.Announce(t.Context(), s, &tracker.AnnounceRequest{})
	var failure *tracker.FailureError
	if !errors.Is(err, broken) || !errors.As(err, &failure) {
		t.Errorf("all down: %v", err)
	}
	many := trackerclient.NewTiers([][]string{{"a"}, {"a1"}, {"a2"}, {"a3"}, {"a4"}}, nil)
	s.down = map[string]error{"a": broken, "a1": refused, "a2": broken, "a3": broken, "a4": broken}
	if _, _, err := many.Announce(t.Context(), s, &tracker.AnnounceRequest{}); err == nil || err.Error() != "down; "+refused.Error()+"; down; and 2 more" {
		t.Errorf("many down: %v", err)
	}
}
