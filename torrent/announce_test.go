package torrent

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"spate/discovery"
	"spate/metainfo"
	"spate/storage"
	"spate/tracker"
)

// slowAnnouncer records events. It does not answer the first "completed".
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

// TestCloseDuringCompleted closes a session while it announces "completed", and checks that
// it announces that event again before "stopped".
func TestCloseDuringCompleted(t *testing.T) {
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
		t.Fatal("the download does not complete")
	}
	cancel()
	<-ran
	want := []tracker.Event{tracker.EventStarted, tracker.EventCompleted, tracker.EventCompleted, tracker.EventStopped}
	if !slices.Equal(ann.events, want) {
		t.Errorf("announced %v, want %v", ann.events, want)
	}
}

// lateAnnouncer names no peers in its answers. The test passes peers to its found functions
// later.
type lateAnnouncer struct {
	found chan func(discovery.Candidate) // receives the found function of each announce
}

func newLateAnnouncer() lateAnnouncer { return lateAnnouncer{make(chan func(discovery.Candidate), 10)} }

func (l lateAnnouncer) Announce(context.Context, string, *tracker.AnnounceRequest) (*tracker.AnnounceResponse, error) {
	return &tracker.AnnounceResponse{Interval: time.Hour}, nil // the session is stopping
}

func (l lateAnnouncer) AnnounceLate(_ context.Context, _ string, _ *tracker.AnnounceRequest, found func(discovery.Candidate)) (*tracker.AnnounceResponse, error) {
	select {
	case l.found <- found:
	default:
	}
	return &tracker.AnnounceResponse{Interval: time.Hour}, nil
}

// TestLateCandidates checks that a download uses a seed that the tracker names only after
// its answer. It downloads a private torrent and a magnet link.
func TestLateCandidates(t *testing.T) {
	t.Parallel()
	const url = "http://tracker.example/announce"
	data, public := noiseTorrent(t, 100<<10, 16<<10)
	for name, mi := range map[string]*metainfo.MetaInfo{"public": public, "private": privateTorrent(t, public)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			seed := testSession(t, Options{})
			added(t, seed, mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true})
			ann := newLateAnnouncer()
			get := testSession(t, Options{Announcer: ann})
			peer := discovery.Candidate{Addr: seed.Addr()}
			if name == "public" {
				go func() { (<-ann.found)(peer) }()
				if _, _, err := get.FetchMetadata(ctx, metainfo.Magnet{HashV1: mi.Hash(), Trackers: []string{url}}, MetadataOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			announced := *mi
			announced.AnnounceList = [][]string{{url}}
			tor := addTo(t, get, data, &announced, AddOptions{})
			(<-ann.found)(peer)
			if err := tor.Wait(ctx); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestLateCandidateWakesDormant checks that a peer which a tracker names after its answer
// wakes a dormant seed, but another seed does not.
func TestLateCandidateWakesDormant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ann := newLateAnnouncer()
		w := newDormantWorld(t, Options{Announcer: ann})
		l, _ := noiseFile(t, 100_000)
		l.mi.AnnounceList = [][]string{{"http://tracker.example/announce"}}
		if _, _, err := w.seed.AddDormant(l); err != nil {
			t.Fatal(err)
		}
		found := <-ann.found
		bare := *l.mi
		bare.AnnounceList = nil
		tor, err := w.get.Add(&bare, AddOptions{Storage: storage.NewMemory(bare.Info.TotalLength())})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		found(discovery.Candidate{Addr: w.get.Addr(), Seed: true})
		if w.seed.Dormant() != 1 {
			t.Error("a seed wakes the torrent")
		}
		found(discovery.Candidate{Addr: w.get.Addr()})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := tor.Wait(ctx); err != nil {
			t.Error(err)
		}
	})
}
