package catalogdb

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"spate/maker"
	"spate/metainfo"
	"spate/publish"
	"spate/publish/publishtest"
)

var now = time.Date(2026, time.November, 24, 12, 0, 0, 0, time.UTC)

func open(t *testing.T, dir string) (*DB, []error) {
	t.Helper()
	d, warnings, err := Open(context.Background(), dir, now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d, warnings
}

func fresh(t *testing.T) (*DB, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "a ?#%20 folder")
	d, warnings := open(t, dir)
	if len(warnings) > 0 {
		t.Fatalf("opening a new catalog gave warnings: %v", warnings)
	}
	return d, dir
}

func TestCatalog(t *testing.T) {
	publishtest.TestCatalog(t, func(t *testing.T) publish.Catalog { d, _ := fresh(t); return d })
}

const baseURL = "http://a.example/\xff"

// real returns a release that a publisher made from a file, with its torrents.
func real(t *testing.T, name string, twin bool) (*publish.Release, publish.Torrents) {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte("data of "+name), 0o644); err != nil {
		t.Fatal(err)
	}
	m, err := maker.Make(t.Context(), path, maker.Options{Format: metainfo.Hybrid})
	if err != nil {
		t.Fatal(err)
	}
	r, tor, err := publish.Describe(m, path, twin)
	if err != nil {
		t.Fatal(err)
	}
	r.Published, r.Notes, r.Group, r.Version, r.Variant = now.Add(-time.Hour), "*\x00\xff*", "g", "7", "x"
	r.Path += "\xff\n"
	r.Watched, r.Stamp, r.Base = r.Path, "stamp", baseURL
	r.Files[0].ModTime, r.Files[0].Inode, r.Files[0].Change = now.Add(-123456789), 1<<63+9, -5
	r.Skipped = 3
	return r, tor
}

