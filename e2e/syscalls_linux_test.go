package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"spate/internal/killpoint"
	"spate/metainfo"
	"spate/storage"
)

// faultTest downloads a small directory many times, and interrupts each get at a different
// system call.
type faultTest struct {
	h       *host
	dir     string // contains the original directory
	torrent string
	mi      *metainfo.MetaInfo
	data    []byte // data of the torrent
	peer    string // address of the seed
}

// newFaultTest creates the directory and its torrent, and starts a seed.
func newFaultTest(t *testing.T) *faultTest {
	s := &faultTest{h: newLAN(t, 1).Hosts[0], dir: t.TempDir()}
	tree := filepath.Join(s.dir, "tree")
	if err := os.Mkdir(tree, 0o755); err != nil {
		t.Fatal(err)
	}
	noise(t, filepath.Join(tree, "one"), 100_000)
	noise(t, filepath.Join(tree, "two"), 150_000)
	s.torrent = tree + ".torrent"
	s.h.run("create", tree, "-o", s.torrent, "-a", "http://127.0.0.1:9/announce", "--piece-length", "16KiB", "--format", "v1")
	b, err := os.ReadFile(s.torrent)
	if err != nil {
		t.Fatal(err)
	}
	if s.mi, err = metainfo.Parse(b); err != nil {
		t.Fatal(err)
	}
	s.data = s.read(t, s.dir)
	_, r := s.h.serve("seed", s.torrent, "--bind", s.h.IP)
	s.peer = r.PeerAddr
	return s
}

// read returns the data of the torrent in dir, with zeros for missing files.
func (s *faultTest) read(t *testing.T, dir string) []byte {
	data := make([]byte, s.mi.Info.TotalLength())
	for i := range s.mi.Info.Files {
		f := &s.mi.Info.Files[i]
		if f.Pad() {
			continue
		}
		b, err := os.ReadFile(filepath.Join(append([]string{dir, s.mi.Info.Name}, f.Path...)...))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		copy(data[f.Offset:f.Offset+f.Length], b)
	}
	return data
}

// command returns the command line of a get into dir.
func (s *faultTest) command(dir string, more ...string) []string {
	return append([]string{spateBin, "get", s.torrent, "-o", filepath.Join(dir, "out"), "--state", filepath.Join(dir, "state"),
		"--peer", s.peer, "--bind", s.h.IP, "--peer-port", "0", "--timeout", "5m"}, more...)
}

// start starts a command with GOMAXPROCS=1, so that the order of its system calls is similar
// in all runs.
func (s *faultTest) start(command ...string) *proc {
	return s.h.start("env", append([]string{"GOMAXPROCS=1"}, command...)...)
}

// get starts a get into dir.
func (s *faultTest) get(dir string, more ...string) *proc { return s.start(s.command(dir, more...)...) }

// kill runs a get that is killed at its n-th system call. It reports whether the get was
// killed before it completed.
func (s *faultTest) kill(t *testing.T, dir string, n int) bool {
	command, err := killpoint.Command(n, s.command(dir)...)
	if err != nil {
		t.Fatal(err)
	}
	p := s.start(command...)
	code := p.wait()
	if code != 0 && code != killpoint.Killed {
		t.Errorf("the get that should be killed at call %d exited with code %d: %s", n, code, p.log)
	}
	return code == killpoint.Killed
}

// checkResume fails the test if the resume data of the download lists a piece whose data is
// wrong, and returns the number of pieces that it lists.
func (s *faultTest) checkResume(t *testing.T, dir, when string) int {
	records, err := filepath.Glob(filepath.Join(dir, "state", "get", "*", "*.resume"))
	if err != nil || len(records) == 0 {
		return 0
	}
	rec, err := storage.LoadResume(filepath.Dir(records[0]), s.mi.Hash())
	if err != nil {
		t.Errorf("%s: loading the resume data: %v", when, err)
		return 0
	}
	got := s.read(t, filepath.Join(dir, "out"))
	for i := range rec.Have.Ones() {
		from := int64(i) * s.mi.Info.PieceLength
		to := from + s.mi.Info.PieceSize(i)
		if string(got[from:to]) != string(s.data[from:to]) {
			t.Errorf("%s: the resume data lists piece %d, whose data is wrong", when, i)
		}
	}
	return rec.Have.Count()
}

