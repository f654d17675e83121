package maker

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"spate/metainfo"
)

// BenchmarkMake makes and verifies torrents of large and small files in each format. The
// data is in the page cache, and large files are sparse, so that the benchmark mostly
// measures the hashing.
func BenchmarkMake(b *testing.B) {
	dir := b.TempDir()
	large := filepath.Join(dir, "large")
	write(b, dir, map[string][]byte{"large": nil})
	must(b, os.Truncate(large, 64<<20))
	small := map[string][]byte{}
	for k := range 1000 {
		small[fmt.Sprintf("small/%d/%d", k/100, k)] = random(uint64(k), 60_000+k)
	}
	write(b, dir, small)
	for _, c := range []struct {
		name   string
		format metainfo.Format
		length int64
	}{
		{"large", metainfo.V1, 1 << 20}, {"large", metainfo.V1, 16 << 20}, {"large", metainfo.V2, 1 << 20}, {"large", metainfo.Hybrid, 1 << 20},
		{"small", metainfo.V1, 256 << 10}, {"small", metainfo.V2, 256 << 10}, {"small", metainfo.Hybrid, 256 << 10},
	} {
		path, o := filepath.Join(dir, c.name), Options{Format: c.format, PieceLength: c.length}
		m := mustMake(b, path, o)
		b.Run(fmt.Sprintf("%s/%s/%dKiB/make", c.name, c.format, c.length>>10), func(b *testing.B) {
			b.SetBytes(m.Info.DataLength())
			b.ReportAllocs()
			for b.Loop() {
				mustMake(b, path, o)
			}
		})
		b.Run(fmt.Sprintf("%s/%s/%dKiB/verify", c.name, c.format, c.length>>10), func(b *testing.B) {
			b.SetBytes(m.Info.DataLength())
			b.ReportAllocs()
			for b.Loop() {
				if r, err := Verify(context.Background(), m, path, VerifyOptions{}); err != nil || !r.Whole() {
					b.Fatal(r, err)
				}
			}
		})
	}
}

func BenchmarkScan(b *testing.B) {
	dir := b.TempDir()
	files := map[string][]byte{}
	for k := range 5000 {
		files[fmt.Sprintf("t/%d/file-%d", k/100, k)] = nil
	}
	files["t/x"] = []byte("x")
	write(b, dir, files)
	b.ReportAllocs()
	for b.Loop() {
		if t, err := scan(context.Background(), filepath.Join(dir, "t"), scanOptions{}); err != nil || len(t.entries) != 5001 {
			b.Fatal(err)
		}
	}
}
