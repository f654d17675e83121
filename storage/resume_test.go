package storage

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"spate"
	"spate/bitfield"
	"spate/internal/folder/foldertest"
)

func sampleRecord(pieces int) *Record {
	r := &Record{
		InfoHash: spate.InfoHash{1, 2, 3}, Have: bitfield.New(pieces), Clean: true, Paused: true,
		Files: []FileStat{{}, {Exists: true, Size: 1 << 40, ModTime: -5, Inode: 1<<64 - 1, Change: -7}},
		Dir:   "/srv/ünïcode", Device: 1 << 40, Name: "other", Priorities: []byte{0, 7},
		Uploaded: 1 << 50, Downloaded: 3, Seeding: time.Hour,
		Added: time.Unix(1_800_000_000, 0), Completed: time.Unix(1_800_000_100, 0),
		Peers: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:6881"), netip.MustParseAddrPort("[2001:db8::1]:1"), netip.MustParseAddrPort("[fe80::1%eth0]:6881"), netip.MustParseAddrPort("[fe80::1%2]:1")},
	}
	for i := 0; i < pieces; i += 3 {
		r.Have.Set(i)
	}
	return r
}

// sameRecord compares the encodings, and the fields that are rounded.
func sameRecord(a, b *Record) bool {
	return bytes.Equal(a.encode(), b.encode()) && reflect.DeepEqual(a.Files, b.Files) && slices.Equal(a.Peers, b.Peers) && a.Have.Equal(b.Have)
}

func TestRecordRoundTrip(t *testing.T) {
	for _, pieces := range []int{0, 1, 7, 8, 9, 1000} {
		dir := t.TempDir()
		want := sampleRecord(pieces)
		if err := SaveResume(dir, want); err != nil {
			t.Fatal(err)
		}
		got, err := LoadResume(dir, want.InfoHash)
		if err != nil || !sameRecord(got, want) || got.Recovered != nil {
			t.Errorf("%d pieces: got %+v, %v; want %+v", pieces, got, err, want)
		}
	}
}

func TestRecordOfCompleteTorrentIsSmall(t *testing.T) {
	r := sampleRecord(1 << 20)
	r.Have.SetAll()
	if n := len(r.encode()); n > 500 {
		t.Errorf("a complete torrent's record has %d bytes", n)
	}
}

// TestSaveResumeWritesOnlyChanges checks that SaveResume replaces the newest record if and only
// if that record differs, is damaged or is missing.
func TestSaveResumeWritesOnlyChanges(t *testing.T) {
	t.Parallel()
	newest := func(dir string) string { return resumePath(dir, sampleRecord(9).InfoHash, resumeNew) }
	flip := func(dir string) {
		b, _ := os.ReadFile(newest(dir))
		b[len(b)/2] ^= 1
		os.WriteFile(newest(dir), b, 0o600)
	}
	for _, c := range []struct {
		name   string
		change func(*Record)
		damage func(dir string)
		writes bool
	}{
		{name: "equal"},
		{name: "pieces", change: func(r *Record) { r.Have.Set(1) }, writes: true},
		{name: "clean", change: func(r *Record) { r.Clean = false }, writes: true},
		{name: "paused", change: func(r *Record) { r.Paused = false }, writes: true},
		{name: "v1 only", change: func(r *Record) { r.V1Only = true }, writes: true},
		{name: "size", change: func(r *Record) { r.Files[1].Size++ }, writes: true},
		{name: "modification time", change: func(r *Record) { r.Files[1].ModTime++ }, writes: true},
		{name: "inode", change: func(r *Record) { r.Files[1].Inode-- }, writes: true},
		{name: "change time", change: func(r *Record) { r.Files[1].Change++ }, writes: true},
		{name: "directory", change: func(r *Record) { r.Dir = "/srv/other" }, writes: true},
		{name: "device", change: func(r *Record) { r.Device++ }, writes: true},
		{name: "name", change: func(r *Record) { r.Name = "third" }, writes: true},
		{name: "priorities", change: func(r *Record) { r.Priorities[0] = 1 }, writes: true},
		{name: "uploaded", change: func(r *Record) { r.Uploaded++ }, writes: true},
		{name: "completed", change: func(r *Record) { r.Completed = time.Time{} }, writes: true},
		{name: "peers", change: func(r *Record) { r.Peers = r.Peers[:1] }, writes: true},
		{name: "less than a second", change: func(r *Record) { r.Added = r.Added.Add(time.Millisecond) }},
		{name: "damaged", damage: flip, writes: true},
		{name: "cut", damage: func(dir string) { os.Truncate(newest(dir), 5) }, writes: true},
		{name: "removed", damage: func(dir string) { os.Remove(newest(dir)) }, writes: true},
		{name: "a directory in its place", damage: func(dir string) { os.Remove(newest(dir)); os.Mkdir(newest(dir), 0o700) }, writes: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, rec := t.TempDir(), sampleRecord(9)
			if err := SaveResume(dir, rec); err != nil {
				t.Fatal(err)
			}
			if c.change != nil {
				c.change(rec)
			}
			if c.damage != nil {
				c.damage(dir)
			}
			before, _ := os.Stat(newest(dir))
			if err := SaveResume(dir, rec); err != nil {
				t.Fatal(err)
			}
			after, err := os.Stat(newest(dir))
			if err != nil {
				t.Fatal(err)
			}
			if written := before == nil || !os.SameFile(before, after); written != c.writes {
				t.Errorf("SaveResume wrote the record: %t, want %t", written, c.writes)
			}
			if got, err := LoadResume(dir, rec.InfoHash); err != nil || !sameRecord(got, rec) {
				t.Errorf("the record is %+v, %v; want %+v", got, err, rec)
			}
		})
	}
}

