package torrent_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"spate/internal/simnet"
	"spate/storage"
	"spate/torrent"
)

// TestEvents checks that a subscriber receives an event for each state and each piece, and
// then EventDone. A subscriber that does not read blocks nothing and can count the events
// that it missed.
func TestEvents(t *testing.T) {
	data, mi := makeTorrent(t, 1<<20, 64<<10)
	synctest.Test(t, func(t *testing.T) {
		w := newWeb(t)
		defer w.end()
		w.add(w.session(simnet.Link{}, torrent.Options{}), mi, torrent.AddOptions{Storage: storage.NewMemoryOf(data), Verified: true})
		time.Sleep(time.Second)
		s := w.session(simnet.Link{}, torrent.Options{})
		store := &fullDisk{Storage: storage.NewMemoryLike(data)}
		store.full.Store(true)
		whole, dropping := s.Subscribe(100), s.Subscribe(1)
		defer dropping.Close()
		tor := w.add(s, mi, torrent.AddOptions{Storage: store, Stopped: true})
		all, one := tor.Subscribe(100), tor.Subscribe(1)
		closed := tor.Subscribe(0)
		closed.Close()
		closed.Close()
		tor.Start()
		time.Sleep(5 * time.Second)
		store.full.Store(false)
		time.Sleep(20 * time.Second)
		w.wait(tor, time.Minute)
		if err := s.Remove(mi.Hash()); err != nil {
			t.Fatal(err)
		}
		var states []torrent.State
		pieces := map[int]bool{}
		done := 0
		for e := range all.Events() {
			switch e.Kind {
			case torrent.EventPiece:
				pieces[e.Piece] = true
			case torrent.EventDone:
				done++
			case torrent.EventState:
				states = append(states, e.State)
				if failed := e.State == torrent.StateFailed; failed != errors.Is(e.Err, storage.ErrFull) {
					t.Errorf("%+v", e)
				}
			}
		}
		want := []torrent.State{torrent.StateChecking, torrent.StateDownloading, torrent.StateFailed, torrent.StateDownloading, torrent.StateSeeding}
		if len(states) != len(want) || len(pieces) != mi.Info.NumPieces() || done != 1 {
			t.Fatalf("states %v, %d pieces, done %d times", states, len(pieces), done)
		}
		for i := range want {
			if states[i] != want[i] {
				t.Errorf("states %v, want %v", states, want)
			}
		}
		whole.Close()
		whole.Close()
		var told []torrent.State
		toldDone := 0
		for e := range whole.Events() {
			switch {
			case e.Torrent != tor || e.Kind == torrent.EventPiece:
				t.Errorf("the session tells %+v", e)
			case e.Kind == torrent.EventDone:
				toldDone++
			default:
				told = append(told, e.State)
			}
		}
		if !slices.Equal(told, states) || toldDone != 1 || dropping.Dropped() != int64(len(told)) {
			t.Errorf("the session tells %v and done %d times, and dropped %d", told, toldDone, dropping.Dropped())
		}
		n := 0
		for range one.Events() {
			n++
		}
		if want := int64(len(states) + len(pieces) + done - 1); n != 1 || one.Dropped() != want || all.Dropped() != 0 {
			t.Errorf("got %d, dropped %d, want %d", n, one.Dropped(), want)
		}
		if _, ok := <-closed.Events(); ok {
			t.Error("a closed subscription delivers")
		}
		if _, ok := <-tor.Subscribe(1).Events(); ok {
			t.Error("a removed torrent delivers")
		}
	})
}
