package torrent

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"spate/metainfo"
	"spate/storage"
)

// getUntil downloads from seed into dir until done pieces are verified, or all if done is 0.
// It closes the session and returns the stats.
func getUntil(t *testing.T, mi *metainfo.MetaInfo, seed *Session, dir, resume string, done int) Stats {
	t.Helper()
	s, err := NewSession(Options{Bind: loopback, ResumeDir: resume})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ran := make(chan error, 1)
	go func() { ran <- s.Run(ctx) }()
	tor, err := s.Add(mi, AddOptions{Dir: dir, Peers: []netip.AddrPort{seed.Addr()}})
	if err != nil {
		t.Fatal(err)
	}
	for done == 0 || tor.Stats().PiecesHave < done {
		select {
		case <-tor.Done():
			done = -1
		case <-ctx.Done():
			t.Fatalf("%+v", tor.Stats())
		case <-time.After(time.Millisecond): // there is no event to wait for
		}
		if done < 0 {
			break
		}
	}
	cancel()
	<-ran
	return tor.Stats()
}

// TestStoppedDownloadContinues checks that a download that was stopped half way neither
// downloads nor checks verified pieces again.
func TestStoppedDownloadContinues(t *testing.T) {
	t.Parallel()
	data, mi := noiseTorrent(t, 16<<20+777, 64<<10)
	seed := testSession(t, Options{Up: 40 << 20})
	added(t, seed, mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true})
	dir, resume := t.TempDir(), t.TempDir()
	first := getUntil(t, mi, seed, dir, resume, mi.Info.NumPieces()/2)
	if first.PiecesHave == first.Pieces {
		t.Fatal("the first run downloaded everything")
	}
	second := getUntil(t, mi, seed, dir, resume, 0)
	if second.Checked != 0 {
		t.Errorf("%d pieces were checked again", second.Checked)
	}
	fetched := second.Downloaded - first.Downloaded
	if missing := second.BytesTotal - first.BytesDone; fetched > missing {
		t.Errorf("downloaded %d bytes, but only %d were missing", fetched, missing)
	}
	got, err := os.ReadFile(filepath.Join(dir, mi.Info.Name))
	if err != nil || string(got) != string(data) {
		t.Fatalf("other data on disk (%v)", err)
	}

	// A byte that was changed meanwhile is found, and its piece is downloaded again.
	got[len(got)/2] ^= 1
	if err := os.WriteFile(filepath.Join(dir, mi.Info.Name), got, 0o644); err != nil {
		t.Fatal(err)
	}
	third := getUntil(t, mi, seed, dir, resume, 0)
	if n := third.Downloaded - second.Downloaded; n != mi.Info.PieceLength {
		t.Errorf("downloaded %d bytes to repair one piece of %d", n, mi.Info.PieceLength)
	}
}

// TestRestartKeepsRecords checks that a restart writes no resume data of complete torrents that
// did not change, because a session can have thousands of them.
func TestRestartKeepsRecords(t *testing.T) {
	t.Parallel()
	data, mi := noiseTorrent(t, 1<<20, 64<<10)
	for _, verified := range []bool{false, true} {
		dir, resume := t.TempDir(), t.TempDir()
		path := filepath.Join(dir, mi.Info.Name)
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
		run := func() (Stats, os.FileInfo) {
			s, err := NewSession(Options{Bind: loopback, ResumeDir: resume})
			if err != nil {
				t.Fatal(err)
			}
			tor, err := s.Add(mi, AddOptions{Dir: dir, SeedOnly: true, Verified: verified})
			if err != nil {
				t.Fatal(err)
			}
			<-tor.Done()
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			fi, err := os.Stat(filepath.Join(resume, mi.Hash().String()+".resume"))
			if err != nil {
				t.Fatal(err)
			}
			return tor.Stats(), fi
		}
		run()
		rec, err := storage.LoadResume(resume, mi.Hash())
		if err != nil {
			t.Fatal(err)
		}
		rec.Added, rec.Completed = time.Unix(1_800_000_000, 0), time.Unix(1_800_000_100, 0)
		if err := storage.SaveResume(resume, rec); err != nil {
			t.Fatal(err)
		}
		st, before := run()
		if _, after := run(); !os.SameFile(before, after) {
			t.Errorf("verified %t: the restart wrote the record of an unchanged torrent", verified)
		}
		if !st.Added.Equal(rec.Added) || !st.Completed.Equal(rec.Completed) {
			t.Errorf("verified %t: the torrent was added %v and completed %v, want %v and %v", verified, st.Added, st.Completed, rec.Added, rec.Completed)
		}
		if err := os.Chtimes(path, rec.Added, rec.Added); err != nil {
			t.Fatal(err)
		}
		if _, changed := run(); os.SameFile(before, changed) {
			t.Errorf("verified %t: the record of a changed file was not written", verified)
		}
	}
}

