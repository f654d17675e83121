package trackerserver

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"spate/internal/folder/foldertest"
)

// patience is the time after which a test that waits has failed. It is long because the
// machine may be busy.
const patience = 5 * time.Minute

// eventually waits until cond holds.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !cond(); {
		if time.Now().After(deadline) {
			t.Fatal("this did not happen: " + what)
		}
		time.Sleep(time.Millisecond)
	}
}

// TestEntriesDoNotBlock checks that a tracker with pipes, links and the like in its directories notices changes,
// and stops.
func TestEntriesDoNotBlock(t *testing.T) {
	t.Parallel()
	for _, entry := range foldertest.Entries("text") {
		t.Run(entry.Name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "in")
			os.Mkdir(dir, 0o755)
			for _, name := range []string{"x.torrent", "list", "sub"} {
				entry.Put(t, filepath.Join(dir, name))
			}
			writeTorrent(t, filepath.Join(dir, "good.torrent"), "a good one")
			list := filepath.Join(t.TempDir(), "list")
			os.WriteFile(list, nil, 0o644)
			s := newServer(t, Options{AllowedDir: dir, AllowList: list})
			s.opts.AllowList = filepath.Join(dir, "list") // the entry, which New would not accept
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			go func() { done <- s.Run(ctx) }()
			late := writeTorrent(t, filepath.Join(dir, "late.torrent"), "a late one")
			eventually(t, "a torrent that came late is served", func() bool { return allowed(s, late) })
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}