func fill(t *testing.T, d *DB) (all []*publish.Release) {
	t.Helper()
	for i, name := range []string{"one.iso", "two '.iso"} {
		r, tor := real(t, name, i == 0)
		if i == 1 {
			r.Files[0].Path = "not in the torrent\xff" // as if another program had stored the file
		}
		if err := d.Put(t.Context(), r, tor); err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	if err := d.SetSums(t.Context(), all[0].Ref(), all[0].Hash(), [][32]byte{{1, 2}}); err != nil {
		t.Fatal(err)
	}
	sig := publish.Signatures{PublicKey: "k", Sums: "s", Torrent: "t", V2Hashes: "v"}
	first, paused, wanted := time.Minute, true, firstWanted
	if err := d.Update(t.Context(), all[0].Ref(), publish.Change{Signatures: &sig, Wanted: &wanted, FirstCopy: &first, Paused: &paused}); err != nil {
		t.Fatal(err)
	}
	if err := d.Count(t.Context(), all[0].Hash(), now, publish.Counts{Completed: 3, HTTPBytes: 1 << 50}); err != nil {
		t.Fatal(err)
	}
	return all
}

// firstWanted is the time of [publish.Release.Wanted] in the catalogs of fill.
var firstWanted = time.Unix(0, 77).UTC()

// dump returns the complete content of a catalog as text.
func dump(t *testing.T, d *DB) string {
	t.Helper()
	var b strings.Builder
	list, _, err := d.List(t.Context(), publish.Query{All: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, short := range list {
		r, err := d.Get(t.Context(), short.Ref())
		if err != nil {
			t.Fatal(err)
		}
		tor, err := d.Torrents(t.Context(), short.Ref())
		if err != nil {
			t.Fatal(err)
		}
		for i := range r.Files {
			r.Files[i].ModTime = r.Files[i].ModTime.UTC()
		}
		fmt.Fprintf(&b, "%+v\n%q\n", r, tor)
	}
	h, err := d.History(t.Context(), [20]byte{}, time.Time{})
	fmt.Fprintf(&b, "%+v %v\n", h, err)
	return b.String()
}

func TestReopen(t *testing.T) {
	d, dir := fresh(t)
	fill(t, d)
	want := dump(t, d)
	d.Close()
	d, warnings := open(t, dir)
	if got := dump(t, d); got != want || len(warnings) > 0 {
		t.Errorf("the catalog after reopening, with warnings %v:\n%s\nwant\n%s", warnings, got, want)
	}
}

// TestDamaged checks that a damaged database is renamed and reported, and is rebuilt from
// the records and the readable counters.
func TestDamaged(t *testing.T) {
	for what, damage := range map[string]func(path string) error{
		"not a database": func(p string) error { return os.WriteFile(p, bytes.Repeat([]byte("garbage\n"), 2000), 0o600) },
		"cut short":      func(p string) error { return os.Truncate(p, 5000) },
		"pages of zeros": func(p string) error {
			b, err := os.ReadFile(p)
			clear(b[4096 : 3*4096])
			return errors.Join(err, os.WriteFile(p, b, 0o600))
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			d, dir := fresh(t)
			fill(t, d)
			want, _, _ := strings.Cut(dump(t, d), "{Total:")
			d.Close()
			if err := damage(filepath.Join(dir, dbFile)); err != nil {
				t.Fatal(err)
			}
			d, warnings := open(t, dir)
			got, _, _ := strings.Cut(dump(t, d), "{Total:")
			if got != want {
				t.Errorf("the rebuilt catalog:\n%s\nwant\n%s", got, want)
			}
			aside, _ := filepath.Glob(filepath.Join(dir, "corrupt-*"))
			if len(warnings) != 1 || len(aside) == 0 || !strings.Contains(warnings[0].Error(), filepath.Base(aside[0])) {
				t.Errorf("the damaged database was renamed to %q with the warnings %v, want one warning with the new name", aside, warnings)
			}
			d.Close()
			_, warnings = open(t, dir)
			if len(warnings) > 0 {
				t.Errorf("opening the rebuilt catalog gave warnings: %v", warnings)
			}
		})
	}
	t.Run("gone", func(t *testing.T) {
		d, dir := fresh(t)
		fill(t, d)
		want, _, _ := strings.Cut(dump(t, d), "{Total:")
		d.Close()
		for _, f := range []string{dbFile, dbFile + "-wal", dbFile + "-shm"} {
			os.Remove(filepath.Join(dir, f))
		}
		d, warnings := open(t, dir)
		if got, _, _ := strings.Cut(dump(t, d), "{Total:"); got != want || len(warnings) > 0 {
			t.Errorf("the catalog without its database, with warnings %v:\n%s\nwant\n%s", warnings, got, want)
		}
	})
}

// TestDamagedCounters checks that damage in the table of releases does not lose the
// history.
func TestDamagedCounters(t *testing.T) {
	d, dir := fresh(t)
	all := fill(t, d)
	if _, err := d.sql.Exec("DROP TABLE notes; DROP TABLE files"); err != nil {
		t.Fatal(err)
	}
	// The table of releases cannot be read.
	if _, err := d.sql.Exec("UPDATE releases SET announce = 'no JSON'"); err != nil {
		t.Fatal(err)
	}
	d.Close()
	d, warnings := open(t, dir)
	h, err := d.History(t.Context(), all[0].Hash(), time.Time{})
	if err != nil || h.Total.Completed != 3 || h.Total.HTTPBytes != 1<<50 || len(warnings) != 1 {
		t.Errorf("the history is %+v, %v, want 3 downloads and 1<<50 bytes; the warnings are %v, want one", h, err, warnings)
	}
}

// TestBadRecord checks that a damaged record loses only one release.
func TestBadRecord(t *testing.T) {
	d, dir := fresh(t)
	all := fill(t, d)
	d.Close()
	os.Remove(filepath.Join(dir, dbFile))
	path := filepath.Join(dir, recordDir, all[0].Hash().String()+".json")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	os.WriteFile(path, b, 0o600)
	d, warnings := open(t, dir)
	list, _, _ := d.List(t.Context(), publish.Query{All: true})
	if len(list) != 1 || list[0].Ref() != all[1].Ref() || len(warnings) != 1 {
		t.Errorf("%d releases remain with the warnings %v, want only the second release and one warning", len(list), warnings)
	}
}

// TestLeftovers checks that Open repairs the state after a crash between two steps: it removes
// records without a release, and writes missing records.
func TestLeftovers(t *testing.T) {
	d, dir := fresh(t)
	all := fill(t, d)
	d.Close()
	records := filepath.Join(dir, recordDir)
	stray := filepath.Join(records, strings.Repeat("ab", 20))
	for _, ext := range []string{".json", ".torrent", ".json.new"} {
		os.WriteFile(stray+ext, nil, 0o600)
	}
	missing := filepath.Join(records, all[0].Hash().String()+".json")
	os.Remove(missing)
	if _, warnings := open(t, dir); len(warnings) > 0 {
		t.Errorf("repairing leftovers gave warnings: %v", warnings)
	}
	if left, _ := filepath.Glob(stray + "*"); len(left) > 0 {
		t.Errorf("records without a release were left: %q", left)
	}
	if _, err := os.Stat(missing); err != nil {
		t.Errorf("a missing record was not written: %v", err)
	}
}

func TestBackup(t *testing.T) {
	d, dir := fresh(t)
	fill(t, d)
	copyDir := t.TempDir()
	path := filepath.Join(copyDir, dbFile)
	if err := d.Backup(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the backup has the mode %v, %v, want 0600", info.Mode(), err)
	}
	if err := d.Backup(t.Context(), path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Backup over an existing file returned %v, want fs.ErrExist", err)
	}
	if err := d.Backup(t.Context(), filepath.Join(dir, "none", "x")); err == nil {
		t.Error("Backup into a missing directory succeeded")
	}
	want := dump(t, d)
	restored, warnings := open(t, copyDir)
	if got := dump(t, restored); got != want || len(warnings) > 0 {
		t.Errorf("the catalog from the backup, with warnings %v:\n%s\nwant\n%s", warnings, got, want)
	}
}

// TestOlderSchema checks that a catalog with any older schema keeps its content, and that it
// can be changed.
func TestOlderSchema(t *testing.T) {
	t.Parallel()
	const (
		undo8 = "ALTER TABLE history DROP COLUMN archives"
		undo7 = undo8 + "; DROP TABLE addresses"
		undo6 = undo7 + "; ALTER TABLE releases DROP COLUMN wanted"
		undo5 = undo6 + "; ALTER TABLE torrents DROP COLUMN v2_hashes; ALTER TABLE releases DROP COLUMN has_v2_hashes; ALTER TABLE releases DROP COLUMN sig_v2_hashes"
		undo4 = undo5 + "; ALTER TABLE files DROP COLUMN ctime"
		undo3 = undo4 + "; ALTER TABLE releases DROP COLUMN skipped"
	)
	for older, c := range map[int]struct{ undo, lost string }{
		7: {undo8, ""},
		6: {undo7, ""},
		5: {undo6, ""},
		4: {undo5, "V2Hashes:v"},
		3: {undo4, "V2Hashes:v Change:-5"},
		2: {undo3, "V2Hashes:v Change:-5 Skipped:3"},
		1: {undo3 + "; ALTER TABLE releases DROP COLUMN base", "V2Hashes:v Change:-5 Skipped:3 Base:" + baseURL},
	} {
		d, dir := fresh(t)
		fill(t, d)
		want := strings.ReplaceAll(dump(t, d), "Wanted:"+firstWanted.String(), "Wanted:"+time.Time{}.String())
		for _, field := range strings.Fields(c.lost) {
			name, value, _ := strings.Cut(field, ":")
			zero := name + ":"
			if _, err := strconv.Atoi(value); err == nil {
				zero += "0"
			}
			if !strings.Contains(want, field) {
				t.Fatalf("the catalog has no %s", field)
			}
			want = strings.ReplaceAll(want, field, zero)
		}
		if older >= 6 {
			want = dump(t, d)
		}
		if _, err := d.sql.Exec(fmt.Sprint(c.undo, "; PRAGMA user_version = ", older)); err != nil {
			t.Fatal(err)
		}
		d.Close()
		d, warnings := open(t, dir)
		if got := dump(t, d); got != want || len(warnings) > 0 {
			t.Errorf("the catalog with schema %d, with warnings %v:\n%s\nwant\n%s", older, warnings, got, want)
		}
		list, _, _ := d.List(t.Context(), publish.Query{All: true})
		for _, r := range list {
			full, err := d.Get(t.Context(), r.Ref())
			if err != nil {
				t.Fatal(err)
			}
			now := &publish.Location{Path: full.Path, Files: slices.Clone(full.Files)}
			now.Files[0].Change = 6
			if err := d.Update(t.Context(), r.Ref(), publish.Change{Location: now}); err != nil {
				t.Fatal(err)
			}
			if full, err = d.Get(t.Context(), r.Ref()); err != nil || full.Files[0].Change != 6 {
				t.Errorf("after the update of schema %d the change time is %d, %v, want 6", older, full.Files[0].Change, err)
			}
		}
	}
}

func TestNewerSchema(t *testing.T) {
	d, dir := fresh(t)
	fill(t, d)
	d.sql.Exec("PRAGMA user_version = 99")
	d.Close()
	var newer *NewerError
	if _, _, err := Open(t.Context(), dir, now); !errors.As(err, &newer) || newer.Have != 99 {
		t.Errorf("Open of a newer catalog returned %v, want a NewerError", err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "corrupt-*")); len(left) > 0 {
		t.Error("a newer catalog was renamed like a damaged one")
	}
}

// TestKilled counts downloads in another process and kills the process. The catalog must
// then contain all counts that the process has reported, and at most one more.
func TestKilled(t *testing.T) {
	if dir := os.Getenv("SPATE_TEST_COUNT_IN"); dir != "" {
		d, _, err := Open(context.Background(), dir, now)
		if err != nil {
			t.Fatal(err)
		}
		for n := 1; ; n++ {
			if err := d.Count(context.Background(), [20]byte{1}, now, publish.Counts{Completed: 1}); err != nil {
				t.Fatal(err)
			}
			fmt.Println("counted", n)
		}
	}
	_, dir := fresh(t)
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilled$")
	cmd.Env = append(os.Environ(), "SPATE_TEST_COUNT_IN="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	last := 0
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if n, ok := strings.CutPrefix(lines.Text(), "counted "); ok {
			last, _ = strconv.Atoi(n)
		}
		if last == 20 {
			cmd.Process.Kill()
		}
	}
	cmd.Wait()
	d, warnings := open(t, dir)
	h, err := d.History(t.Context(), [20]byte{1}, now)
	if err != nil || last < 20 || h.Total.Completed < int64(last) || h.Total.Completed > int64(last)+1 || len(warnings) > 0 {
		t.Errorf("the process reported %d counts, but the history is %+v, %v; warnings %v", last, h, err, warnings)
	}
}

// TestRecordsOfV2Hashes checks that the v2 hashes that a torrent leaves out survive the loss of the
// database, that damaged ones are set aside and cost nothing else, and that Delete removes them.
func TestRecordsOfV2Hashes(t *testing.T) {
	for name, damaged := range map[string]bool{"whole": false, "damaged": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "a.iso")
			if err := os.WriteFile(path, []byte("data"), 0o644); err != nil {
				t.Fatal(err)
			}
			m, err := maker.Make(t.Context(), path, maker.Options{Collections: slices.Repeat([]string{strings.Repeat("c", 8000)}, 1300)})
			if err != nil {
				t.Fatal(err)
			}
			r, tor, err := publish.Describe(m, path, false)
			if err != nil || len(tor.V2Hashes) != 64 {
				t.Fatalf("the torrent leaves out %d bytes of v2 hashes (%v), want 64", len(tor.V2Hashes), err)
			}
			d, dir := fresh(t)
			if err := d.Put(t.Context(), r, tor); err != nil {
				t.Fatal(err)
			}
			record := d.recordPath(r, ".v2")
			d.Close()
			if err := os.Remove(filepath.Join(dir, dbFile)); err != nil {
				t.Fatal(err)
			}
			want := 0
			if damaged {
				want = 1
				if err := os.Truncate(record, 60); err != nil {
					t.Fatal(err)
				}
			}
			for _, when := range []string{"restored", "reopened"} {
				d, warnings := open(t, dir)
				got, err := d.Torrents(t.Context(), r.Ref())
				if err != nil || len(warnings) != want || !bytes.Equal(got.Main, tor.Main) || bytes.Equal(got.V2Hashes, tor.V2Hashes) == damaged {
					t.Errorf("%s: the torrents have %d and %d bytes, %v, with the warnings %v", when, len(got.Main), len(got.V2Hashes), err, warnings)
				}
				if now, err := d.Get(t.Context(), r.Ref()); err != nil || now.HasV2Hashes == damaged {
					t.Errorf("%s: the release has v2 hashes: %t, %v", when, now.HasV2Hashes, err)
				}
				if _, err := os.Stat(record); (err != nil) != damaged {
					t.Errorf("%s: the record of the v2 hashes: %v", when, err)
				}
				want = 0
				if when == "reopened" {
					if err := d.Delete(t.Context(), r.Ref()); err != nil {
						t.Fatal(err)
					}
				}
				d.Close()
			}
			if left, _ := filepath.Glob(d.recordPath(r, ".*")); len(left) > 0 && !damaged {
				t.Errorf("Delete left %q", left)
			}
		})
	}
}
