package torrent_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"spate/internal/simnet"
	"spate/metainfo"
	"spate/storage"
	"spate/torrent"
)

// onlyPeer adds a torrent to a session without other peers.
func (w *web) onlyPeer(mi *metainfo.MetaInfo, opt torrent.AddOptions) *torrent.Torrent {
	return w.add(w.session(simnet.Link{}, torrent.Options{}), mi, opt)
}

// TestReaderDataComesFirst checks that a reader gets the beginning of a file, and then its
// end, long before a download in another order would have the data.
func TestReaderDataComesFirst(t *testing.T) {
	const size = 32<<20 + 777
	data, mi := makeTorrent(t, size, 256<<10)
	synctest.Test(t, func(t *testing.T) {
		w := newWeb(t)
		defer w.end()
		for _, up := range []int64{8 * mbit, 8 * mbit, 20 << 10} {
			w.add(w.session(simnet.Link{Up: up}, torrent.Options{}), mi, torrent.AddOptions{Storage: storage.NewMemoryOf(data), Verified: true})
		}
		time.Sleep(time.Second)
		tor := w.onlyPeer(mi, torrent.AddOptions{Storage: storage.NewMemoryLike(data)})
		r, err := tor.NewReader(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		begin := time.Now()
		buf := make([]byte, 1<<20)
		if _, err := io.ReadFull(r, buf); err != nil || !bytes.Equal(buf, data[:len(buf)]) {
			t.Fatal(err)
		}
		t.Logf("1 MiB after %v", time.Since(begin))
		if d := time.Since(begin); d > 5*time.Second {
			t.Errorf("1 MiB after %v", d)
		}
		begin = time.Now()
		if n, err := r.Seek(-1<<20, io.SeekEnd); err != nil || n != size-1<<20 {
			t.Fatal(n, err)
		}
		if _, err := io.ReadFull(r, buf); err != nil || !bytes.Equal(buf, data[size-1<<20:]) {
			t.Fatal(err)
		}
		t.Logf("the last MiB after another %v, %d %% done", time.Since(begin), 100*tor.Stats().BytesDone/size)
		if d := time.Since(begin); d > 6*time.Second {
			t.Errorf("the last MiB after %v", d)
		}
		if n, err := r.Read(buf); n != 0 || err != io.EOF {
			t.Errorf("at the end: %d, %v", n, err)
		}
		r.Seek(0, io.SeekStart)
		if all, err := io.ReadAll(r); err != nil || !bytes.Equal(all, data) {
			t.Errorf("read %d bytes, %v", len(all), err)
		}
	})
}

// TestWaitingReadFails checks the errors of a read that waits for data that cannot arrive
// any more.
func TestWaitingReadFails(t *testing.T) {
	data, mi := makeTorrent(t, 1<<20, 64<<10)
	buf := make([]byte, 10)
	for name, c := range map[string]struct {
		do   func(w *web, s *torrent.Session, tor *torrent.Torrent, r *torrent.Reader, cancel context.CancelCauseFunc, store *fullDisk)
		want error
	}{
		"context": {func(_ *web, _ *torrent.Session, _ *torrent.Torrent, _ *torrent.Reader, cancel context.CancelCauseFunc, _ *fullDisk) {
			cancel(io.ErrNoProgress)
		}, io.ErrNoProgress},
		"removed": {func(_ *web, s *torrent.Session, tor *torrent.Torrent, _ *torrent.Reader, _ context.CancelCauseFunc, _ *fullDisk) {
			s.Remove(tor.InfoHash())
		}, torrent.ErrClosed},
		"closed": {func(_ *web, s *torrent.Session, _ *torrent.Torrent, _ *torrent.Reader, _ context.CancelCauseFunc, _ *fullDisk) {
			s.Close()
		}, torrent.ErrClosed},
		"not wanted": {func(_ *web, _ *torrent.Session, tor *torrent.Torrent, _ *torrent.Reader, _ context.CancelCauseFunc, _ *fullDisk) {
			tor.SetPriority(torrent.PrioritySkip, 0)
		}, torrent.ErrNotWanted},
		"disk full": {func(w *web, _ *torrent.Session, _ *torrent.Torrent, _ *torrent.Reader, _ context.CancelCauseFunc, store *fullDisk) {
			store.full.Store(true)
			w.add(w.session(simnet.Link{}, torrent.Options{}), mi, torrent.AddOptions{Storage: storage.NewMemoryOf(data), Verified: true})
		}, storage.ErrFull},
		"reader closed": {func(_ *web, _ *torrent.Session, _ *torrent.Torrent, r *torrent.Reader, _ context.CancelCauseFunc, _ *fullDisk) {
			r.Close()
			r.Close()
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWeb(t)
				defer w.end()
				s := w.session(simnet.Link{}, torrent.Options{})
				store := &fullDisk{Storage: storage.NewMemoryLike(data)}
				tor := w.add(s, mi, torrent.AddOptions{Storage: store})
				ctx, cancel := context.WithCancelCause(t.Context())
				r, err := tor.NewReader(ctx, 0)
				if err != nil {
					t.Fatal(err)
				}
				defer r.Close()
				got := make(chan error)
				go func() { _, err := r.Read(buf); got <- err }()
				time.Sleep(10 * time.Second)
				select {
				case err := <-got:
					t.Fatalf("the read did not wait: %v", err)
				default:
				}
				c.do(w, s, tor, r, cancel, store)
				time.Sleep(2 * time.Minute)
				select {
				case err := <-got:
					if err == nil || c.want != nil && !errors.Is(err, c.want) {
						t.Errorf("%v, want %v", err, c.want)
					}
				default:
					t.Error("the read still waits")
					tor.Stats()
					cancel(nil)
					<-got
				}
			})
		})
	}
	for _, file := range []int{-1, 1} {
		synctest.Test(t, func(t *testing.T) {
			w := newWeb(t)
			defer w.end()
			if _, err := w.onlyPeer(mi, torrent.AddOptions{Storage: storage.NewMemoryLike(data)}).NewReader(t.Context(), file); err == nil {
				t.Errorf("there is a reader of file %d", file)
			}
		})
	}
}

