package maker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"testing"
	"testing/iotest"
)

// TestMakeReader checks that a stream gives the same torrent as a file.
func TestMakeReader(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, n := range []int{1, 16 << 10, 100_000, 1 << 20, 3<<20 + 17, 4 << 20} {
		data := random(uint64(n), n)
		write(t, dir, map[string][]byte{"f": data})
		for _, f := range formats {
			for _, length := range []int64{0, 16 << 10, 1 << 20, 2 << 20} {
				t.Run(fmt.Sprintf("%d/%s/%d", n, f, length), func(t *testing.T) {
					o := Options{Format: f, PieceLength: length, Name: "f", NoDate: true}
					want := mustMake(t, filepath.Join(dir, "f"), o)
					m, err := MakeReader(context.Background(), iotest.HalfReader(bytes.NewReader(data)), int64(n), o)
					must(t, err)
					if m.Hash() != want.Hash() {
						t.Errorf("of known size: %v, want %v", m.Hash(), want.Hash())
					}
					if o.PieceLength == 0 {
						o.PieceLength = streamPieceLength
						want = mustMake(t, filepath.Join(dir, "f"), o)
						o.PieceLength = 0
					}
					m, err = MakeReader(context.Background(), bytes.NewReader(data), -1, o)
					must(t, err)
					if m.Hash() != want.Hash() || m.MissingLayers() > 0 {
						t.Errorf("of unknown size: %v, want %v", m.Hash(), want.Hash())
					}
				})
			}
		}
	}
}

func TestMakeReaderRejects(t *testing.T) {
	ctx := context.Background()
	stopped, cancel := context.WithCancel(ctx)
	cancel()
	for what, c := range map[string]struct {
		ctx  context.Context
		r    io.Reader
		size int64
		o    Options
		want any
	}{
		"empty":     {ctx, bytes.NewReader(nil), -1, Options{Name: "f"}, ErrEmpty},
		"short":     {ctx, bytes.NewReader([]byte("abc")), 4, Options{Name: "f"}, new(*ChangedError)},
		"long":      {ctx, bytes.NewReader([]byte("abcde")), 4, Options{Name: "f"}, new(*ChangedError)},
		"no name":   {ctx, bytes.NewReader([]byte("abc")), -1, Options{}, new(*NameError)},
		"broken":    {ctx, iotest.ErrReader(io.ErrNoProgress), -1, Options{Name: "f"}, io.ErrNoProgress},
		"cancelled": {stopped, bytes.NewReader([]byte("abc")), -1, Options{Name: "f"}, context.Canceled},
	} {
		_, err := MakeReader(c.ctx, c.r, c.size, c.o)
		if e, ok := c.want.(error); ok && !errors.Is(err, e) || !ok && !errors.As(err, c.want) {
			t.Errorf("%s: MakeReader returned %v, want %v", what, err, c.want)
		}
	}
}
