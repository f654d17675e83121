package torrent

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"spate/storage"
	"spate/tracker"
)

// slowAnnouncer records events, and answers the first "completed" only when it
// is given up.
type slowAnnouncer struct {
	mu     sync.Mutex
	events []tracker.Event
	asked  chan struct{} // closed at the first "completed"
}

func (s *slowAnnouncer) Announce(ctx context.Context, _ string, req *tracker.AnnounceRequest) (*tracker.AnnounceResponse, error) {
	s.mu.Lock()
	first := req.Event == tracker.EventCompleted && !slices.Contains(s.events, req.Event)
	s.events = append(s.events, req.Event)
	s.mu.Unlock()
	if first {
		close(s.asked)
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return &tracker.AnnounceResponse{Interval: time.Hour}, nil
}

// TestStopWhileCompletedIsTold ends a session while it tells a tracker that a
// download is complete: the tracker is told all the same, before the stop.
func TestStopWhileCompletedIsTold(t *testing.T) {
	t.Parallel()
	data, mi := noiseTorrent(t, 1<<20, 64<<10)
	seed := testSession(t, Options{})
	added(t, seed, mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true})
	mi.AnnounceList = [][]string{{"http://127.0.0.1/announce"}}
	ann := &slowAnnouncer{asked: make(chan struct{})}
	s, err := NewSession(Options{Bind: loopback, Announcer: ann})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ran := make(chan error, 1)
	go func() { ran <- s.Run(ctx) }()
	if _, err := s.Add(mi, AddOptions{Storage: storage.NewMemoryLike(data), Peers: []netip.AddrPort{seed.Addr()}}); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ann.asked:
	case <-ctx.Done():
		t.Fatal("the download does not become complete")
	}
	cancel()
	<-ran
	want := []tracker.Event{tracker.EventStarted, tracker.EventCompleted, tracker.EventCompleted, tracker.EventStopped}
	if !slices.Equal(ann.events, want) {
		t.Errorf("told %v, want %v", ann.events, want)
	}
}
