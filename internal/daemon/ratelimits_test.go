package daemon

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"spate/internal/ratelimit"
	"spate/internal/schedule"
	"spate/internal/uplink"
	"spate/publish"
)

// TestLimitsOfDaemon checks that the limits of the user, of a remote and of the schedule hold together,
// for the engine and for direct downloads, and that a pause refuses direct downloads.
func TestLimitsOfDaemon(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, make([]byte, 1000), 0o666); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if _, err := runDaemon(t, t.TempDir(), func(d *Daemon) {
		var path string
		if err := d.Publish(ctx, PublishRequest{Paths: []string{file}, Force: true}, func(_ string, r *publish.Release) error {
			path = publish.DownloadPath(r.Ref())
			return nil
		}); err != nil {
			t.Error(err)
			return
		}
		status := func() int {
			resp, err := http.Get("http://" + d.HTTPAddr() + path)
			if err != nil {
				t.Error(err)
				return 0
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			return resp.StatusCode
		}
		const maxSent = 10_000 // by the requests of this test, which lowers the limit of the engine
		for _, step := range []struct {
			remote, window schedule.Limits
			up, down       int64 // of the engine
			direct         int64 // of direct downloads
			mode           string
			status         int
		}{
			{up: 0, down: 0, direct: 0, status: 200},
			{remote: schedule.Limits{Up: 8_000_000, Down: 70}, up: 8_000_000, down: 70, direct: 4_000_000, mode: uplink.Given, status: 200},
			{remote: schedule.Limits{Up: 8_000_000, Down: 70}, window: schedule.Limits{Up: 6_000_000, Down: 90}, up: 6_000_000, down: 70, direct: 3_000_000, mode: uplink.Scheduled, status: 200},
			{window: schedule.Limits{Pause: true}, up: 1, down: 1, direct: 1, mode: uplink.Scheduled, status: 503},
			{remote: schedule.Limits{Up: 1_000_000}, up: 1_000_000, direct: 500_000, mode: uplink.Given},
		} {
			d.SetRates(step.remote.Up, step.remote.Down)
			var windows []schedule.Window
			if step.window != (schedule.Limits{}) {
				windows = append(windows, schedule.Window{Limits: step.window})
			}
			if err := d.SetSchedule(windows); err != nil {
				t.Error(err)
			}
			d.rates.mu.Lock()
			up, down := d.rates.up, d.rates.down
			d.rates.mu.Unlock()
			if direct := d.rates.direct.Rate(); up > step.up || up < step.up-maxSent || down != step.down || direct != step.direct {
				t.Errorf("%+v: up %d, down %d, direct %d", step, up, down, direct)
			}
			if mode := d.Uplink().Mode; step.mode != "" && mode != step.mode {
				t.Errorf("%+v: mode %s", step, mode)
			}
			if step.status != 0 {
				if got := status(); got != step.status {
					t.Errorf("%+v: a direct download is answered with %d", step, got)
				}
			}
		}
	}); err != nil {
		t.Fatal(err)
	}
}

// TestPauseEndsDirectDownload checks that a pause ends a direct download that waits for its limit, and
// that downloads go on after it.
func TestPauseEndsDirectDownload(t *testing.T) {
	t.Parallel()
	r := &rateLimits{direct: ratelimit.New(schedule.PausedRate)}
	l := directLimit{all: r.direct, pause: r.untilPause()}
	ended := make(chan error, 1)
	go func() { ended <- l.WaitLater(context.Background(), 1<<20) }()
	r.mu.Lock()
	r.timed.Pause = true
	r.pause()
	r.mu.Unlock()
	if err := <-ended; !errors.Is(err, errPaused) {
		t.Errorf("a download that waits: %v", err)
	}
	l.pause = r.untilPause()
	if err := l.WaitLater(context.Background(), 1); !errors.Is(err, errPaused) {
		t.Errorf("a download in the pause: %v", err)
	}
	r.mu.Lock()
	r.timed.Pause = false
	r.mu.Unlock()
	r.direct.SetRate(0)
	if err := (directLimit{all: r.direct, pause: r.untilPause()}).WaitLater(context.Background(), 1<<20); err != nil {
		t.Errorf("a download after the pause: %v", err)
	}
}
