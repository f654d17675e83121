package storage

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// bigLayout is a torrent with unwanted files of many gigabytes between small wanted ones.
func bigLayout(t testing.TB) *Layout {
	l, err := NewLayout([]File{
		{Path: "t/a", Length: 1000},
		{Path: "t/big", Offset: 1000, Length: 5 << 30},
		{Path: "t/b", Offset: 1000 + 5<<30, Length: 3000},
		{Path: "t/huge", Offset: 4000 + 5<<30, Length: 1 << 50},
		{Path: "t/c", Offset: 4000 + 5<<30 + 1<<50, Length: 1000},
		{Path: "t/tiny", Offset: 5000 + 5<<30 + 1<<50, Length: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

var bigUnwanted = []bool{false, true, false, true, false, true}

func openBig(t testing.TB, dir string) *Dir {
	d, err := OpenLayout(dir, bigLayout(t), NewPool(0), DirOptions{Skip: bigUnwanted})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestPartsFileIsAsLargeAsItsContent checks that data of unwanted files takes little space in
// the parts file wherever it is in the torrent, and is found after a restart.
func TestPartsFileIsAsLargeAsItsContent(t *testing.T) {
	total := bigLayout(t).Len()
	for _, c := range []struct {
		name   string
		ranges [][2]int64 // offset and length
	}{
		{"first bytes", [][2]int64{{1000, 1}}},
		{"last byte", [][2]int64{{total - 1, 1}}},
		{"around a small file", [][2]int64{{1000 + 5<<30 - 500, 500}, {4000 + 5<<30, 300_000}}},
		{"in descending order", [][2]int64{{total - 1, 1}, {1 << 49, 70_000}, {1 << 40, 70_000}, {1 << 33, 70_000}, {5000, 100}}},
		{"overlapping", [][2]int64{{1 << 40, 100_000}, {1<<40 - 50_000, 200_000}, {1<<40 + 7, 5}}},
		{"more than one group", [][2]int64{{1<<40 + 3, 9 << 20}, {1 << 41, 9 << 20}}},
		{"many single bytes", func() (r [][2]int64) {
			for i := range int64(600) {
				r = append(r, [2]int64{1<<40 + i*1_000_003, 1})
			}
			return r
		}()},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			d := openBig(t, dir)
			written := int64(0)
			var all [][]byte
			for i, r := range c.ranges {
				p := bytes.Repeat([]byte{byte(i + 1)}, int(r[1]))
				all = append(all, p)
				if n, err := d.WriteAt(p, r[0]); n != len(p) || err != nil {
					t.Fatalf("WriteAt(%d bytes, %d) returned %d, %v", len(p), r[0], n, err)
				}
				written += r[1] + 2*partsSlot
			}
			for i, r := range c.ranges { // later ranges lie over earlier ones
				for j, o := range c.ranges[i+1:] {
					from, to := max(r[0], o[0]), min(r[0]+r[1], o[0]+o[1])
					for at := from; at < to; at++ {
						all[i][at-r[0]] = all[i+1+j][at-o[0]]
					}
				}
			}
			check := func() {
				t.Helper()
				for i, r := range c.ranges {
					p := make([]byte, r[1])
					if n, err := d.ReadAt(p, r[0]); n != len(p) || err != nil || !bytes.Equal(p, all[i]) {
						t.Errorf("range %d: ReadAt returned %d, %v, or other data", i, n, err)
					}
					if !d.HasData(r[0], r[1]) || d.NextData(r[0]) != r[0] {
						t.Errorf("range %d: no data, next at %d", i, d.NextData(r[0]))
					}
				}
				if d.HasData(1<<45, 1<<30) {
					t.Error("data where none was written")
				}
				p := make([]byte, 10)
				if n, err := d.ReadAt(p, 1<<45); n != 0 || !errors.Is(err, ErrMissing) {
					t.Errorf("where nothing was written, ReadAt returned %d, %v", n, err)
				}
			}
			check()
			if err := errors.Join(d.Sync(), d.Close()); err != nil {
				t.Fatal(err)
			}
			d = openBig(t, dir)
			check()
			fi, err := os.Stat(filepath.Join(dir, ".t.parts"))
			if err != nil || fi.Size() > written+64<<10 {
				t.Errorf("the parts file has %d bytes for %d bytes of data and padding, %v", fi.Size(), written, err)
			}
			if err := d.MoveTo(t.Context(), t.TempDir(), "other"); err != nil {
				t.Fatal(err)
			}
			check()
			d.Close()
		})
	}
}

// TestPartsFileKeepsRandomWrites compares a torrent with unwanted files with the same bytes in
// memory, over restarts and while files become wanted.
func TestPartsFileKeepsRandomWrites(t *testing.T) {
	for seed := range uint64(8) {
		rng := rand.New(rand.NewPCG(seed, 1))
		var files []File
		at := int64(0)
		for i := range 12 {
			n := int64(1) << rng.IntN(19)
			files = append(files, File{Path: "t/" + string(rune('a'+i)), Offset: at, Length: n})
			at += n
		}
		l, err := NewLayout(files)
		if err != nil {
			t.Fatal(err)
		}
		dir, want, written := t.TempDir(), make([]byte, at), make([]bool, at)
		skip := make([]bool, len(files))
		for i := range skip {
			skip[i] = rng.IntN(3) > 0
		}
		open := func() *Dir {
			d, err := OpenLayout(dir, l, NewPool(0), DirOptions{Skip: skip})
			if err != nil {
				t.Fatal(err)
			}
			return d
		}
		d := open()
		for step := range 200 {
			off := rng.Int64N(at)
			n := min(at-off, rng.Int64N(100_000)+1)
			switch rng.IntN(8) {
			case 0:
				if err := errors.Join(d.Sync(), d.Close()); err != nil {
					t.Fatal(err)
				}
				d = open()
			case 1:
				i := rng.IntN(len(files))
				skip[i] = !skip[i]
				if err := d.SetWanted(i, !skip[i]); err != nil {
					t.Fatal(err)
				}
			case 2, 3, 4:
				for i := range n {
					want[off+i], written[off+i] = byte(rng.Uint32()), true
				}
				if _, err := d.WriteAt(want[off:off+n], off); err != nil {
					t.Fatal(err)
				}
			default:
				for n > 0 && !written[off] {
					off, n = off+1, n-1
				}
				end := off
				for end < off+n && written[end] {
					end++
				}
				p := make([]byte, end-off)
				if k, err := d.ReadAt(p, off); k != len(p) || err != nil || !bytes.Equal(p, want[off:end]) {
					t.Fatalf("seed %d, step %d: ReadAt(%d bytes, %d) returned %d, %v, or other data", seed, step, len(p), off, k, err)
				}
				if end > off && !d.HasData(off, end-off) {
					t.Fatalf("seed %d, step %d: no data", seed, step)
				}
			}
		}
		d.Close()
	}
}

// TestPartsFileOfOldVersion checks that the parts file of an old version, whose bytes are at
// their offsets in the torrent, is read and continued.
func TestPartsFileOfOldVersion(t *testing.T) {
	dir := t.TempDir()
	old := make([]byte, 600)
	copy(old[128:], bytes.Repeat([]byte{9}, 400))
	mustWrite(t, filepath.Join(dir, ".t.parts"), string(old))
	d := openSample(t, dir, DirOptions{Skip: []bool{false, false, true}}) // t/d/b, 1000 bytes from 128
	p := make([]byte, 400)
	if n, err := d.ReadAt(p, 128); n != 400 || err != nil || !bytes.Equal(p, old[128:528]) {
		t.Errorf("ReadAt returned %d, %v", n, err)
	}
	if !d.HasData(128, 400) || d.HasData(700, 100) {
		t.Errorf("data from 128: %v, from 700: %v", d.HasData(128, 400), d.HasData(700, 100))
	}
	if _, err := d.WriteAt([]byte{5}, 1000); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(d.Sync(), d.SetWanted(2, true)); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "t/d/b"))
	if err != nil || !bytes.Equal(b[:400], old[128:528]) || b[1000-128] != 5 {
		t.Errorf("the wanted file has other data, %v", err)
	}
}

// TestDamagedPartsFile checks that a parts file that was cut or overwritten at any place causes
// no data to be read from a wrong place of the byte space, and can be written again.
func TestDamagedPartsFile(t *testing.T) {
	write := func(d *Dir) {
		t.Helper()
		for i := range int64(4) {
			if _, err := d.WriteAt(bytes.Repeat([]byte{byte(i + 1)}, 40_000), 1<<40*(i+1)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, damage := range map[string]func(f *os.File) error{
		"empty":              func(f *os.File) error { return f.Truncate(0) },
		"only a header":      func(f *os.File) error { return f.Truncate(partsPage) },
		"a part of an entry": func(f *os.File) error { return f.Truncate(partsPage + 12) },
		"no slot":            func(f *os.File) error { return f.Truncate(2 * partsPage) },
		"a part of a slot":   func(f *os.File) error { return f.Truncate(2*partsPage + 5*partsSlot + 77) },
		"entries lost":       func(f *os.File) error { _, err := f.WriteAt(make([]byte, 24), partsPage+16); return err },
		"wild entries": func(f *os.File) error {
			_, err := f.WriteAt(bytes.Repeat([]byte{0xff}, 32), partsPage+8*12)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			d := openBig(t, dir)
			write(d)
			if err := errors.Join(d.Sync(), d.Close()); err != nil {
				t.Fatal(err)
			}
			f, err := os.OpenFile(filepath.Join(dir, ".t.parts"), os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(damage(f), f.Close()); err != nil {
				t.Fatal(err)
			}
			d = openBig(t, dir)
			defer func() { d.Close() }()
			for i := range int64(4) {
				p := make([]byte, 40_000)
				n, err := d.ReadAt(p, 1<<40*(i+1))
				if err != nil && !errors.Is(err, ErrMissing) || !bytes.Equal(p[:n], bytes.Repeat([]byte{byte(i + 1)}, n)) {
					t.Errorf("ReadAt returned %d, %v, or other data", n, err)
				}
			}
			write(d)
			if err := errors.Join(d.Sync(), d.Close()); err != nil {
				t.Fatal(err)
			}
			d = openBig(t, dir)
			for i := range int64(4) {
				p := make([]byte, 40_000)
				if n, err := d.ReadAt(p, 1<<40*(i+1)); n != len(p) || err != nil || !bytes.Equal(p, bytes.Repeat([]byte{byte(i + 1)}, n)) {
					t.Errorf("after another write, ReadAt returned %d, %v, or other data", n, err)
				}
			}
		})
	}
}
