package site

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestHogsOverSockets checks over real connections, with the buffers of the system, that
// clients that read nothing lose their slots. The clients in the network with the most
// slots lose them first.
func TestHogsOverSockets(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{MaxDownloads: 8, Wait: time.Minute, loopbackCounts: true, grace: 200 * time.Millisecond})
	f.release(t, "data.bin", 64<<20)
	// The program limits the unsent data of a socket in the same way.
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, 64<<10) })
		return err
	}}
	lc.SetMultipathTCP(false)
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: f}
	go srv.Serve(l)
	defer srv.Close()
	get := func(from string) (*http.Response, error) {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		c := http.Client{Transport: &http.Transport{DialContext: d.DialContext, DisableKeepAlives: true}}
		return c.Get("http://" + l.Addr().String() + "/d/data.bin")
	}
	for i := range 6 {
		resp, err := get(fmt.Sprintf("127.1.0.%d", 1+i))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
	}
	single, err := get("127.2.0.1") // this client does not read yet either
	if err != nil {
		t.Fatal(err)
	}
	defer single.Body.Close()
	honest := make([]*http.Response, 4) // the first of these clients gets a free slot
	for i := range honest {
		if honest[i], err = get(fmt.Sprintf("127.%d.0.1", 3+i)); err != nil {
			t.Fatal(err)
		}
		defer honest[i].Body.Close()
	}
	if downloads, _ := f.Pools(); downloads.Evicted != 3 || downloads.Held != 8 {
		t.Errorf("%+v", downloads)
	}
	for i, resp := range append(honest, single) { // single keeps its slot because no other client is in its network
		if n, err := io.Copy(io.Discard, resp.Body); n != 64<<20 {
			t.Errorf("download %d, which keeps its slot, got %s and %d bytes, %v, want 64 MiB", i, resp.Status, n, err)
		}
	}
}
