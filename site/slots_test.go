package site

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"spate/internal/simnet"
)

// visitors is a site with many visitors in a simulated network. With a proxy, all connections
// come from the proxy, which adds a header with the address of the visitor.
type visitors struct {
	t     *testing.T
	site  fixture
	net   *simnet.Network
	proxy bool

	ctx   context.Context
	mu    sync.Mutex
	hosts map[netip.Addr]*simnet.Host // guarded by mu
	wg    sync.WaitGroup
}

var (
	siteAddr  = netip.MustParseAddr("10.255.0.1")
	proxyAddr = netip.MustParseAddr("10.255.0.2")
)

// withVisitors runs f in simulated time with a site that has a file of size bytes. It closes all
// connections at the end.
func withVisitors(t *testing.T, opts Options, proxy bool, size int64, f func(c *visitors)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		if proxy {
			opts.ClientAddr = func(r *http.Request) netip.Addr {
				a, _ := netip.ParseAddr(r.Header.Get("X-Forwarded-For"))
				return a
			}
		}
		ctx, cancel := context.WithCancel(context.Background())
		c := &visitors{
			t: t, site: newFixture(t, opts), net: simnet.New(simnet.Options{Seed: 1, Tick: time.Millisecond, Backlog: 4096}), proxy: proxy,
			ctx: ctx, hosts: map[netip.Addr]*simnet.Host{},
		}
		if size <= 4<<20 {
			random(t, int(size), c.site.dir, "data.bin")
		} else {
			sparse(t, size, c.site.dir, "data.bin")
		}
		sample(t, c.site.catalog, c.site.dir+"/data.bin", nil)
		var listeners []net.Listener
		for _, a := range []netip.Addr{siteAddr, netip.MustParseAddr("fd00::1")} {
			l, err := c.net.Host(a, simnet.Link{Latency: 10 * time.Millisecond}).Listen(ctx, "tcp", net.JoinHostPort(a.String(), "80"))
			if err != nil {
				t.Fatal(err)
			}
			listeners = append(listeners, l)
		}
		srv := &http.Server{Handler: c.site}
		for _, l := range listeners {
			c.wg.Go(func() { srv.Serve(l) })
		}
		defer c.wg.Wait()
		defer srv.Close()
		defer cancel()
		f(c)
	})
}

// visit requests path from an address, and returns the connection and the response.
func (c *visitors) visit(from netip.Addr, path string, header ...string) (net.Conn, *http.Response) {
	c.t.Helper()
	forwarded, at := "", siteAddr
	if c.proxy {
		forwarded, from = "X-Forwarded-For: "+from.String()+"\r\n", proxyAddr
	} else if from.Is6() {
		at = netip.MustParseAddr("fd00::1")
	}
	c.mu.Lock()
	host := c.hosts[from]
	if host == nil {
		host = c.net.Host(from, simnet.Link{Latency: 10 * time.Millisecond})
		c.hosts[from] = host
	}
	c.mu.Unlock()
	conn, err := host.DialContext(c.ctx, "tcp", net.JoinHostPort(at.String(), "80"))
	if err != nil {
		if c.ctx.Err() == nil {
			c.t.Errorf("%v: sending a request: %v", from, err)
		}
		return nil, nil
	}
	context.AfterFunc(c.ctx, func() { conn.Close() })
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: localhost\r\n%s%s\r\n", path, forwarded, strings.Join(append(header, ""), "\r\n"))
	resp, err := http.ReadResponse(bufio.NewReaderSize(conn, 4096), nil)
	if err != nil {
		if c.ctx.Err() == nil {
			c.t.Errorf("%v: the site sent no response: %v", from, err)
		}
		conn.Close()
		return nil, nil
	}
	return conn, resp
}