// finish runs the get again and checks that it completes.
func (s *faultTest) finish(t *testing.T, dir, when string) {
	p := s.get(dir)
	if code := p.wait(); code != 0 {
		t.Errorf("%s: the next run exited with code %d: %s", when, code, p.log)
	} else if string(s.read(t, filepath.Join(dir, "out"))) != string(s.data) {
		t.Errorf("%s: the data after the next run differs", when)
	}
}

// each calls f with 1, 2, ... in several goroutines until a call returns true.
func each(f func(n int) (last bool)) {
	var next atomic.Int64
	var done atomic.Bool
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for !done.Load() {
				if f(int(next.Add(1))) {
					done.Store(true)
				}
			}
		})
	}
	wg.Wait()
}

// leastCalls is the minimum number of system calls that a get makes to change files. It
// makes a few for each piece.
const leastCalls = 40

// TestKilledAtAnyCall kills gets at the first, second, ... of their system calls that change
// files, until a get completes. The resume data must list only pieces that are written, and
// the same command must complete the download.
func TestKilledAtAnyCall(t *testing.T) {
	t.Parallel()
	s := newFaultTest(t)
	var kills atomic.Int64
	each(func(n int) (last bool) {
		dir, when := t.TempDir(), fmt.Sprint("killed at call ", n)
		killed := s.kill(t, dir, n)
		if killed {
			kills.Add(1)
		}
		s.checkResume(t, dir, when)
		s.finish(t, dir, when)
		return !killed
	})
	if kills.Load() < leastCalls {
		t.Errorf("killed at %d calls, want at least %d", kills.Load(), leastCalls)
	}
	t.Logf("killed at %d calls", kills.Load())
}

// TestKilledSeveralTimes kills the runs of one download one after the other, each at a later
// call, until a run completes.
func TestKilledSeveralTimes(t *testing.T) {
	t.Parallel()
	s := newFaultTest(t)
	dir, kills := t.TempDir(), 0
	for n := 20; s.kill(t, dir, n); n += 3 {
		s.checkResume(t, dir, fmt.Sprint("run ", kills))
		kills++
	}
	s.finish(t, dir, fmt.Sprint("after ", kills))
	if kills == 0 {
		t.Error("no run was killed")
	}
	t.Logf("killed %d times", kills)
}

// TestDiskFailsAtAnyCall makes each system call of a get that changes the disk fail, with
// the errors for a full disk and for an I/O error. Either only this call fails, or all
// later ones too. The get must complete or exit with the code of the error. The resume data
// must not list pieces that were not synced, and the next run must complete the download.
func TestDiskFailsAtAnyCall(t *testing.T) {
	t.Parallel()
	need(t, "strace")
	s := newFaultTest(t)
	const (
		disk  = "pwrite64,fsync,renameat,ftruncate,mkdirat,unlinkat"
		calls = 32 // strace counts the calls of each thread, so the threads have fewer calls each
	)
	for _, c := range []struct {
		errno string
		code  int
	}{{"ENOSPC", 9}, {"EIO", 1}} {
		for _, more := range []string{"", "+"} {
			var failed atomic.Int64
			each(func(n int) (last bool) {
				dir, when := t.TempDir(), fmt.Sprintf("%s at call %d%s", c.errno, n, more)
				p := s.start(append([]string{"strace", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", "trace=" + disk,
					"-e", fmt.Sprintf("inject=%s:error=%s:when=%d%s", disk, c.errno, n, more)}, s.command(dir)...)...)
				code := p.wait()
				if code == c.code {
					failed.Add(1)
				} else if code != 0 {
					t.Errorf("%s: the get exited with code %d: %s", when, code, p.log)
				}
				if strings.Contains(p.log.String(), "goroutine ") {
					t.Errorf("%s: the get panicked: %s", when, p.log)
				}
				have := s.checkResume(t, dir, when)
				if strings.Contains(p.log.String(), "sync "+filepath.Join(dir, "out")) && code != 0 && have > 0 {
					t.Errorf("%s: the resume data lists %d pieces that were not synced: %s", when, have, p.log)
				}
				s.finish(t, dir, when)
				return n >= calls
			})
			if failed.Load() == 0 {
				t.Errorf("%s%s: no get exited with code %d", c.errno, more, c.code)
			}
			t.Logf("%s%s: %d of %d gets exited with %d", c.errno, more, failed.Load(), calls, c.code)
		}
	}
}
