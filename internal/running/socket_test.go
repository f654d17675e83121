package running

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"spate/internal/tui"
)

// noTorrents is a source without torrents.
type noTorrents struct{}

func (noTorrents) List(context.Context) ([]tui.Torrent, error)         { return nil, nil }
func (noTorrents) Detail(context.Context, string) (*tui.Detail, error) { return nil, nil }

// TestFindProcessThatHangs checks that Find names a process that does not answer, unless another
// process answers.
func TestFindProcessThatHangs(t *testing.T) {
	t.Parallel()
	state, err := os.MkdirTemp("", "spate") // the path of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(state)
	if err := os.Mkdir(filepath.Join(state, runDir), 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(state, runDir, "17.sock")) // connections wait in it for ever
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := find(t.Context(), state, 10*time.Millisecond); err == nil || !strings.Contains(err.Error(), "process 17 has not answered") {
		t.Errorf("one process that hangs: %v", err)
	}
	defer Serve(state, "get", noTorrents{}, slog.New(slog.DiscardHandler))()
	for wait := 10 * time.Millisecond; ; wait *= 2 { // until the other process answers in time
		all, err := find(t.Context(), state, wait)
		if len(all) == 1 && err == nil {
			break
		}
		if wait > time.Minute {
			t.Fatalf("with a process that answers: %d processes, %v", len(all), err)
		}
	}
}
