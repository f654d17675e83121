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

// sweep runs gets of a small tree and breaks each at another call of the system.
type sweep struct {
	h       *host
	dir     string // holds the tree
	torrent string
	mi      *metainfo.MetaInfo
	data    []byte // of the tree's byte space
	peer    string
}

func newSweep(t *testing.T) *sweep {
	s := &sweep{h: newLAN(t, 1).Hosts[0], dir: t.TempDir()}
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

// read returns the byte space of the tree in dir; what is missing is zeros.
func (s *sweep) read(t *testing.T, dir string) []byte {
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

// command is a get of the tree into dir.
func (s *sweep) command(dir string, more ...string) []string {
	return append([]string{spateBin, "get", s.torrent, "-o", filepath.Join(dir, "out"), "--state", filepath.Join(dir, "state"),
		"--peer", s.peer, "--bind", s.h.IP, "--peer-port", "0", "--timeout", "5m"}, more...)
}

// start starts a command on one processor, which keeps its calls in about one order.
func (s *sweep) start(command ...string) *proc {
	return s.h.start("env", append([]string{"GOMAXPROCS=1"}, command...)...)
}

// get starts to fetch the tree into dir.
func (s *sweep) get(dir string, more ...string) *proc { return s.start(s.command(dir, more...)...) }

// kill runs a get until it is killed at its n-th call, and reports whether it was.
func (s *sweep) kill(t *testing.T, dir string, n int) bool {
	command, err := killpoint.Command(n, s.command(dir)...)
	if err != nil {
		t.Fatal(err)
	}
	p := s.start(command...)
	code := p.wait()
	if code != 0 && code != killpoint.Killed {
		t.Errorf("call %d: ended with %d: %s", n, code, p.log)
	}
	return code == killpoint.Killed
}

// claims fails the test if what is remembered of the download names a piece that
// is not there, and returns how many pieces it names.
func (s *sweep) claims(t *testing.T, dir, when string) int {
	records, err := filepath.Glob(filepath.Join(dir, "state", "get", "*", "*.resume"))
	if err != nil || len(records) == 0 {
		return 0
	}
	rec, err := storage.LoadResume(filepath.Dir(records[0]), s.mi.Hash())
	if err != nil {
		t.Errorf("%s: %v", when, err)
		return 0
	}
	got := s.read(t, filepath.Join(dir, "out"))
	for i := range rec.Have.Ones() {
		from := int64(i) * s.mi.Info.PieceLength
		to := from + s.mi.Info.PieceSize(i)
		if string(got[from:to]) != string(s.data[from:to]) {
			t.Errorf("%s: piece %d is claimed and is not there", when, i)
		}
	}
	return rec.Have.Count()
}

// finish runs the get to its end.
func (s *sweep) finish(t *testing.T, dir, when string) {
	p := s.get(dir)
	if code := p.wait(); code != 0 {
		t.Errorf("%s: the next run ended with %d: %s", when, code, p.log)
	} else if string(s.read(t, filepath.Join(dir, "out"))) != string(s.data) {
		t.Errorf("%s: the next run left other data", when)
	}
}

// each calls f for 1, 2, ... until one says that it was the last, a few at once.
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

// leastCalls is how many calls any get of the tree makes: a few for each piece.
const leastCalls = 40

// TestKilledAtAnyCall kills a get at each of its calls of the system that writes
// anything anywhere, in turn, until one lives to its end. Nothing that is not there
// is remembered as there, and the same command goes on to the end.
func TestKilledAtAnyCall(t *testing.T) {
	t.Parallel()
	s := newSweep(t)
	var kills atomic.Int64
	each(func(n int) (last bool) {
		dir, when := t.TempDir(), fmt.Sprint("killed at call ", n)
		killed := s.kill(t, dir, n)
		if killed {
			kills.Add(1)
		}
		s.claims(t, dir, when)
		s.finish(t, dir, when)
		return !killed
	})
	if kills.Load() < leastCalls {
		t.Errorf("killed at %d calls only", kills.Load())
	}
	t.Logf("killed at %d calls", kills.Load())
}

// TestKilledAgainAndAgain kills the runs of one get one after the other, each at a
// later call than the one before, until one lives to its end.
func TestKilledAgainAndAgain(t *testing.T) {
	t.Parallel()
	s := newSweep(t)
	dir, kills := t.TempDir(), 0
	for n := 20; s.kill(t, dir, n); n += 3 {
		s.claims(t, dir, fmt.Sprint("run ", kills))
		kills++
	}
	s.finish(t, dir, fmt.Sprint("after ", kills))
	if kills == 0 {
		t.Error("it was never killed")
	}
	t.Logf("killed %d times", kills)
}

// TestDiskFailsAtAnyCall has each of a get's calls that change the disk fail, once
// and for good, for want of room and for a broken disk. It ends with the code of the
// reason or copes; it never claims what it could not sync, and the next run goes on.
func TestDiskFailsAtAnyCall(t *testing.T) {
	t.Parallel()
	need(t, "strace")
	s := newSweep(t)
	const (
		disk  = "pwrite64,fsync,renameat,ftruncate,mkdirat,unlinkat"
		calls = 32 // of one thread, as strace counts them; few get further
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
					t.Errorf("%s: ended with %d: %s", when, code, p.log)
				}
				if strings.Contains(p.log.String(), "goroutine ") {
					t.Errorf("%s: %s", when, p.log)
				}
				have := s.claims(t, dir, when)
				if strings.Contains(p.log.String(), "sync "+filepath.Join(dir, "out")) && code != 0 && have > 0 {
					t.Errorf("%s: %d pieces are claimed that were not synced: %s", when, have, p.log)
				}
				s.finish(t, dir, when)
				return n >= calls
			})
			if failed.Load() == 0 {
				t.Errorf("%s%s: not one get ended with %d", c.errno, more, c.code)
			}
			t.Logf("%s%s: %d of %d gets ended with %d", c.errno, more, failed.Load(), calls, c.code)
		}
	}
}
