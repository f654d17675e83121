package storage

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"spate"
)

func sampleNotes() []Note {
	return []Note{
		{InfoHash: spate.InfoHash{1}, Stamp: 7, Uploaded: 1 << 40, Downloaded: 3, Added: time.Unix(1700000000, 0)},
		{InfoHash: spate.InfoHash{0xff}, Stamp: 1<<64 - 1, Added: time.Unix(0, 0)},
	}
}

func TestLedger(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if notes, err := LoadLedger(dir); err != nil || len(notes) > 0 {
		t.Fatalf("LoadLedger without a ledger returned %v, %v, want no notes", notes, err)
	}
	for _, want := range [][]Note{sampleNotes(), nil, sampleNotes()[:1]} {
		if err := SaveLedger(dir, want); err != nil {
			t.Fatal(err)
		}
		if got, err := LoadLedger(dir); err != nil || !slices.Equal(got, want) {
			t.Errorf("got %v, %v, want %v", got, err, want)
		}
	}
}

// TestLedgerDamaged checks that a damaged ledger is renamed and can be written again.
func TestLedgerDamaged(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func([]byte) []byte{
		"a bit":  func(b []byte) []byte { b[len(ledgerMagic)+3] ^= 1; return b },
		"cut":    func(b []byte) []byte { return b[:len(b)-1] },
		"empty":  func(b []byte) []byte { return nil },
		"format": func(b []byte) []byte { b[0]++; return b },
		"a note": func(b []byte) []byte { return slices.Delete(b, 20, 20+noteSize) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, ledgerName)
			if err := SaveLedger(dir, sampleNotes()); err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, damage(b), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err = LoadLedger(dir)
			var corrupt *CorruptError
			if !errors.As(err, &corrupt) || corrupt.Path != path {
				t.Fatalf("LoadLedger returned %v, want a CorruptError", err)
			}
			if _, err := os.Stat(corrupt.Aside); err != nil {
				t.Errorf("the damaged ledger was not kept: %v", err)
			}
			if notes, err := LoadLedger(dir); err != nil || len(notes) > 0 {
				t.Errorf("the second LoadLedger returned %v, %v, want no notes", notes, err)
			}
		})
	}
}

func FuzzLedger(f *testing.F) {
	dir := f.TempDir()
	if err := SaveLedger(dir, sampleNotes()); err != nil {
		f.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, ledgerName))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(ledgerMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		notes, err := decodeLedger(b)
		if err == nil && len(notes)*noteSize > len(b) {
			t.Errorf("LoadLedger decoded %d notes from only %d bytes", len(notes), len(b))
		}
	})
}

// TestStamp checks that a stamp changes with each field of each file.
func TestStamp(t *testing.T) {
	t.Parallel()
	a := FileStat{Exists: true, Size: 1, ModTime: 2, Inode: 3}
	seen := map[uint64]int{Stamp(nil): 0}
	for i, files := range [][]FileStat{
		{a}, {a, a}, {{}}, {a, {}}, {{}, a},
		{{Exists: true, Size: 2, ModTime: 2, Inode: 3}}, {{Exists: true, Size: 1, ModTime: 3, Inode: 3}},
		{{Exists: true, Size: 1, ModTime: 2, Inode: 4}}, {{Exists: true, Size: 1, ModTime: 2, Inode: 3, Change: 1}}, {{Size: 1, ModTime: 2, Inode: 3}},
	} {
		s := Stamp(files)
		if j, twice := seen[s]; twice || s == 0 {
			t.Errorf("the files of case %d have the same stamp as those of case %d, or the stamp 0", i+1, j)
		}
		seen[s] = i + 1
		moved := slices.Clone(files)
		moved[0].Inode, moved[0].Change = moved[0].Inode+1, 9
		if !StampTouched(s, Stamp(moved)) || StampTouched(s, s) || StampTouched(s, Stamp(append(moved, a))) {
			t.Errorf("StampTouched is wrong about case %d", i+1)
		}
	}
}
