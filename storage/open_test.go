package storage

import (
	"bytes"
	"testing"

	"spate/metainfo"
)

// TestOpenDir checks the layout of a torrent: paths below its name, and padding.
func TestOpenDir(t *testing.T) {
	info := &metainfo.Info{
		Name: "n", PieceLength: 16 << 10,
		Files: []metainfo.File{
			{Path: []string{"a"}, Length: 10},
			{Path: []string{".pad", "1"}, Length: 16<<10 - 10, Offset: 10, Attr: metainfo.AttrPad},
			{Path: []string{"d", "b"}, Length: 5, Offset: 16 << 10, Attr: metainfo.AttrExecutable},
			{Path: []string{"l"}, Offset: 16<<10 + 5, Attr: metainfo.AttrSymlink, Symlink: &metainfo.Symlink{Target: []string{"d", "b"}}},
			{Path: []string{"bad"}, Offset: 16<<10 + 5, Attr: metainfo.AttrSymlink},
		},
	}
	dir := t.TempDir()
	d, err := OpenDir(dir, info, NewPool(0), DirOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if d.Layout().Len() != info.TotalLength() {
		t.Errorf("length %d, want %d", d.Layout().Len(), info.TotalLength())
	}
	fill(t, d)
	if err := d.Prepare(); err != nil {
		t.Errorf("Prepare: %v", err)
	}
	if err := d.Finish(); err != nil {
		t.Errorf("Finish: %v", err)
	}
	if got := tree(t, dir); got != "n n/a n/d n/d/b n/l" {
		t.Errorf("there are the entries %s, want the files and the link", got)
	}
}

func TestOpenDirSingle(t *testing.T) {
	info := &metainfo.Info{Name: "file.iso", PieceLength: 16 << 10, Files: []metainfo.File{{Length: 100_000}}}
	dir := t.TempDir()
	d, err := OpenDir(dir, info, NewPool(0), DirOptions{Name: "mine.iso"})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	want := fill(t, d)
	got := make([]byte, len(want))
	if _, err := d.ReadAt(got, 0); err != nil || !bytes.Equal(got, want) {
		t.Errorf("ReadAt returned other data than was written, or %v", err)
	}
	if got := tree(t, dir); got != "mine.iso" {
		t.Errorf("there are the entries %s, want only mine.iso", got)
	}
}

func BenchmarkReadAt(b *testing.B) {
	for name, size := range map[string]int{"16KiB": 16 << 10, "512KiB": 512 << 10} {
		b.Run(name, func(b *testing.B) {
			const length = 8 << 20
			d := openFiles(b, b.TempDir(), []File{{Path: "f", Length: length}}, DirOptions{})
			fill(b, d)
			p := make([]byte, size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			off := int64(0)
			for b.Loop() {
				if _, err := d.ReadAt(p, off); err != nil {
					b.Fatal(err)
				}
				off = (off + int64(size)) % length
			}
		})
	}
	b.Run("os.File 16KiB", func(b *testing.B) {
		const length = 8 << 20
		d := openFiles(b, b.TempDir(), []File{{Path: "f", Length: length}}, DirOptions{})
		fill(b, d)
		h, err := d.acquire(0, false)
		if err != nil {
			b.Fatal(err)
		}
		defer h.release()
		p := make([]byte, 16<<10)
		b.SetBytes(16 << 10)
		off := int64(0)
		for b.Loop() {
			if _, err := h.file.ReadAt(p, off); err != nil {
				b.Fatal(err)
			}
			off = (off + 16<<10) % length
		}
	})
}

// BenchmarkEvict measures a read that has to open its file.
func BenchmarkEvict(b *testing.B) {
	files := make([]File, 100)
	for i := range files {
		files[i] = File{Path: "t/d/" + string(rune('0'+i)), Offset: int64(i), Length: 1}
	}
	files[0].Path = "t/zero"
	l, err := NewLayout(files)
	if err != nil {
		b.Skip(err)
	}
	d, err := OpenLayout(b.TempDir(), l, NewPool(8), DirOptions{})
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	fill(b, d)
	p := make([]byte, 1)
	b.ReportAllocs()
	off := int64(0)
	for b.Loop() {
		if _, err := d.ReadAt(p, off); err != nil {
			b.Fatal(err)
		}
		off = (off + 1) % int64(len(files))
	}
}