// TestDiskNotMounted checks that a torrent whose data and file system are gone creates no
// files, and continues when the file system is back.
func TestDiskNotMounted(t *testing.T) {
	t.Parallel()
	data, mi := noiseTorrent(t, 1<<20, 64<<10)
	dir, resume := t.TempDir(), t.TempDir()
	path := filepath.Join(dir, mi.Info.Name)
	seed := testSession(t, Options{})
	added(t, seed, mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true})
	getUntil(t, mi, seed, dir, resume, 0)
	rec, err := storage.LoadResume(resume, mi.Hash())
	if err != nil {
		t.Fatal(err)
	}
	if rec.Device == 0 {
		t.Skip("this system does not tell file systems apart")
	}
	rec.Device++
	if err := errors.Join(storage.SaveResume(resume, rec), os.Rename(path, path+".away")); err != nil {
		t.Fatal(err)
	}
	add := AddOptions{Dir: dir, Peers: []netip.AddrPort{seed.Addr()}}
	// Run twice, because the first run must not overwrite the record.
	haltsAtOnce(t, mi, resume, add, ErrGone)
	tor, err := testSession(t, Options{ResumeDir: resume}).Add(mi, add)
	if err != nil {
		t.Fatal(err)
	}
	if err := tor.Wait(t.Context()); !errors.Is(err, ErrGone) || !errors.Is(err, storage.ErrMissing) {
		t.Fatal(err)
	}
	tor.retry()
	if _, err := os.Lstat(path); err == nil || tor.Stats().State != StateFailed {
		t.Errorf("state %v after the folder was checked", tor.Stats().State)
	}
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	tor.retry()
	if st := tor.Stats(); st.State != StateSeeding || st.Downloaded != int64(len(data)) {
		t.Errorf("after the disk is back: %+v", st)
	}
}

// haltsAtOnce checks that a torrent halts because of reason, and closes its session.
func haltsAtOnce(t *testing.T, mi *metainfo.MetaInfo, resume string, add AddOptions, reason error) {
	t.Helper()
	s, err := NewSession(Options{Bind: loopback, ResumeDir: resume})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	ran := make(chan error, 1)
	go func() { ran <- s.Run(ctx) }()
	tor, err := s.Add(mi, add)
	if err != nil {
		t.Fatal(err)
	}
	if err := tor.Wait(ctx); !errors.Is(err, reason) {
		t.Errorf("halted because of %v, want %v", err, reason)
	}
	cancel()
	<-ran
}

// TestLongerFileIsKept checks that the data of a file that is too long is used once
// AddOptions.Force allows it, although the first run ended before it checked the data.
func TestLongerFileIsKept(t *testing.T) {
	t.Parallel()
	data, mi := noiseTorrent(t, 1<<20, 64<<10)
	dir, resume := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, mi.Info.Name), append(data[:len(data):len(data)], "more"...), 0o644); err != nil {
		t.Fatal(err)
	}
	haltsAtOnce(t, mi, resume, AddOptions{Dir: dir}, storage.ErrLonger)
	tor, err := testSession(t, Options{ResumeDir: resume}).Add(mi, AddOptions{Dir: dir, Force: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := tor.Wait(ctx); err != nil {
		t.Errorf("%v: %+v", err, tor.Stats())
	}
}
