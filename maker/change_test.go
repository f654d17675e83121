package maker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"spate/internal/filestat"
	"spate/metainfo"

	"go.uber.org/goleak"
)

// TestChangingFile checks that every change of a file between the scan and the end of
// hashing is detected.
func TestChangingFile(t *testing.T) {
	t.Parallel()
	for what, change := range map[string]func(t *testing.T, path string){
		"resized": func(t *testing.T, path string) {
			f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			must(t, err)
			defer f.Close()
			_, err = f.WriteString("more")
			must(t, err)
		},
		"truncated": func(t *testing.T, path string) { must(t, os.Truncate(path, 5)) },
		"modified": func(t *testing.T, path string) {
			poke(t, path, 10)
			must(t, os.Chtimes(path, time.Time{}, time.Now().Add(time.Second))) // some systems have a coarse clock
		},
		"changed": func(t *testing.T, path string) {
			fi, err := os.Stat(path)
			must(t, err)
			if filestat.ChangeTime(fi) == 0 {
				t.Skip("the system has no change time")
			}
			for now := fi; filestat.ChangeTime(now) == filestat.ChangeTime(fi); { // some systems have a coarse clock
				poke(t, path, 10)
				must(t, os.Chtimes(path, time.Time{}, fi.ModTime()))
				now, err = os.Stat(path)
				must(t, err)
			}
		},
		"replaced": func(t *testing.T, path string) {
			b, err := os.ReadFile(path)
			must(t, err)
			must(t, os.WriteFile(path+".new", b, 0o644))
			must(t, os.Rename(path+".new", path))
		},
		"removed": func(t *testing.T, path string) { must(t, os.Remove(path)) },
		"replaced by a link": func(t *testing.T, path string) {
			must(t, os.Rename(path, path+".old"))
			must(t, os.Symlink(filepath.Base(path)+".old", path))
		},
	} {
		for _, size := range []int{1000, sequentialSize + 1} {
			for _, when := range []string{"before", "after"} {
				t.Run(fmt.Sprintf("%s/%d/%s", what, size, when), func(t *testing.T) {
					dir := t.TempDir()
					write(t, dir, map[string][]byte{"t/a": random(1, 100), "t/b": random(2, size), "t/c": random(3, 100)})
					o := Options{}
					must(t, o.check())
					how, err := o.style()
					must(t, err)
					tr, err := scan(context.Background(), filepath.Join(dir, "t"), scanOptions{})
					must(t, err)
					b, err := newBuild(tr, &o, how)
					must(t, err)
					if when == "before" {
						change(t, filepath.Join(dir, "t", "b"))
					} else {
						b.afterHash = func() { change(t, filepath.Join(dir, "t", "b")) }
					}
					err = b.hash(context.Background(), tr)
					var c *ChangedError
					if !errors.As(err, &c) || filepath.Base(c.Path) != "b" {
						t.Errorf("Make returned %v, want a ChangedError for b", err)
					}
				})
			}
		}
	}
}

func TestCancel(t *testing.T) {
	const big = 8 << 30
	defer goleak.VerifyNone(t)
	dir := t.TempDir()
	files := map[string][]byte{"t/big": nil, "small/f": []byte("small")}
	for k := range 1000 {
		files[fmt.Sprintf("t/%d/%d", k%10, k)] = []byte("small")
	}
	write(t, dir, files)
	must(t, os.Truncate(filepath.Join(dir, "t", "big"), big)) // sparse; never read to its end
	cause := errors.New("stop")
	for _, o := range []Options{
		{Format: metainfo.V1, PieceLength: 16 << 20}, {Format: metainfo.V2}, {PieceLength: 16 << 20}, {PieceLength: 512 << 20},
	} {
		for _, after := range []int{0, 1} { // number of calls of Progress
			ctx, cancel := context.WithCancelCause(context.Background())
			n, done := 0, int64(0)
			o.Progress = func(p Progress) {
				n++
				if n == after {
					cancel(cause)
				}
				done = p.Done
			}
			if after == 0 {
				cancel(cause)
			}
			_, err := Make(ctx, filepath.Join(dir, "t"), o)
			if done >= big {
				t.Errorf("%s with pieces of %d: Make stopped after %d bytes", o.Format, o.PieceLength, done)
			}
			if !errors.Is(err, cause) {
				t.Errorf("Make returned %v, want %v", err, cause)
			}
			cancel(nil)
		}
	}
	m := mustMake(t, filepath.Join(dir, "small"), Options{})
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(cause)
	if _, err := Verify(ctx, m, filepath.Join(dir, "small"), VerifyOptions{}); !errors.Is(err, cause) {
		t.Errorf("Verify returned %v, want %v", err, cause)
	}
}

func TestProgress(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string][]byte{"t/a": make([]byte, 10<<20), "t/b": make([]byte, 1000)})
	for _, f := range formats {
		var all []Progress
		m := mustMake(t, filepath.Join(dir, "t"), Options{Format: f, Progress: func(p Progress) { all = append(all, p) }})
		last := all[len(all)-1]
		if last.Done != last.Total || last.Total != 10<<20+1000 || last.Rate <= 0 || last.Left != 0 {
			t.Errorf("%s: the last progress is %+v, want all 10 MiB + 1000 bytes and no time left", f, last)
		}
		all = nil
		_, err := Verify(context.Background(), m, filepath.Join(dir, "t"), VerifyOptions{Progress: func(p Progress) { all = append(all, p) }})
		must(t, err)
		if last := all[len(all)-1]; last.Done != last.Total {
			t.Errorf("Verify of %s: the last progress is %+v, want all bytes done", f, last)
		}
	}
}

// TestRate checks that the rate and the remaining time depend on the last few seconds.
func TestRate(t *testing.T) {
	begin := time.Unix(0, 0)
	r := newReporter(nil, nil, 1000, begin)
	p := r.next(begin.Add(time.Second), 100)
	if p.Rate != 100 || p.Left != 9*time.Second {
		t.Errorf("the progress is %+v, want a rate of 100 and 9s left", p)
	}
	for k := range 20 {
		p = r.next(begin.Add(time.Duration(k+2)*time.Second), 100+int64(k+1)*10)
	}
	if p.Rate < 9 || p.Rate > 11 || p.Left < 60*time.Second {
		t.Errorf("the progress is %+v, want a rate of about 10 and at least 60s left", p)
	}
	if p := newReporter(nil, nil, 1000, begin).next(begin.Add(time.Second), 0); p.Left >= 0 {
		t.Errorf("the progress without a rate is %+v, want a negative time left", p)
	}
}

// TestMemory checks that the memory of a run does not grow with the data, the piece
// length or the number of cores.
func TestMemory(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "sparse")
	write(t, dir, map[string][]byte{"sparse": nil})
	must(t, os.Truncate(path, 128<<20))
	for _, length := range []int64{1 << 20, 64 << 20} {
		for _, workers := range []int{2, 64} {
			runtime.GC()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			mustMake(t, path, Options{PieceLength: length, Workers: workers})
			runtime.ReadMemStats(&after)
			if n := after.TotalAlloc - before.TotalAlloc; n > 48<<20 {
				t.Errorf("%d workers, pieces of %d: %d MiB were allocated, want at most 48", workers, length, n>>20)
			}
		}
	}
}