// holdSlot downloads at a rate in bytes per second; at rate 0 it reads nothing. If again is not
// 0, it starts another download after that time.
func (c *visitors) holdSlot(from netip.Addr, rate int, again time.Duration) {
	c.wg.Go(func() {
		for {
			conn, resp := c.visit(from, "/d/data.bin")
			if conn == nil {
				return
			}
			c.readAtRate(resp.Body, rate)
			if again == 0 {
				<-c.ctx.Done()
				return
			}
			select {
			case <-time.After(again):
			case <-c.ctx.Done():
			}
			conn.Close()
		}
	})
}

// readAtRate reads r to its end at a rate in bytes per second, and returns the number of bytes.
func (c *visitors) readAtRate(r io.Reader, rate int) (n int64) {
	buf := make([]byte, max(1, rate/10))
	for rate > 0 && c.ctx.Err() == nil {
		m, err := r.Read(buf)
		n += int64(m)
		if err != nil {
			break
		}
		time.Sleep(time.Duration(m) * time.Second / time.Duration(rate))
	}
	return n
}

// Functions that return the address of visitor i.
func fewNetworks(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, 1, byte(i % 4), byte(1 + i/4)})
}
func manyNetworks(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, 2 + byte(i/200), byte(i % 200), 1})
}
func manyNetworks6(i int) netip.Addr {
	return netip.AddrFrom16([16]byte{0xfd, 1, 15: 1, 4: byte(i / 200), 5: byte(i % 200)})
}
func oneNetwork6(i int) netip.Addr {
	return netip.AddrFrom16([16]byte{0xfd, 2, 14: byte(i / 200), 15: byte(i % 200)})
}

var honestAddr, honestAddr6 = netip.MustParseAddr("10.100.0.1"), netip.MustParseAddr("fd03::1")

// TestHogs checks the site while many visitors open connections and read nothing or very
// little. A download must start within seconds and get four fifths of the line, and
// requests to the web seed must be answered.
func TestHogs(t *testing.T) {
	const rate = 1 << 20
	for _, c := range []struct {
		name        string
		idleReaders int
		from        func(i int) netip.Addr
		rate        int // of each visitor, in bytes per second
		opts        Options
		proxy       bool
		honest      netip.Addr
		again       time.Duration
	}{
		{"few networks, nothing", 60, fewNetworks, 0, Options{DownloadRate: rate}, false, honestAddr, 0},
		{"few networks, a byte a second", 60, fewNetworks, 1, Options{DownloadRate: rate}, false, honestAddr, 0},
		{"few networks, a kilobyte a second", 60, fewNetworks, 1000, Options{DownloadRate: rate}, false, honestAddr, 0},
		{"many networks, nothing", 60, manyNetworks, 0, Options{DownloadRate: rate}, false, honestAddr, 0},
		{"many networks, a byte a second", 60, manyNetworks, 1, Options{DownloadRate: rate}, false, honestAddr, 0},
		{"many networks, a kilobyte a second", 60, manyNetworks, 1000, Options{DownloadRate: rate}, false, honestAddr, 0},
		{"500 of many networks, nothing", 500, manyNetworks, 0, Options{DownloadRate: rate}, false, honestAddr, 0},
		{"500 of many networks, a kilobyte a second", 500, manyNetworks, 1000, Options{DownloadRate: rate}, false, honestAddr, 0},
		{"500 of few networks, nothing", 500, fewNetworks, 0, Options{DownloadRate: rate}, false, honestAddr, 0},
		{"many IPv6 networks", 60, manyNetworks6, 0, Options{DownloadRate: rate}, false, honestAddr6, 0},
		{"one IPv6 network", 60, oneNetwork6, 0, Options{DownloadRate: rate}, false, honestAddr6, 0},
		{"its own network", 60, func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 100, 0, byte(2 + i)}) }, 0, Options{DownloadRate: rate}, false, honestAddr, 0},
		{"behind a proxy, few networks", 60, fewNetworks, 0, Options{DownloadRate: rate}, true, honestAddr, 0},
		{"behind a proxy, many networks", 60, manyNetworks, 1000, Options{DownloadRate: rate}, true, honestAddr, 0},
		{"few networks, again and again", 60, fewNetworks, 0, Options{DownloadRate: rate}, false, honestAddr, 7 * time.Second},
		{"no limit", 256, manyNetworks, 0, Options{}, false, honestAddr, 0},
		{"no limit, 500 at a kilobyte a second", 500, manyNetworks, 1000, Options{}, false, honestAddr, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			withVisitors(t, c.opts, c.proxy, 32<<20, func(w *visitors) {
				t := w.t
				for i := range c.idleReaders {
					w.holdSlot(c.from(i), c.rate, c.again)
				}
				time.Sleep(time.Second + 6*c.again)
				start := time.Now()
				conn, resp := w.visit(c.honest, "/d/data.bin")
				if conn == nil || resp.StatusCode != http.StatusOK {
					t.Fatalf("after %v the visitor got %+v, want the file", time.Since(start), resp)
				}
				if took := time.Since(start); took > 10*time.Second {
					t.Errorf("the first byte came after %v, want at most 10s", took)
				}
				const measured = 20
				time.AfterFunc(measured*time.Second, func() { conn.SetReadDeadline(time.Unix(1, 0)) })
				n, _ := io.Copy(io.Discard, resp.Body)
				if want := min(int64(measured*rate*8/10), resp.ContentLength); n < want {
					t.Errorf("the visitor got %d bytes in %d s, want at least %d", n, measured, want)
				}
				conn.Close()
				for i := range 20 {
					at := fmt.Sprintf("Range: bytes=%d-%d\r\nConnection: close", i<<18, (i+1)<<18-1)
					start := time.Now()
					conn, resp := w.visit(c.honest, "/d/data.bin", at)
					if conn == nil || resp.StatusCode != http.StatusPartialContent {
						t.Fatalf("the web seed sent %+v, want a part of the file", resp)
					}
					if n, err := io.Copy(io.Discard, resp.Body); n != 1<<18 || time.Since(start) > 5*time.Second {
						t.Errorf("request %d to the web seed gave %d bytes in %v, %v, want 256 KiB in at most 5s", i, n, time.Since(start), err)
					}
					conn.Close()
				}
			})
		})
	}
}

