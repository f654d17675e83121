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

// event is a line of "get --json" or "seed --json".
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

// events returns the events that p has printed.
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

// last returns the last event of a kind.
func (p *proc) last(kind string) event {
	all := p.events()
	for _, e := range slices.Backward(all) {
		if e.Event == kind {
			return e
		}
	}
	return event{}
}

// slowSeed is a seed with a rate limit, and a tracker, on the host from. Tests download
// from the seed on the host to.
type slowSeed struct {
	from, to  *host
	path      string // the file
	torrent   string
	accessLog string // path of the tracker's access log
	seed      *proc
}

// newSlowSeed seeds a file of size bytes at rate bytes per second.
func newSlowSeed(t *testing.T, size int64, rate string) *slowSeed {
	t.Helper()
	l := newLAN(t, 2)
	s := &slowSeed{from: l.Hosts[0], to: l.Hosts[1], path: noise(t, filepath.Join(t.TempDir(), "slow.bin"), size)}
	s.accessLog = filepath.Join(t.TempDir(), "access.log")
	_, tr := s.from.serve("tracker", "--access-log", s.accessLog)
	s.torrent = s.path + ".torrent"
	s.from.run("create", s.path, "-o", s.torrent, "-a", tr.AnnounceURLs[0], "--piece-length", "256KiB")
	s.seed, _ = s.from.serve("seed", s.torrent, "--up", rate)
	return s
}

// startHalf starts a get and waits until it has half of the data.
func (s *slowSeed) startHalf(t *testing.T, args ...string) *proc {
	t.Helper()
	p := s.to.spate(append(args, "--json")...)
	p.line("half of the data", func(line string) bool {
		var e event
		return json.Unmarshal([]byte(line), &e) == nil && (e.Event == "progress" || e.Event == "done") && e.BytesDone >= e.BytesTotal/2
	})
	return p
}

// stopHalf starts gets, and calls stop for each when it has half of the data, until one ends
// before it has all data. On a busy machine a get may complete before the signal arrives, so
// each try has half the rate of the one before. get returns the arguments of a try.
func stopHalf(t *testing.T, size, rate int64, get func(s *slowSeed) []string, stop func(p *proc)) (*slowSeed, *proc, []string) {
	t.Helper()
	for began := time.Now(); ; rate /= 2 {
		s := newSlowSeed(t, size, fmt.Sprint(rate))
		args := get(s)
		p := s.startHalf(t, args...)
		stop(p)
		p.wait()
		if p.last("done").Event == "" {
			return s, p, args
		}
		if time.Since(began) > patience {
			t.Fatalf("the get completed before it was stopped, with %d bytes at %d a second", size, rate)
		}
		s.seed.stop(syscall.SIGTERM)
	}
}

// finish runs the get again and checks the data. The seed may have sent the file once, and
// again only the pieces that were incomplete when the first get ended, and the bytes that were
// on their way: less than a quarter of the file, also on a busy machine. A get that starts
// again downloads half of the file twice.
func (s *slowSeed) finish(t *testing.T, size int64, args ...string) {
	t.Helper()
	s.to.run(append(args, "--json")...)
	dir := args[slices.Index(args, "-o")+1]
	if !same(s.path, filepath.Join(dir, "slow.bin")) {
		t.Error("the downloaded data differs")
	}
	s.seed.interrupt()
	if sent := s.seed.last("stats").Uploaded; sent < size || sent > size+size/4 {
		t.Errorf("the seed sent %d bytes for a file of %d", sent, size)
	}
}

// getOf returns the arguments of a get of the torrent of s.
func getOf(t *testing.T) func(s *slowSeed) []string {
	return func(s *slowSeed) []string {
		return []string{"get", s.torrent, "-o", t.TempDir(), "--state", t.TempDir()}
	}
}

// TestKilledGetResumes kills a get that has half of the data. The same command must download
// only the rest.
func TestKilledGetResumes(t *testing.T) {
	t.Parallel()
	const size = 48 << 20
	s, p, get := stopHalf(t, size, 12_000_000, getOf(t), func(p *proc) { p.cmd.Process.Kill() })
	t.Logf("killed with %d of %d MiB", p.last("progress").BytesDone>>20, size>>20)
	s.finish(t, size, get...)
}

// TestInterruptedGetResumes stops a get by Ctrl-C. The get must announce "stopped" and exit
// with code 7, and the same command must download only the rest.
func TestInterruptedGetResumes(t *testing.T) {
	t.Parallel()
	const size = 32 << 20
	s, p, get := stopHalf(t, size, 12_000_000, getOf(t), func(p *proc) { p.interrupt() })
	if code := p.wait(); code != 7 {
		t.Errorf("exit code of an interrupted get: %d, want 7", code)
	}
	if e := p.last("error"); e.Code != 7 {
		t.Errorf("the last error event is %+v, want code 7", e)
	}
	stopped := func(a announced) bool {
		return a.Event == "stopped" && a.Addr.Addr() == netip.MustParseAddr(s.to.IP) && a.Left > 0
	}
	if log := accessLog(t, s.accessLog); !slices.ContainsFunc(log, stopped) {
		t.Errorf("the access log has no event stopped: %+v", log)
	}
	s.finish(t, size, get...)
}

// TestSecondInterruptStopsAtOnce stops a get whose tracker does not answer the announce of
// "stopped". After the first Ctrl-C the get waits some seconds for the tracker. The second one
// must end the get while the tracker still holds the request. The downloaded data must stay.
func TestSecondInterruptStopsAtOnce(t *testing.T) {
	t.Parallel()
	const size = 16 << 20
	var tr *proc
	s, p, get := stopHalf(t, size, 6_000_000, func(s *slowSeed) []string {
		torrent := filepath.Join(t.TempDir(), "held.torrent")
		var url string
		tr, url = startBadTracker(t, s.from, "hold")
		s.from.run("create", s.path, "-o", torrent, "-a", url, "--piece-length", "256KiB")
		return []string{"get", torrent, "-o", t.TempDir(), "--state", t.TempDir(), "--peer", s.from.IP + ":6881"}
	}, func(p *proc) {
		p.cmd.Process.Signal(syscall.SIGINT)
		eventually(t, "the tracker holds the announce", func() bool { return p.ended() || strings.HasSuffix(tr.out.String(), "held 1") })
		p.interrupt()
	})
	if code := p.wait(); code != 7 {
		t.Errorf("exit code %d, want 7", code)
	}
	// A get that ignores the second Ctrl-C gives up after some seconds, and says so.
	if strings.Contains(p.log.String(), "run the same command again") {
		t.Error("the get waited for the tracker after the second Ctrl-C")
	}
	s.finish(t, size, get...)
}

// badTracker starts badtracker.py, a tracker that misbehaves in the given way, and returns
// its announce URL.
func badTracker(t *testing.T, h *host, how string) string {
	t.Helper()
	_, url := startBadTracker(t, h, how)
	return url
}

// startBadTracker is badTracker that also returns the process.
func startBadTracker(t *testing.T, h *host, how string) (p *proc, url string) {
	t.Helper()
	script, err := filepath.Abs("testdata/badtracker.py")
	if err != nil {
		t.Fatal(err)
	}
	p = h.start("/usr/bin/python3", script, how)
	port := p.line("port", func(string) bool { return true })
	return p, fmt.Sprintf("http://%s:%s/announce", h.IP, port)
}
