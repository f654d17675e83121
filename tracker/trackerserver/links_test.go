package trackerserver

import (
	"bytes"
	"context"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"spate"
	"spate/internal/folder/foldertest"
)

// torrentText returns a torrent of one file called name, and its info-hash.
func torrentText(t *testing.T, name string) (string, spate.InfoHash) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "t.torrent")
	ih := writeTorrent(t, path, name)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b), ih
}

// eachTrap runs test for every trap, with links followed and not, in a directory
// with another torrent that has to be served all the time.
func eachTrap(t *testing.T, text string, test func(t *testing.T, dir string, o Options, trap foldertest.Trap, want foldertest.Outcome)) {
	for _, follow := range []bool{false, true} {
		for _, trap := range foldertest.Traps(text) {
			t.Run(trap.Name+map[bool]string{true: " followed"}[follow], func(t *testing.T) {
				t.Parallel()
				dir := filepath.Join(t.TempDir(), "in")
				if err := os.Mkdir(dir, 0o755); err != nil {
					t.Fatal(err)
				}
				want := trap.Strict
				if follow {
					want = trap.Follow
				}
				test(t, dir, Options{AllowedDir: dir, FollowLinks: follow}, trap, want)
			})
		}
	}
}

// TestAllowedDirTraps: what lies in the allowed directory is allowed if it is a file
// there, or a link to one; a link that leads out is named in the log, once.
func TestAllowedDirTraps(t *testing.T) {
	t.Parallel()
	text, ih := torrentText(t, "name of x.")
	for _, sub := range []string{"", "sub"} {
		eachTrap(t, text, func(t *testing.T, dir string, o Options, trap foldertest.Trap, want foldertest.Outcome) {
			good := writeTorrent(t, filepath.Join(dir, "good.torrent"), "a good one")
			at := filepath.Join(dir, sub, "x.torrent")
			if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
				t.Fatal(err)
			}
			if trap.Name == "link inside, by the parent" && sub != "" {
				want = foldertest.Read // it stays in the allowed directory
			}
			trap.Put(t, at)
			var log bytes.Buffer
			o.Log = slog.New(slog.NewTextHandler(&log, nil))
			s := newServer(t, o)
			for range 2 {
				if !allowed(s, good) || allowed(s, ih) != (want == foldertest.Read) {
					t.Errorf("allowed: %v, want %s", allowed(s, ih), want)
				}
				named := strings.Count(log.String(), "level=WARN")
				told := want != foldertest.Read && trap.Name != "nothing" && trap.Name != "directory"
				if (named == 1) != told || named > 1 || told && !strings.Contains(log.String(), "path="+at) {
					t.Errorf("the log has\n%s", &log)
				}
				if err := s.Reload(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestHandOutTraps: what takes the place of a .torrent file is handed out only if it
// is that torrent.
func TestHandOutTraps(t *testing.T) {
	t.Parallel()
	text, ih := torrentText(t, "name of x.")
	other, _ := torrentText(t, "name of y.")
	get := func(s *Server) (int, string) {
		w := httptest.NewRecorder()
		NewStatistics(StatsOptions{AllowGet: true}).Handler(s).ServeHTTP(w, httptest.NewRequest("GET", "/stats/torrent/"+ih.String()+".torrent", nil))
		return w.Code, w.Body.String()
	}
	eachTrap(t, text, func(t *testing.T, dir string, o Options, trap foldertest.Trap, want foldertest.Outcome) {
		at := filepath.Join(dir, "x.torrent")
		if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		s := newServer(t, o)
		if code, body := get(s); code != 200 || body != text {
			t.Errorf("%d %q", code, body)
		}
		os.Remove(at)
		trap.Put(t, at)
		code, body := get(s)
		if ok := code == 200 && body == text; ok != (want == foldertest.Read) || !ok && code != 404 {
			t.Errorf("%d %q, want %s", code, body, want)
		}
	})
	dir := t.TempDir()
	at := filepath.Join(dir, "x.torrent")
	os.WriteFile(at, []byte(text), 0o644)
	s := newServer(t, Options{AllowedDir: dir})
	os.WriteFile(at, []byte(other), 0o644)
	if code, body := get(s); code != 404 {
		t.Errorf("another torrent is handed out: %d %q", code, body)
	}
}

// TestListTraps: a list that the user named may be a link, but no pipe or device,
// and one that cannot be read leaves what was allowed as it was and is no reason to
// wait.
func TestListTraps(t *testing.T) {
	t.Parallel()
	one, two := spate.InfoHash{1}, spate.InfoHash{2}
	for _, trap := range foldertest.Traps(two.String() + "\n") {
		t.Run(trap.Name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "in")
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			at := filepath.Join(dir, "list")
			if err := os.WriteFile(at, []byte(one.String()+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			for name, o := range map[string]Options{"allow": {AllowList: at}, "deny": {DenyList: at}, "notes": {Notes: at}, "nets": {Nets: at}} {
				if name == "notes" || name == "nets" {
					os.WriteFile(at, nil, 0o644)
				} else {
					os.WriteFile(at, []byte(one.String()+"\n"), 0o644)
				}
				s := newServer(t, o)
				os.Remove(at)
				trap.Put(t, at)
				err := s.Reload()
				if name == "allow" {
					if read := allowed(s, two); read != (trap.Follow == foldertest.Read) || read == allowed(s, one) {
						t.Errorf("allowed: %v, want %s: %v", read, trap.Follow, err)
					}
				}
				if name != "allow" && name != "deny" || trap.Follow == foldertest.Leaked {
					if err == nil {
						t.Errorf("%s: there is no error", name)
					}
				} else if is := foldertest.OutcomeOf(two.String()+"\n", err, two.String()+"\n"); is != trap.Follow {
					t.Errorf("%s: %s, want %s: %v", name, is, trap.Follow, err)
				}
				os.RemoveAll(at)
				os.RemoveAll(filepath.Join(filepath.Dir(dir), "outside"))
				entries, _ := os.ReadDir(dir)
				for _, e := range entries {
					os.RemoveAll(filepath.Join(dir, e.Name()))
				}
			}
		})
	}
}

// TestLargeList: a list over the limit is refused, and one that grows meanwhile.
func TestLargeList(t *testing.T) {
	t.Parallel()
	at := filepath.Join(t.TempDir(), "list")
	if err := os.WriteFile(at, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	s := newServer(t, Options{AllowList: at})
	if err := os.Truncate(at, maxListFile+1); err != nil {
		t.Fatal(err)
	}
	if err := s.Reload(); err == nil || !strings.Contains(err.Error(), "larger than 64 MiB") {
		t.Error(err)
	}
	large := filepath.Join(t.TempDir(), "in")
	os.Mkdir(large, 0o755)
	os.WriteFile(filepath.Join(large, "x.torrent"), nil, 0o644)
	os.Truncate(filepath.Join(large, "x.torrent"), maxTorrentFile+1)
	var log bytes.Buffer
	newServer(t, Options{AllowedDir: large, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if !strings.Contains(log.String(), "larger than 10 MiB") {
		t.Errorf("the log has\n%s", &log)
	}
}

// TestTrapsDoNotStop: a tracker among traps begins to watch, and ends when it is told.
func TestTrapsDoNotStop(t *testing.T) {
	t.Parallel()
	for _, trap := range foldertest.Traps("text") {
		t.Run(trap.Name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "in")
			os.Mkdir(dir, 0o755)
			for _, name := range []string{"x.torrent", "list", "sub"} {
				trap.Put(t, filepath.Join(dir, name))
			}
			writeTorrent(t, filepath.Join(dir, "good.torrent"), "a good one")
			list := filepath.Join(t.TempDir(), "list")
			os.WriteFile(list, nil, 0o644)
			s := newServer(t, Options{AllowedDir: dir, AllowList: list})
			s.opts.AllowList = filepath.Join(dir, "list") // it became that
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
