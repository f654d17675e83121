package daemon

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"spate/internal/killpoint"
	"spate/metainfo"
)

// TestTorrentsKilledAtAnyCall kills a process that adds a torrent, moves its data and removes both,
// before every twelfth of its system calls that change files, or before those that SPATE_SWEEP=FIRST,STEP
// names: 1,1 for all. What it had reported must be so at the next
// start, and the data must be whole in one directory, or gone if its removal had begun.
func TestTorrentsKilledAtAnyCall(t *testing.T) {
	if top := os.Getenv("SPATE_INNER"); top != "" {
		b, err := os.ReadFile(filepath.Join(top, "t.torrent"))
		if err != nil {
			t.Fatal(err)
		}
		mi, err := metainfo.Parse(b)
		if err != nil {
			t.Fatal(err)
		}
		m := &movedData{b: b, mi: mi, dir: filepath.Join(top, "old")}
		list := emptyTorrents(filepath.Join(top, "state"))
		if err := m.operate(t.Context(), list, os.Getenv("SPATE_INNER_TO"), func(did string) { fmt.Println("did", did) }); err != nil {
			t.Fatal(err)
		}
		return
	}
	if testing.Short() {
		t.Skip("runs a process for each system call")
	}
	first, step := 7, 12
	if v := os.Getenv("SPATE_SWEEP"); v != "" {
		if _, err := fmt.Sscanf(v, "%d,%d", &first, &step); err != nil {
			t.Fatal(err)
		}
	}
	for name, other := range map[string]string{"rename": "", "copy": "/dev/shm"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := first
			for killedAt(t, n, other) {
				n += step
			}
			if n < first+10*step {
				t.Errorf("the process made only %d calls", n)
			}
			t.Logf("killed at calls up to %d", n)
		})
	}
}

// killedAt kills the process at its n-th call and checks what it has left. It returns false if the
// process ended before. The data is moved to a directory in other, or beside the old one if that is
// empty.
func killedAt(t *testing.T, n int, other string) (killed bool) {
	t.Helper()
	top := t.TempDir()
	state, to := filepath.Join(top, "state"), filepath.Join(top, "new")
	if other != "" {
		dir, err := os.MkdirTemp(other, "spate-test-*")
		if err != nil {
			t.Skip(err)
		}
		defer os.RemoveAll(dir)
		to = filepath.Join(dir, "new")
	}
	m := newMovedData(t, state)
	if err := os.WriteFile(filepath.Join(top, "t.torrent"), m.b, 0o666); err != nil {
		t.Fatal(err)
	}
	argv, err := killpoint.Command(n, os.Args[0], "-test.run=^TestTorrentsKilledAtAnyCall$")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "SPATE_INNER="+top, "SPATE_INNER_TO="+to)
	out, err := cmd.CombinedOutput()
	killed = cmd.ProcessState.ExitCode() == killpoint.Killed
	if err != nil && !killed {
		t.Fatalf("the run that should be killed at call %d failed: %v: %s", n, err, out)
	}
	checkAfterKill(t, m, state, to, string(out), n)
	return killed
}

func checkAfterKill(t *testing.T, m *movedData, state, to, out string, n int) {
	t.Helper()
	did := func(what string) bool { return strings.Contains(out, "did "+what) }
	list := offlineTorrents(t, state)
	before, _ := list.find("t")
	removing := before != nil && before.rec.Remove != ""
	list.resumeOperations(t.Context())
	e, err := list.find("t")
	old, moved := m.holds(m.dir), m.holds(to)
	switch {
	case err != nil && did("added") && !did("moved"), err == nil && did("removed"):
		t.Errorf("call %d, after %q: the torrent is found: %t", n, out, err == nil)
	case err != nil && !did("added"):
		if old != "all" || moved != "none" {
			t.Errorf("call %d: the torrent was not added, and the directories hold %s and %s", n, old, moved)
		}
	case err != nil:
		if old != "none" || moved != "none" {
			t.Errorf("call %d: the torrent was removed, and the directories hold %s and %s", n, old, moved)
		}
	case removing || e.err != nil || e.rec.MoveTo != "":
		t.Errorf("call %d, after %q: an operation is not completed: %+v, %v", n, out, e.rec, e.err)
	case e.rec.Dir == to && (moved != "all" || old != "none"), e.rec.Dir == m.dir && (old != "all" || moved != "none"):
		t.Errorf("call %d, after %q: the data should be in %s, and the directories hold %s and %s", n, out, e.rec.Dir, old, moved)
	case did("moved") && e.rec.Dir != to:
		t.Errorf("call %d: the move was reported, and the data is in %s", n, e.rec.Dir)
	}
	if err == nil {
		return
	}
	if files, err := os.ReadDir(list.store.dir); did("added") && (len(files) > 0 || errors.Is(err, os.ErrNotExist)) {
		t.Errorf("call %d, after %q: the records contain %v, %v", n, out, files, err)
	}
}
