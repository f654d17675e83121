package trackerserver

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"spate"
	"spate/internal/atomicfile"
	"spate/internal/folder/foldertest"
	"spate/tracker"
)

// TestListEntries checks that a list may be a link, but not a pipe or a device. Reading
// such a list fails without waiting, and the old content stays.
func TestListEntries(t *testing.T) {
	t.Parallel()
	one, two := spate.InfoHash{1}, spate.InfoHash{2}
	for _, entry := range foldertest.Entries(two.String() + "\n") {
		t.Run(entry.Name, func(t *testing.T) {
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
				entry.Put(t, at)
				err := s.Reload()
				if name == "allow" {
					if read := allowed(s, two); read != (entry.Follow == foldertest.Read) || read == allowed(s, one) {
						t.Errorf("allowed: %v, want %s: %v", read, entry.Follow, err)
					}
				}
				if name != "allow" && name != "deny" || entry.Follow == foldertest.Leaked {
					if err == nil {
						t.Errorf("%s: no error", name)
					}
				} else if is := foldertest.OutcomeOf(two.String()+"\n", err, two.String()+"\n"); is != entry.Follow {
					t.Errorf("%s: %s, want %s: %v", name, is, entry.Follow, err)
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
	if !strings.Contains(log.String(), "larger than 256 MB") {
		t.Errorf("the log has\n%s", &log)
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
		if err := atomicfile.Replace(path, []byte(text)); err != nil { // the watcher must not read an incomplete file
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
		t.Error("a torrent that the caller allowed was removed with the list")
	}
}

// TestMovedTorrentIsNeverRefused checks that a torrent which moves from AllowedDir to
// AllowList and back is never refused.
func TestMovedTorrentIsNeverRefused(t *testing.T) {
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
