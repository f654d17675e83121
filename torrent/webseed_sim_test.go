package torrent_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"spate"
	"spate/internal/simnet"
	"spate/metainfo"
	"spate/storage"
	"spate/torrent"
)

// web is a simulated network with web servers and sessions, for use in a synctest bubble.
type web struct {
	t       *testing.T
	net     *simnet.Network
	ctx     context.Context
	stop    context.CancelFunc
	wg      sync.WaitGroup
	tracker *memTracker
	hosts   int
}

func newWeb(t *testing.T) *web {
	w := &web{t: t, net: simnet.New(simnet.Options{Seed: 3}), tracker: newMemTracker()}
	w.ctx, w.stop = context.WithCancel(context.Background())
	return w
}

// end stops the servers and sessions. It must be called before the function of the bubble
// returns.
func (w *web) end() {
	w.stop()
	w.wg.Wait()
}

func (w *web) host(link simnet.Link) *simnet.Host {
	w.hosts++
	link.Latency = 5 * time.Millisecond
	return w.net.Host(netip.AddrFrom4([4]byte{10, 0, 0, byte(w.hosts)}), link)
}

// server is a web server that counts requests and sent bytes.
type server struct {
	url      string
	requests atomic.Int64
	sent     atomic.Int64
}

// serve runs a web server on a host of its own.
func (w *web) serve(link simnet.Link, h http.Handler) *server {
	host := w.host(link)
	l, err := host.Listen(w.ctx, "tcp", ":80")
	if err != nil {
		w.t.Fatal(err)
	}
	s := &server{url: "http://" + host.Addr().String() + "/"}
	srv := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		h.ServeHTTP(&counting{rw, &s.sent}, r)
	})}
	w.wg.Go(func() { srv.Serve(l) })
	context.AfterFunc(w.ctx, func() { srv.Close() })
	return s
}

type counting struct {
	http.ResponseWriter
	sent *atomic.Int64
}

func (c *counting) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.sent.Add(int64(n))
	return n, err
}

func (c *counting) Flush() { c.ResponseWriter.(http.Flusher).Flush() }

// bytesHandler serves data at every path.
func bytesHandler(data []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
	})
}

// session runs a session on a host of its own.
func (w *web) session(link simnet.Link, opt torrent.Options) *torrent.Session {
	host := w.host(link)
	opt.Network, opt.Announcer, opt.Bind, opt.PeerPort = host, w.tracker.announcerAt(host.Addr()), host.Addr(), 6881
	opt.Seed = uint64(w.hosts)
	opt.PeerID = spate.PeerID([]byte(fmt.Sprintf("-Sp0100-%012d", w.hosts)))
	s, err := torrent.NewSession(opt)
	if err != nil {
		w.t.Fatal(err)
	}
	w.wg.Go(func() { s.Run(w.ctx) })
	return s
}

func (w *web) add(s *torrent.Session, mi *metainfo.MetaInfo, opt torrent.AddOptions) *torrent.Torrent {
	t, err := s.Add(mi, opt)
	if err != nil {
		w.t.Fatal(err)
	}
	return t
}

// wait waits at most d for the torrent to complete, and returns how long it took.
func (w *web) wait(t *torrent.Torrent, d time.Duration) time.Duration {
	w.t.Helper()
	begin := time.Now()
	ctx, cancel := context.WithTimeout(w.ctx, d)
	defer cancel()
	if err := t.Wait(ctx); err != nil {
		w.t.Fatalf("%v: %+v", err, t.Stats())
	}
	return time.Since(begin)
}

// holds checks that s contains data.
func (w *web) holds(s storage.Storage, data []byte) {
	w.t.Helper()
	got := make([]byte, len(data))
	if _, err := s.ReadAt(got, 0); err != nil || !bytes.Equal(got, data) {
		w.t.Errorf("other data arrived (%v)", err)
	}
}

// with returns a copy of the metainfo with other web seeds.
func with(mi *metainfo.MetaInfo, urls ...string) *metainfo.MetaInfo {
	c := *mi
	c.WebSeeds = urls
	return &c
}
