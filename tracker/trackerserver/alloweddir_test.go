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
	"spate/metainfo"
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

// eachEntry runs test for each entry, with and without Options.FollowLinks.
func eachEntry(t *testing.T, text string, test func(t *testing.T, dir string, o Options, entry foldertest.Entry, want foldertest.Outcome)) {
	for _, follow := range []bool{false, true} {
		for _, entry := range foldertest.Entries(text) {
			t.Run(entry.Name+map[bool]string{true: " followed"}[follow], func(t *testing.T) {
				t.Parallel()
				dir := filepath.Join(t.TempDir(), "in")
				if err := os.Mkdir(dir, 0o755); err != nil {
					t.Fatal(err)
				}
				want := entry.Strict
				if follow {
					want = entry.Follow
				}
				test(t, dir, Options{AllowedDir: dir, FollowLinks: follow}, entry, want)
			})
		}
	}
}

// TestAllowedDirEntries checks that a file in AllowedDir, or a link to a file in it, is
// allowed, that a link to another file is logged once, and that other torrents are served.
func TestAllowedDirEntries(t *testing.T) {
	t.Parallel()
	text, ih := torrentText(t, "name of x.")
	for _, sub := range []string{"", "sub"} {
		eachEntry(t, text, func(t *testing.T, dir string, o Options, entry foldertest.Entry, want foldertest.Outcome) {
			good := writeTorrent(t, filepath.Join(dir, "good.torrent"), "a good one")
			at := filepath.Join(dir, sub, "x.torrent")
			if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
				t.Fatal(err)
			}
			if entry.Name == "link inside, by the parent" && sub != "" {
				want = foldertest.Read // it stays in the allowed directory
			}
			entry.Put(t, at)
			var log bytes.Buffer
			o.Log = slog.New(slog.NewTextHandler(&log, nil))
			s := newServer(t, o)
			for range 2 {
				if !allowed(s, good) || allowed(s, ih) != (want == foldertest.Read) {
					t.Errorf("allowed: %v, want %s", allowed(s, ih), want)
				}
				warnings := strings.Count(log.String(), "level=WARN")
				wantWarning := want != foldertest.Read && entry.Name != "nothing" && entry.Name != "directory"
				if (warnings == 1) != wantWarning || warnings > 1 || wantWarning && !strings.Contains(log.String(), "path="+at) {
					t.Errorf("the log has\n%s", &log)
				}
				if err := s.Reload(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestTorrentFileEntries checks that a file or link which has replaced a .torrent file is
// served only if it is the same torrent.
func TestTorrentFileEntries(t *testing.T) {
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
	eachEntry(t, text, func(t *testing.T, dir string, o Options, entry foldertest.Entry, want foldertest.Outcome) {
		at := filepath.Join(dir, "x.torrent")
		if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		s := newServer(t, o)
		check(t, s, true)
		os.Remove(at)
		entry.Put(t, at)
		check(t, s, want == foldertest.Read)
	})
	dir := t.TempDir()
	at := filepath.Join(dir, "x.torrent")
	os.WriteFile(at, []byte(text), 0o644)
	s := newServer(t, Options{AllowedDir: dir})
	os.WriteFile(at, []byte(other), 0o644)
	check(t, s, false)
}

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

// TestTorrentsStayAllowedIfDirectoryFails checks that torrents stay allowed if AllowedDir
// cannot be read.
func TestTorrentsStayAllowedIfDirectoryFails(t *testing.T) {
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
