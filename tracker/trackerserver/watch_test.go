package trackerserver

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"spate"
	"spate/internal/atomicfile"
	"spate/metainfo"
	"spate/tracker"
	"spate/tracker/swarm"
)

// writeTorrent writes a .torrent file for a file with a name, and returns its info-hash.
func writeTorrent(t *testing.T, path, name string) spate.InfoHash {
	t.Helper()
	info := "d6:lengthi5e4:name" + bstr(name) + "12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaae"
	b := []byte("d8:announce16:http://x/announc4:info" + info + "e")
	m, err := metainfo.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return m.Hash()
}

func bstr(s string) string {
	return string(rune('0'+len(s)/10%10)) + string(rune('0'+len(s)%10)) + ":" + s
}

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

func allowed(s *Server, ih spate.InfoHash) bool {
	_, ok := s.Note(ih)
	return ok
}

// TestAllowedDir checks that a torrent which is added to AllowedDir is served, that one which
// is removed is refused, and that one which is moved is never refused.
func TestAllowedDir(t *testing.T) {
	dir := t.TempDir()
	a := writeTorrent(t, dir+"/a.torrent", "name of a.")
	os.WriteFile(dir+"/broken.torrent", []byte("d4:info"), 0o644)
	os.WriteFile(dir+"/readme.txt", []byte("x"), 0o644)
	s := newServer(t, Options{AllowedDir: dir})
	if note, ok := s.Note(a); !ok || note.Name != "name of a." || note.Size != 5 || note.Torrent != dir+"/a.torrent" {
		t.Errorf("%+v %v", note, ok)
	}
	if _, err := announce(t, s, "192.0.2.1:9", peer(1)); err == nil {
		t.Error("a torrent that is not in the directory is served")
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	defer func() { cancel(); <-done }()

	b := writeTorrent(t, dir+"/sub/deeper/b.torrent", "name of b.")
	eventually(t, "b is served", func() bool { return allowed(s, b) })
	lost := make(chan bool, 1)
	stop := make(chan struct{})
	go func() {
		gone := false
		for {
			select {
			case <-stop:
				lost <- gone
				return
			default:
				gone = gone || !allowed(s, b)
			}
		}
	}()
	os.Rename(dir+"/sub/deeper/b.torrent", dir+"/b.torrent")
	os.Remove(dir + "/a.torrent")
	eventually(t, "a is refused", func() bool { return !allowed(s, a) })
	eventually(t, "b moved", func() bool { n, _ := s.Note(b); return n.Torrent == dir+"/b.torrent" })
	close(stop)
	if <-lost {
		t.Error("b was refused while it moved")
	}
	if got := s.AllowedFiles(); len(got) != 1 || got[0] != dir+"/b.torrent" {
		t.Errorf("files %q", got)
	}
	if got := s.Store().Totals(); got.Swarms > 2 {
		t.Errorf("%+v", got)
	}
	c := writeTorrent(t, dir+"/broken.torrent", "name of c.")
	eventually(t, "c is whole", func() bool { return allowed(s, c) })
}

// TestAllowedDirVanishes checks that torrents stay allowed if AllowedDir cannot be read.
func TestAllowedDirVanishes(t *testing.T) {
	dir := t.TempDir() + "/d"
	a := writeTorrent(t, dir+"/a.torrent", "name of a.")
	s := newServer(t, Options{AllowedDir: dir})
	os.Rename(dir, dir+"-away")
	if err := s.Reload(); err == nil || !allowed(s, a) {
		t.Errorf("%v, still allowed: %v", err, allowed(s, a))
	}
	os.Rename(dir+"-away", dir)
	if err := s.Reload(); err != nil || !allowed(s, a) {
		t.Error(err)
	}
}

// TestLists checks that changed lists are applied, that DenyList overrides AllowList, and
// that an invalid list changes nothing.
func TestLists(t *testing.T) {
	dir := t.TempDir()
	one, two := spate.InfoHash{1}, spate.InfoHash{2}
	allow, deny := dir+"/allow", dir+"/deny"
	write := func(path, text string) {
		t.Helper()
		if err := atomicfile.Replace(path, []byte(text)); err != nil { // it is watched, and must never be half of the text
			t.Fatal(err)
		}
	}
	write(allow, "# comment\n\n"+one.String()+" the first one\n"+strings.ToUpper(two.String())+"\n")
	write(deny, "")
	s := newServer(t, Options{AllowList: allow, DenyList: deny})
	if n, ok := s.Note(one); !ok || n.Name != "the first one" || !allowed(s, two) {
		t.Errorf("%+v %v", n, ok)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	defer func() { cancel(); <-done }()
	req := peer(1)
	req.InfoHash = one
	write(deny, one.String()+"\n")
	eventually(t, "one is denied", func() bool { _, err := announce(t, s, "127.0.0.1:9", req); return err != nil })
	write(deny, "# none\n")
	eventually(t, "one is not denied any more", func() bool { _, err := announce(t, s, "127.0.0.1:9", req); return err == nil })
	write(allow, one.String()+"\n"+"broken line\n")
	if err := s.Reload(); err == nil || !strings.Contains(err.Error(), "line 2") || !allowed(s, two) {
		t.Errorf("broken list: %v", err)
	}
	s.Allow(two, tracker.Note{})
	write(allow, "")
	eventually(t, "one is gone", func() bool { return !allowed(s, one) })
	if !allowed(s, two) {
		t.Error("what the caller allowed went with the list")
	}
}

// TestReloadRefusesNothing checks that a torrent which moves from AllowedDir to AllowList and
// back is never refused.
func TestReloadRefusesNothing(t *testing.T) {
	dir, list := t.TempDir(), filepath.Join(t.TempDir(), "list")
	ih := writeTorrent(t, filepath.Join(dir, "a.torrent"), "ten bytes.")
	if err := os.WriteFile(list, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := newServer(t, Options{AllowedDir: dir, AllowList: list})
	stop, done := make(chan struct{}), make(chan int)
	go func() {
		refused := 0
		for {
			select {
			case <-stop:
				done <- refused
				return
			default:
				if _, r := s.admission(&ih); r != nil {
					refused++
				}
			}
		}
	}()
	for range 20 {
		os.Remove(filepath.Join(dir, "a.torrent"))
		if err := errors.Join(os.WriteFile(list, []byte(ih.String()+"\n"), 0o600), s.Reload()); err != nil {
			t.Fatal(err)
		}
		writeTorrent(t, filepath.Join(dir, "a.torrent"), "ten bytes.")
		if err := errors.Join(os.WriteFile(list, nil, 0o600), s.Reload()); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	if n := <-done; n > 0 {
		t.Errorf("refused %d times", n)
	}
}

// TestAllowWithFullStore checks that Allow fails if the store cannot protect another swarm.
func TestAllowWithFullStore(t *testing.T) {
	s, err := New(newTable(t, swarm.Options{Shards: 1, MaxSwarms: 1}), Options{OnlyAllowed: true})
	if err != nil {
		t.Fatal(err)
	}
	var failed error
	for n := range 10 {
		if err := s.Allow(spate.InfoHash{byte(n)}, tracker.Note{}); err != nil {
			failed = err
		}
	}
	if failed == nil {
		t.Error("ten protected swarms in a table of one")
	}
}

// TestNotesFile checks that the warnings and failures in Options.Notes are applied, and that
// they allow no torrent.
func TestNotesFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "notes")
	warned, failed := spate.InfoHash{1}, spate.InfoHash{2}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("# old\n\n" + warned.String() + " warning  a new version is out\n" + failed.String() + " failure withdrawn\n")
	table, err := swarm.New(swarm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	s, err := New(table, Options{Notes: path, OnlyAllowed: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, r := s.admission(&warned); r != refuseUnknown {
		t.Errorf("a note allows a torrent: %v", r)
	}
	for _, ih := range []spate.InfoHash{warned, failed} {
		if err := s.Allow(ih, tracker.Note{Name: "x"}); err != nil {
			t.Fatal(err)
		}
	}
	if n, r := s.admission(&warned); r != nil || n.Name != "x" || n.Warning != "a new version is out" {
		t.Errorf("warning: %v, %v", n, r)
	}
	if _, r := s.admission(&failed); r == nil || r.Reason != "withdrawn" {
		t.Errorf("failure: %v", r)
	}
	write("nonsense")
	if s.Reload() == nil {
		t.Error("an invalid file is not an error")
	}
	if _, r := s.admission(&failed); r == nil {
		t.Error("an invalid file has removed the notes")
	}
	write("")
	if err := s.Reload(); err != nil {
		t.Error(err)
	}
	if n, r := s.admission(&failed); r != nil || n.Warning != "" {
		t.Errorf("an empty file: %v, %v", n, r)
	}
}
