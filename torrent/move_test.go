package torrent_test

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"spate/metainfo"
	"spate/storage"
	"spate/torrent"
)

// patience is the time after which a test fails because something hangs, even on a busy
// machine.
const patience = 5 * time.Minute

// realSession runs a session on loopback until the test ends.
func realSession(t *testing.T, opt torrent.Options) *torrent.Session {
	t.Helper()
	opt.Bind = netip.MustParseAddr("127.0.0.1")
	s, err := torrent.NewSession(opt)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { s.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	return s
}

func mustAdd(t *testing.T, s *torrent.Session, mi *metainfo.MetaInfo, opt torrent.AddOptions) *torrent.Torrent {
	t.Helper()
	tor, err := s.Add(mi, opt)
	if err != nil {
		t.Fatal(err)
	}
	return tor
}

func mustWait(t *testing.T, tor *torrent.Torrent) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := tor.Wait(ctx); err != nil {
		t.Fatalf("%v: %+v", err, tor.Stats())
	}
}

// seeding returns a session that seeds the torrent of threeFiles.
func seeding(t *testing.T) (dir string, mi *metainfo.MetaInfo, s *torrent.Session) {
	dir, mi = threeFiles(t)
	mi.AnnounceList = nil
	s = realSession(t, torrent.Options{})
	mustWait(t, mustAdd(t, s, mi, torrent.AddOptions{Dir: dir, Verified: true}))
	return dir, mi, s
}

// otherDisk returns a folder on another file system.
func otherDisk(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "spate-test-*")
	if err != nil {
		t.Skip("no second file system: ", err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// TestMoveLosesNoData checks that moving the data during the download and while it is
// seeded loses no data and no connections, and that a restart finds the data without a
// check.
func TestMoveLosesNoData(t *testing.T) {
	from, mi, seed := seeding(t)
	resume, first, second, disk := t.TempDir(), t.TempDir(), t.TempDir(), otherDisk(t)
	s := realSession(t, torrent.Options{ResumeDir: resume})
	tor := mustAdd(t, s, mi, torrent.AddOptions{Dir: first, Peers: []netip.AddrPort{seed.Addr()}, Down: 3 << 20})
	sub := tor.Subscribe(1000)
	for e := range sub.Events() {
		if e.Kind == torrent.EventPiece {
			break
		}
	}
	for i, to := range []struct{ dir, name string }{{second, ""}, {disk, ""}, {disk, "other"}, {first, "tree"}} {
		if err := tor.Move(t.Context(), to.dir, to.name); err != nil {
			t.Fatalf("move %d: %v", i, err)
		}
	}
	mustWait(t, tor)
	if got := has(t, from, first); got != "a b c empty" || tor.Path() != filepath.Join(first, "tree") {
		t.Errorf("complete: %s in %s", got, tor.Path())
	}
	// A peer reads while the data moves to another disk and back.
	get := realSession(t, torrent.Options{})
	out := t.TempDir()
	reader := mustAdd(t, get, mi, torrent.AddOptions{Dir: out, Peers: []netip.AddrPort{s.Addr()}, Down: 8 << 20})
	for _, to := range []string{disk, second, disk, second} {
		if err := tor.Move(t.Context(), to, ""); err != nil {
			t.Fatal(err)
		}
	}
	mustWait(t, reader)
	if got := has(t, from, out); got != "a b c empty" {
		t.Errorf("complete: %s", got)
	}
	for e := range sub.Events() {
		if e.State == torrent.StateFailed {
			t.Errorf("halted: %v", e.Err)
		}
		if e.Kind == torrent.EventDone {
			break
		}
	}
	for _, dir := range []string{first, disk} {
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("left in %s: %v", dir, left)
		}
	}
	s.Close()
	again := mustAdd(t, realSession(t, torrent.Options{ResumeDir: resume}), mi, torrent.AddOptions{Dir: second})
	mustWait(t, again)
	if st := again.Stats(); st.Checked != 0 {
		t.Errorf("%d pieces were checked again", st.Checked)
	}
}

// TestDataStaysWhenMoveFails checks that data which cannot be moved stays where it is.
func TestDataStaysWhenMoveFails(t *testing.T) {
	from, mi, seed := seeding(t)
	dir := t.TempDir()
	s := realSession(t, torrent.Options{})
	tor := mustAdd(t, s, mi, torrent.AddOptions{Dir: dir, Peers: []netip.AddrPort{seed.Addr()}})
	mustWait(t, tor)
	full := t.TempDir()
	os.Mkdir(filepath.Join(full, "tree"), 0o777)
	if err := tor.Move(t.Context(), full, ""); !errors.Is(err, storage.ErrObstructed) {
		t.Errorf("onto an existing file: %v", err)
	}
	if err := tor.Move(t.Context(), filepath.Join(dir, "absent"), ""); err == nil {
		t.Error("moved to a folder that does not exist")
	}
	if err := tor.Move(t.Context(), full, "../x"); err == nil {
		t.Error("moved under a name that leads out of the folder")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := tor.Move(ctx, t.TempDir(), ""); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if got := has(t, from, dir); got != "a b c empty" || tor.Stats().State != torrent.StateSeeding {
		t.Errorf("complete: %s, %+v", got, tor.Stats())
	}
	if err := seed.Torrent(mi.Hash()).Move(t.Context(), full, "x"); !errors.Is(err, storage.ErrReadOnly) {
		t.Errorf("a torrent that only seeds: %v", err)
	}
	data, other := makeTorrent(t, 1000, 16<<10)
	if err := mustAdd(t, s, other, torrent.AddOptions{Storage: storage.NewMemoryOf(data), Verified: true}).Move(t.Context(), full, "x"); !errors.Is(err, torrent.ErrNotFiles) {
		t.Errorf("a torrent without files: %v", err)
	}
	if err := s.Remove(mi.Hash()); err != nil {
		t.Fatal(err)
	}
	if err := tor.Move(t.Context(), full, "x"); !errors.Is(err, torrent.ErrClosed) {
		t.Errorf("removed: %v", err)
	}
}

// TestRemoveWithData checks that exactly the files of the torrent are deleted.
func TestRemoveWithData(t *testing.T) {
	from, mi, seed := seeding(t)
	resume, dir := t.TempDir(), t.TempDir()
	s := realSession(t, torrent.Options{ResumeDir: resume})
	tor := mustAdd(t, s, mi, torrent.AddOptions{Dir: dir, Peers: []netip.AddrPort{seed.Addr()}})
	mustWait(t, tor)
	mine := filepath.Join(dir, "tree", "mine")
	if err := os.WriteFile(mine, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := s.RemoveWithData(mi.Hash()); err != nil {
		t.Fatal(err)
	}
	var left []string
	filepath.WalkDir(dir, func(path string, _ fs.DirEntry, _ error) error {
		left = append(left, strings.TrimPrefix(path, dir))
		return nil
	})
	if got := strings.Join(left, " "); got != " /tree /tree/mine" {
		t.Errorf("left %s", got)
	}
	if _, err := storage.LoadResume(resume, mi.Hash()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("resume data: %v", err)
	}
	if err := s.RemoveWithData(mi.Hash()); !errors.Is(err, torrent.ErrUnknown) {
		t.Errorf("removed twice: %v", err)
	}
	// The data of a torrent that only seeds stays.
	if err := seed.RemoveWithData(mi.Hash()); !errors.Is(err, storage.ErrReadOnly) || seed.Torrent(mi.Hash()) != nil {
		t.Errorf("a torrent that only seeds: %v", err)
	}
	if got := has(t, from, from); got != "a b c empty" {
		t.Errorf("complete: %s", got)
	}
}