// TestSlowReadersAreNotEnded checks that slow readers keep their slots to the end while
// other visitors come.
func TestSlowReadersAreNotEnded(t *testing.T) {
	t.Parallel()
	withVisitors(t, Options{DownloadRate: 1 << 20}, false, 6<<20, func(w *visitors) { // 16 slots
		var phones sync.WaitGroup
		for i := range 12 {
			phones.Go(func() {
				_, resp := w.visit(netip.AddrFrom4([4]byte{10, 150, byte(i / 3), byte(1 + i%3)}), "/d/data.bin")
				if n := w.readAtRate(resp.Body, 50_000); n != 6<<20 {
					t.Errorf("a slow reader got %d bytes, want %d", n, 6<<20)
				}
			})
		}
		time.Sleep(time.Second)
		for i := range 200 {
			w.holdSlot(manyNetworks(i), 1000*(i%2), 0)
			time.Sleep(200 * time.Millisecond)
		}
		for i := range 20 { // number of other visitors that come and go
			if conn, resp := w.visit(honestAddr, "/d/data.bin", "Range: bytes=0-99999"); conn == nil || resp.StatusCode != http.StatusPartialContent {
				t.Errorf("visitor %d got %+v, want a part of the file", i, resp)
			} else {
				io.Copy(io.Discard, resp.Body)
				conn.Close()
			}
		}
		phones.Wait()
	})
}

