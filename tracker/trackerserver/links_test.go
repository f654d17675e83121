package trackerserver

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"spate"
	"spate/internal/folder/foldertest"
)

// torrentText returns a .torrent file for a file with a name, and its info-hash.
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

// eachTrap runs test for each trap, with and without Options.FollowLinks.
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

// TestAllowedDirTraps checks that a file in AllowedDir, or a link to a file in it, is
// allowed, that a link to another file is logged once, and that other torrents are served.
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

// TestTorrentFileTraps checks that a file or link which has replaced a .torrent file is
// served only if it is the same torrent.
func TestTorrentFileTraps(t *testing.T) {
	t.Parallel()
	text, ih := torrentText(t, "name of x.")
	other, _ := torrentText(t, "name of y.")
	check := func(t *testing.T, s *Server, read bool) {
		t.Helper()
		name, data, err := s.TorrentFile(ih)
		if read && (err != nil || name != "x.torrent" || string(data) != text) {
			t.Errorf("%s %q %v", name, data, err)
		} else if !read && (err == nil || data != nil) {
			t.Errorf("%s is served: %q", name, data)
		}
	}
	eachTrap(t, text, func(t *testing.T, dir string, o Options, trap foldertest.Trap, want foldertest.Outcome) {
		at := filepath.Join(dir, "x.torrent")
		if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		s := newServer(t, o)
		check(t, s, true)
		os.Remove(at)
		trap.Put(t, at)
		check(t, s, want == foldertest.Read)
	})
	dir := t.TempDir()
	at := filepath.Join(dir, "x.torrent")
	os.WriteFile(at, []byte(text), 0o644)
	s := newServer(t, Options{AllowedDir: dir})
	os.WriteFile(at, []byte(other), 0o644)
	check(t, s, false)
}

// TestListTraps checks that a list may be a link, but not a pipe or a device. Reading
// such a list fails without waiting, and the old content stays.
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
						t.Errorf("%s: no error", name)
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

// TestLargeFiles checks that lists and .torrent files over their limits are not read.
func TestLargeFiles(t *testing.T) {
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

// TestTrapsDoNotBlock checks that a tracker with traps in its directories notices changes,
// and stops.
func TestTrapsDoNotBlock(t *testing.T) {
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
			s.opts.AllowList = filepath.Join(dir, "list") // the trap, which New would not accept
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