// TestAllReadersGetData checks that several readers at different positions all get data.
func TestAllReadersGetData(t *testing.T) {
	const size = 16 << 20
	data, mi := makeTorrent(t, size, 64<<10)
	synctest.Test(t, func(t *testing.T) {
		w := newWeb(t)
		defer w.end()
		w.add(w.session(simnet.Link{Up: 8 * mbit}, torrent.Options{}), mi, torrent.AddOptions{Storage: storage.NewMemoryOf(data), Verified: true})
		time.Sleep(time.Second)
		tor := w.onlyPeer(mi, torrent.AddOptions{Storage: storage.NewMemoryLike(data)})
		begin := time.Now()
		type result struct {
			at   int64
			took time.Duration
			err  error
		}
		results := make(chan result)
		for i := range int64(4) {
			go func() {
				at := i * size / 4
				r, err := tor.NewReader(t.Context(), 0)
				if err == nil {
					defer r.Close()
					r.SetReadahead(512 << 10)
					r.Seek(at, io.SeekStart)
					buf := make([]byte, 512<<10)
					if _, err = io.ReadFull(r, buf); err == nil && !bytes.Equal(buf, data[at:at+int64(len(buf))]) {
						err = errors.New("other data")
					}
				}
				results <- result{at, time.Since(begin), err}
			}()
		}
		for range 4 {
			if r := <-results; r.err != nil || r.took > 8*time.Second {
				t.Errorf("at %d: %v after %v", r.at, r.err, r.took)
			}
		}
	})
}

// TestServeContentFromReader checks that http.ServeContent serves a range from a reader.
func TestServeContentFromReader(t *testing.T) {
	const size = 100_000
	data, mi := makeTorrent(t, size, 16<<10)
	synctest.Test(t, func(t *testing.T) {
		w := newWeb(t)
		defer w.end()
		w.add(w.session(simnet.Link{}, torrent.Options{}), mi, torrent.AddOptions{Storage: storage.NewMemoryOf(data), Verified: true})
		time.Sleep(time.Second)
		r, err := w.onlyPeer(mi, torrent.AddOptions{Storage: storage.NewMemoryLike(data)}).NewReader(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if err := iotest.TestReader(r, data); err != nil {
			t.Error(err)
		}
		rec := httptest.NewRecorder()
		req := httptest.NewRequest("GET", "/", nil)
		req.Header.Set("Range", "bytes=50000-59999")
		http.ServeContent(rec, req, "x.bin", time.Time{}, r)
		if rec.Code != http.StatusPartialContent || !bytes.Equal(rec.Body.Bytes(), data[50000:60000]) {
			t.Errorf("%d, %d bytes", rec.Code, rec.Body.Len())
		}
	})
}

// TestSequentialDownloadsInOrder checks that pieces are downloaded in order, except for
// those that are downloaded at the same time.
func TestSequentialDownloadsInOrder(t *testing.T) {
	data, mi := makeTorrent(t, 8<<20, 32<<10)
	synctest.Test(t, func(t *testing.T) {
		w := newWeb(t)
		defer w.end()
		for range 3 {
			w.add(w.session(simnet.Link{Up: 4 * mbit}, torrent.Options{}), mi, torrent.AddOptions{Storage: storage.NewMemoryOf(data), Verified: true})
		}
		time.Sleep(time.Second)
		tor := w.onlyPeer(mi, torrent.AddOptions{Storage: storage.NewMemoryLike(data), Stopped: true})
		sub := tor.Subscribe(1000)
		tor.SetSequential(true)
		tor.Start()
		w.wait(tor, time.Minute)
		sub.Close()
		n, far := 0, 0
		for e := range sub.Events() {
			if e.Kind == torrent.EventPiece {
				far = max(far, max(e.Piece-n, n-e.Piece))
				n++
			}
		}
		t.Logf("%d pieces, the farthest %d from its place", n, far)
		if n != mi.Info.NumPieces() || far > n/4 {
			t.Errorf("%d pieces, at most %d positions out of order", n, far)
		}
	})
}