// TestOfficeBehindOneAddress checks that 200 visitors behind one address can download at
// the same time as others.
func TestOfficeBehindOneAddress(t *testing.T) {
	t.Parallel()
	for _, proxy := range []bool{false, true} {
		withVisitors(t, Options{}, proxy, 1<<20, func(w *visitors) {
			t := w.t
			var all sync.WaitGroup
			get := func(from netip.Addr) {
				all.Go(func() {
					conn, resp := w.visit(from, "/d/data.bin")
					if n := w.readAtRate(resp.Body, 50_000); n != 1<<20 || resp.StatusCode != http.StatusOK {
						t.Errorf("the visitor at %v got %s and %d bytes, want the whole file", from, resp.Status, n)
					}
					conn.Close()
				})
			}
			for i := range 10 {
				get(manyNetworks(i))
			}
			for range 200 {
				get(honestAddr)
			}
			all.Wait()
		})
	}
}

// TestEndedDownloadGoesOn checks that a download that loses its slot breaks off and can be
// resumed, and that a visitor who gets no slot receives Retry-After.
func TestEndedDownloadGoesOn(t *testing.T) {
	t.Parallel()
	withVisitors(t, Options{DownloadRate: 4 * perDownload}, false, 2<<20, func(w *visitors) { // 4 slots
		slow := manyNetworks(0)
		_, first := w.visit(slow, "/d/data.bin")
		time.Sleep(time.Minute)
		for i := range 4 {
			w.holdSlot(manyNetworks(1+i), 30_000, 0)
		}
		time.Sleep(time.Second)
		_, refused := w.visit(manyNetworks(9), "/d/data.bin")
		if refused.StatusCode != http.StatusServiceUnavailable || refused.Header.Get("Retry-After") == "" {
			t.Errorf("a visitor without a slot got %+v, want 503 and Retry-After", refused)
		}
		got, err := io.ReadAll(first.Body)
		if err == nil || len(got) == 2<<20 {
			t.Fatalf("the slow download was not ended: %d bytes, %v", len(got), err)
		}
		downloads, _ := w.site.Pools()
		if downloads.Slots != 4 || downloads.Held != 4 || downloads.Evicted != 1 || downloads.Refused != 1 {
			t.Errorf("%+v", downloads)
		}
		time.Sleep(3 * time.Minute) // the other downloads have ended
		_, rest := w.visit(slow, "/d/data.bin", fmt.Sprintf("Range: bytes=%d-\r\nIf-Range: %s", len(got), first.Header.Get("ETag")))
		more, err := io.ReadAll(rest.Body)
		_, data := random(t, 2<<20, w.site.dir, "again")
		if rest.StatusCode != http.StatusPartialContent || string(got)+string(more) != string(data) {
			t.Errorf("resuming the download gave %s; the parts of %d and %d bytes are not the file: %v", rest.Status, len(got), len(more), err)
		}
	})
}

// TestLivePlacesAreShared checks that a new visitor gets a slot for live numbers when all
// are in use. It takes the slot from the network with the most slots, after the turn of its
// holder.
func TestLivePlacesAreShared(t *testing.T) {
	t.Parallel()
	withVisitors(t, Options{MaxLive: 20}, false, 1000, func(w *visitors) {
		t := w.t
		ended := make([]bool, 21)
		watch := func(i int, from netip.Addr) {
			_, resp := w.visit(from, "/r/data.bin/live")
			if resp.StatusCode != http.StatusOK {
				t.Errorf("visitor %d got %s, want 200", i, resp.Status)
			}
			w.wg.Go(func() {
				io.Copy(io.Discard, resp.Body)
				ended[i] = w.ctx.Err() == nil
			})
		}
		watch(0, honestAddr)
		for i := range 16 {
			watch(1+i, fewNetworks(4*i))
		}
		for i := range 3 {
			watch(17+i, manyNetworks(i))
		}
		if _, resp := w.visit(manyNetworks(7), "/r/data.bin/live"); resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
			t.Errorf("a visitor without a slot got %s, want 503", resp.Status)
		}
		time.Sleep(liveTurn)
		watch(20, manyNetworks(7))
		time.Sleep(time.Second)
		synctest.Wait()
		for i, e := range ended {
			if e != (i == 1) {
				t.Errorf("visitor %d lost the slot: %v, want only visitor 1 to lose it", i, e)
			}
		}
	})
}