func TestLoadResumeNone(t *testing.T) {
	if _, err := LoadResume(t.TempDir(), spate.InfoHash{9}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("LoadResume returned %v, want fs.ErrNotExist", err)
	}
}

// TestLoadResumeFallsBack checks that a damaged record is renamed and that the previous
// record is returned as not clean.
func TestLoadResumeFallsBack(t *testing.T) {
	for name, damage := range map[string]func(path string) error{
		"truncated": func(p string) error { return os.Truncate(p, 40) },
		"emptied":   func(p string) error { return os.Truncate(p, 0) },
		"gone":      os.Remove,
		"garbage":   func(p string) error { return os.WriteFile(p, []byte(strings.Repeat("x", 300)), 0o600) },
		"bit flipped": func(p string) error {
			b, err := os.ReadFile(p)
			b[len(b)/2] ^= 4
			return errors.Join(err, os.WriteFile(p, b, 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			older, newer := sampleRecord(10), sampleRecord(10)
			newer.Have.SetAll()
			for _, r := range []*Record{older, newer} {
				if err := SaveResume(dir, r); err != nil {
					t.Fatal(err)
				}
			}
			if err := damage(resumePath(dir, older.InfoHash, resumeNew)); err != nil {
				t.Fatal(err)
			}
			got, err := LoadResume(dir, older.InfoHash)
			if err != nil {
				t.Fatal(err)
			}
			if got.Clean || got.Recovered == nil {
				t.Errorf("the older record has Clean %v and Recovered %v, want false and a reason", got.Clean, got.Recovered)
			}
			got.Clean = true
			if !sameRecord(got, older) {
				t.Errorf("got %+v, want the record before", got)
			}
			if name != "gone" {
				if _, err := os.Stat(resumePath(dir, older.InfoHash, resumeNew+".damaged")); err != nil {
					t.Errorf("the damaged record was not kept: %v", err)
				}
			}
			if again, err := LoadResume(dir, older.InfoHash); err != nil || again.Have.All() {
				t.Errorf("the second LoadResume did not return the older record: %v", err)
			}
		})
	}
}

// TestLoadResumeNoFile checks that directories, pipes and links at the paths of records are set
// aside, and that records can be saved and loaded afterwards.
func TestLoadResumeNoFile(t *testing.T) {
	t.Parallel()
	for _, entry := range foldertest.Entries("not a record") {
		if entry.Name == "unreadable" {
			continue
		}
		for _, suffix := range []string{resumeNew, resumeOld, resumeTemp} {
			t.Run(entry.Name+" "+suffix, func(t *testing.T) {
				t.Parallel()
				dir, r := filepath.Join(t.TempDir(), "in"), sampleRecord(10)
				if err := os.Mkdir(dir, 0o700); err != nil {
					t.Fatal(err)
				}
				entry.Put(t, resumePath(dir, r.InfoHash, suffix))
				var damaged *CorruptError
				if _, err := LoadResume(dir, r.InfoHash); !errors.As(err, &damaged) && !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("LoadResume returned %v, want a CorruptError or fs.ErrNotExist", err)
				}
				for range 2 {
					if err := SaveResume(dir, r); err != nil {
						t.Fatal(err)
					}
				}
				if _, err := LoadResume(dir, r.InfoHash); err != nil {
					t.Errorf("LoadResume after SaveResume: %v", err)
				}
				if err := RemoveResume(dir, r.InfoHash); err != nil {
					t.Error(err)
				}
				if left, _ := os.ReadDir(dir); len(left) > 0 && suffix == resumeNew && entry.Name == "directory" {
					t.Errorf("RemoveResume left %v", left)
				}
			})
		}
	}
}

