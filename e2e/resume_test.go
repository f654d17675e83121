package e2e

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// event is a line of get --json and, with uploaded, of seed --json.
type event struct {
	Event      string `json:"event"`
	State      string `json:"state"`
	BytesDone  int64  `json:"bytes_done"`
	BytesTotal int64  `json:"bytes_total"`
	Downloaded int64  `json:"downloaded"`
	Uploaded   int64  `json:"uploaded"`
	Path       string `json:"path"`
	Error      string `json:"error"`
	Code       int    `json:"code"`
}

// events returns those that p printed so far.
func (p *proc) events() []event {
	var all []event
	for s := range strings.Lines(p.out.String()) {
		var e event
		if json.Unmarshal([]byte(s), &e) == nil {
			all = append(all, e)
		}
	}
	return all
}

// last returns the latest event of a kind.
func (p *proc) last(kind string) event {
	all := p.events()
	for _, e := range slices.Backward(all) {
		if e.Event == kind {
			return e
		}
	}
	return event{}
}

// slow is a file of size bytes, seeded at rate bytes a second with a tracker of
// spate's, both on the first of two hosts.
type slow struct {
	from, to  *host
	path      string
	torrent   string
	accessLog string
	seed      *proc
}

func newSlow(t *testing.T, size int64, rate string) *slow {
	t.Helper()
	l := newLAN(t, 2)
	s := &slow{from: l.Hosts[0], to: l.Hosts[1], path: noise(t, filepath.Join(t.TempDir(), "slow.bin"), size)}
	s.accessLog = filepath.Join(t.TempDir(), "access.log")
	_, tr := s.from.serve("tracker", "--access-log", s.accessLog)
	s.torrent = s.path + ".torrent"
	s.from.run("create", s.path, "-o", s.torrent, "-a", tr.AnnounceURLs[0], "--piece-length", "256KiB")
	s.seed, _ = s.from.serve("seed", s.torrent, "--up", rate)
	return s
}

// half starts a get and returns it once it has half of the data.
func (s *slow) half(t *testing.T, args ...string) (*proc, int64) {
	t.Helper()
	p := s.to.spate(append(args, "--json")...)
	p.line("half of the data", func(line string) bool {
		var e event
		return json.Unmarshal([]byte(line), &e) == nil && e.Event == "progress" && e.BytesDone >= e.BytesTotal/2
	})
	return p, p.last("progress").BytesDone
}

// finish runs the get again and checks that no more was sent than what it had
// not, but for pieces that were under way.
func (s *slow) finish(t *testing.T, size int64, args ...string) {
	t.Helper()
	s.to.run(append(args, "--json")...)
	dir := args[slices.Index(args, "-o")+1]
	if !same(s.path, filepath.Join(dir, "slow.bin")) {
		t.Error("other data arrived")
	}
	s.seed.interrupt()
	const underWay = 16 * 256 << 10
	if sent := s.seed.last("stats").Uploaded; sent < size || sent > size+underWay {
		t.Errorf("the seed sent %d bytes for a file of %d", sent, size)
	}
}

// TestKilledGetGoesOn kills a get at half of the way; started again it fetches
// the rest only.
func TestKilledGetGoesOn(t *testing.T) {
	t.Parallel()
	const size = 48 << 20
	s := newSlow(t, size, "12M")
	get := []string{"get", s.torrent, "-o", t.TempDir(), "--state", t.TempDir()}
	p, done := s.half(t, get...)
	p.cmd.Process.Kill()
	p.wait()
	t.Logf("killed with %d of %d MiB", done>>20, size>>20)
	s.finish(t, size, get...)
}

// TestInterruptedGetGoesOn stops a get by Ctrl-C: it tells the tracker, ends with
// 7, and the same command goes on.
func TestInterruptedGetGoesOn(t *testing.T) {
	t.Parallel()
	const size = 32 << 20
	s := newSlow(t, size, "12M")
	get := []string{"get", s.torrent, "-o", t.TempDir(), "--state", t.TempDir()}
	p, _ := s.half(t, get...)
	if code := p.interrupt(); code != 7 {
		t.Errorf("an interrupted get ended with %d, want 7", code)
	}
	if e := p.last("error"); e.Code != 7 {
		t.Errorf("last event: %+v", e)
	}
	stopped := func(a announced) bool {
		return a.Event == "stopped" && a.Addr.Addr() == netip.MustParseAddr(s.to.IP) && a.Left > 0
	}
	if log := accessLog(t, s.accessLog); !slices.ContainsFunc(log, stopped) {
		t.Errorf("no stopped in %+v", log)
	}
	s.finish(t, size, get...)
}

// TestSecondInterrupt stops a get whose tracker answers no more: the first Ctrl-C
// waits for it some seconds, the second for nothing. What was fetched stays.
func TestSecondInterrupt(t *testing.T) {
	t.Parallel()
	const size = 16 << 20
	s := newSlow(t, size, "6M")
	torrent := filepath.Join(t.TempDir(), "mute.torrent")
	s.from.run("create", s.path, "-o", torrent, "-a", badTracker(t, s.from, "once"), "--piece-length", "256KiB")
	get := []string{"get", torrent, "-o", t.TempDir(), "--state", t.TempDir(), "--peer", s.from.IP + ":6881"}
	p, _ := s.half(t, get...)
	p.cmd.Process.Signal(syscall.SIGINT)
	time.Sleep(300 * time.Millisecond) // it is waiting for the tracker now
	if p.ended() {
		t.Error("the first Ctrl-C did not wait for the tracker")
	}
	began := time.Now()
	p.cmd.Process.Signal(syscall.SIGINT)
	if code := p.wait(); code != 7 {
		t.Errorf("ended with %d, want 7", code)
	}
	if d := time.Since(began); d > 4*time.Second { // the first one waits for 5
		t.Errorf("the second Ctrl-C took %v", d)
	}
	s.finish(t, size, get...)
}

// badTracker starts a tracker that misbehaves and returns its URL.
func badTracker(t *testing.T, h *host, how string) string {
	t.Helper()
	script, err := filepath.Abs("testdata/badtracker.py")
	if err != nil {
		t.Fatal(err)
	}
	p := h.start("/usr/bin/python3", script, how)
	port := p.line("port", func(string) bool { return true })
	return fmt.Sprintf("http://%s:%s/announce", h.IP, port)
}