func TestLoadResumeAllDamaged(t *testing.T) {
	dir, r := t.TempDir(), sampleRecord(10)
	for range 2 {
		if err := SaveResume(dir, r); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range []string{resumeNew, resumeOld} {
		if err := os.WriteFile(resumePath(dir, r.InfoHash, s), []byte("?"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, err := LoadResume(dir, r.InfoHash)
	var corrupt *CorruptError
	if !errors.As(err, &corrupt) || corrupt.Aside == "" {
		t.Fatalf("LoadResume returned %v, want a CorruptError", err)
	}
	if _, err := LoadResume(dir, r.InfoHash); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the second LoadResume returned %v, want fs.ErrNotExist", err)
	}
	if err := SaveResume(dir, r); err != nil {
		t.Errorf("SaveResume: %v", err)
	}
}

// TestLoadResumeOfAnother checks that the record of another torrent counts as damaged.
func TestLoadResumeOfAnother(t *testing.T) {
	dir, r := t.TempDir(), sampleRecord(1)
	if err := SaveResume(dir, r); err != nil {
		t.Fatal(err)
	}
	other := spate.InfoHash{7}
	if err := os.Rename(resumePath(dir, r.InfoHash, resumeNew), resumePath(dir, other, resumeNew)); err != nil {
		t.Fatal(err)
	}
	var corrupt *CorruptError
	if _, err := LoadResume(dir, other); !errors.As(err, &corrupt) {
		t.Errorf("LoadResume of another torrent's record returned %v, want a CorruptError", err)
	}
}

func TestListAndRemoveResume(t *testing.T) {
	dir := t.TempDir()
	for i := range 3 {
		r := sampleRecord(i)
		r.InfoHash[0] = byte(i)
		for range 2 {
			if err := SaveResume(dir, r); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.WriteFile(dir+"/other.resume", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	list, err := ListResume(dir)
	if err != nil || len(list) != 3 {
		t.Fatalf("ListResume returned %v, %v, want 3 torrents", list, err)
	}
	for _, ih := range list {
		if err := RemoveResume(dir, ih); err != nil {
			t.Errorf("RemoveResume: %v", err)
		}
	}
	if list, err := ListResume(dir); err != nil || len(list) != 0 {
		t.Errorf("ListResume after removing all records returned %v, %v, want none", list, err)
	}
}

// TestSaveResumeStopsAnywhere checks that a record can be loaded after any step of
// SaveResume.
func TestSaveResumeStopsAnywhere(t *testing.T) {
	older, newer := sampleRecord(10), sampleRecord(10)
	newer.Have.SetAll()
	steps := []func(dir string) error{
		func(string) error { return nil },
		func(d string) error { return os.WriteFile(resumePath(d, older.InfoHash, resumeTemp), nil, 0o600) },
		func(d string) error {
			return os.WriteFile(resumePath(d, older.InfoHash, resumeTemp), newer.encode()[:50], 0o600)
		},
		func(d string) error {
			return os.WriteFile(resumePath(d, older.InfoHash, resumeTemp), newer.encode(), 0o600)
		},
		func(d string) error {
			return os.Rename(resumePath(d, older.InfoHash, resumeNew), resumePath(d, older.InfoHash, resumeOld))
		},
		func(d string) error {
			return os.Rename(resumePath(d, older.InfoHash, resumeTemp), resumePath(d, older.InfoHash, resumeNew))
		},
	}
	for stop := range steps {
		dir := t.TempDir()
		if err := SaveResume(dir, older); err != nil {
			t.Fatal(err)
		}
		for _, step := range steps[:stop+1] {
			if err := step(dir); err != nil {
				t.Fatal(err)
			}
		}
		got, err := LoadResume(dir, older.InfoHash)
		if err != nil {
			t.Fatalf("stopped after step %d: LoadResume: %v", stop, err)
		}
		if last := stop == len(steps)-1; got.Have.All() != last {
			t.Errorf("stopped after step %d: the record has the pieces %v, want all only after the last step", stop, got.Have)
		}
		if err := SaveResume(dir, newer); err != nil {
			t.Errorf("stopped after step %d: the next SaveResume: %v", stop, err)
		}
	}
}

func TestJudge(t *testing.T) {
	was := FileStat{Exists: true, Size: 10, ModTime: 100, Inode: 5, Change: 200}
	with := func(f func(*FileStat)) FileStat { s := was; f(&s); return s }
	for _, c := range []struct {
		name          string
		was, now      FileStat
		clean, crashd Verdict // when the record is clean, and when not
	}{
		{"same", was, was, Unchanged, Unchanged},
		{"absent", FileStat{}, FileStat{}, Unchanged, Unchanged},
		{"gone", was, FileStat{}, Gone, Gone},
		{"written", was, with(func(s *FileStat) { s.ModTime = 101 }), Changed, Written},
		{"created", FileStat{}, was, Changed, Written},
		{"older", was, with(func(s *FileStat) { s.ModTime = 99 }), Changed, Changed},
		{"cut", was, with(func(s *FileStat) { s.ModTime, s.Size = 101, 9 }), Changed, Changed},
		{"replaced", was, with(func(s *FileStat) { s.ModTime, s.Inode = 101, 6 }), Changed, Changed},
		{"another inode", was, with(func(s *FileStat) { s.Inode = 6 }), Touched, Touched},
		{"another change time", was, with(func(s *FileStat) { s.Change = 201 }), Touched, Touched},
		{"an earlier change time", was, with(func(s *FileStat) { s.Change = 199 }), Touched, Touched},
		{"no change time here", was, with(func(s *FileStat) { s.Change = 0 }), Unchanged, Unchanged},
		{"no change time recorded", with(func(s *FileStat) { s.Change = 0 }), was, Unchanged, Unchanged},
		{"no inodes here", was, with(func(s *FileStat) { s.Inode = 0 }), Unchanged, Unchanged},
	} {
		for clean, want := range map[bool]Verdict{true: c.clean, false: c.crashd} {
			r := &Record{Files: []FileStat{c.was}, Clean: clean}
			if got := r.Judge([]FileStat{c.now}); got[0] != want {
				t.Errorf("%s, clean %v: %v, want %v", c.name, clean, got[0], want)
			}
		}
	}
	if got := (&Record{}).Judge([]FileStat{{}}); got[0] != Changed {
		t.Errorf("a file that the record does not know: %v", got[0])
	}
}

func TestReconcile(t *testing.T) {
	// Pieces have a length of 10. File a covers piece 0 and half of piece 1, file b the
	// other half of piece 1 and piece 2, and file c pieces 3 and 4. Piece 2 ends with
	// padding.
	l, err := NewLayout([]File{
		{Path: "t/a", Length: 15}, {Path: "t/b", Offset: 15, Length: 12},
		{Offset: 27, Length: 3, Pad: true}, {Path: "t/c", Offset: 30, Length: 20},
	})
	if err != nil {
		t.Fatal(err)
	}
	st := FileStat{Exists: true, Size: 15, ModTime: 1, Inode: 1}
	written := st
	written.ModTime = 2
	other := st
	other.Inode, other.ModTime = 2, 0
	touched := st
	touched.Inode = 2
	for _, c := range []struct {
		name        string
		now         []FileStat
		clean       bool
		have, check string
	}{
		{"untouched", []FileStat{st, st, {}, st}, true, "11010", "00000"},
		{"written", []FileStat{st, written, {}, written}, false, "11010", "00101"},
		{"changed", []FileStat{st, other, {}, st}, true, "10010", "01100"},
		{"touched", []FileStat{touched, st, {}, touched}, true, "11010", "00001"},
		{"gone", []FileStat{other, {}, {}, st}, true, "00010", "10000"},
		{"everything gone", []FileStat{{}, {}, {}, {}}, false, "00000", "00000"},
	} {
		r := &Record{Have: bitfield.New(5), Files: []FileStat{st, st, {}, st}, Clean: c.clean}
		for _, i := range []int{0, 1, 3} {
			r.Have.Set(i)
		}
		have, check := r.Reconcile(l, 10, c.now)
		if bits(have) != c.have || bits(check) != c.check {
			t.Errorf("%s: have %s check %s, want %s %s", c.name, bits(have), bits(check), c.have, c.check)
		}
	}
}

func bits(f bitfield.Bitfield) string {
	var b strings.Builder
	for i := range f.Len() {
		b.WriteByte("01"[map[bool]int{true: 1}[f.Get(i)]])
	}
	return b.String()
}

// FuzzRecord decodes fields without the checksum, because an attacker who can write the
// file can also compute the checksum.
func FuzzRecord(f *testing.F) {
	for _, n := range []int{0, 8, 100} {
		b := sampleRecord(n).encode()
		f.Add(b[len(recordMagic) : len(b)-sha256.Size])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeFields(b)
		if err != nil {
			return
		}
		again, err := decodeRecord(r.encode())
		if err != nil {
			t.Fatalf("a record that was read cannot be read again: %v", err)
		}
		if !sameRecord(r, again) {
			t.Errorf("the record %+v became %+v when it was encoded again", r, again)
		}
	})
}

func BenchmarkLoadResume(b *testing.B) {
	dir, r := b.TempDir(), sampleRecord(4000)
	if err := SaveResume(dir, r); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := LoadResume(dir, r.InfoHash); err != nil {
			b.Fatal(err)
		}
	}
}
