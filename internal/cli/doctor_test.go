package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"spate"
	"spate/internal/source"
)

// TestDoctorInterrupted checks that doctor prints no finding of a check that Ctrl-C interrupts.
func TestDoctorInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { cancel() }))
	defer s.Close()
	var opt doctorOptions
	opt.bind.Addr = netip.MustParseAddr("127.0.0.1")
	var out strings.Builder
	p := newCheckup(ctx, newApp(Env{Stdin: strings.NewReader(""), Stdout: &out, Stderr: io.Discard, Now: time.Now}), &opt)
	defer p.close()
	p.trackers(ctx, source.Swarms{Hashes: []spate.InfoHash{{1}}, Trackers: []string{s.URL + "/announce"}}, false)
	if out.Len() > 0 || p.todo > 0 {
		t.Errorf("doctor prints %q, %d to do", out.String(), p.todo)
	}
}

// TestDoctorPort checks that doctor announces another port than that of the daemon: a tracker that
// knows peers by their address and port would replace the daemon by doctor, and then remove it.
func TestDoctorPort(t *testing.T) {
	t.Parallel()
	ports := make(chan string, 8)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if q := r.URL.Query(); q.Has("event") {
			ports <- q.Get("port")
		}
		fmt.Fprint(w, "d8:intervali1800e5:peers0:e")
	}))
	defer s.Close()
	var opt doctorOptions
	opt.bind.Addr = netip.MustParseAddr("127.0.0.1")
	a := newApp(Env{Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: io.Discard, Now: time.Now})
	const daemon = 7001
	p := newCheckup(t.Context(), a, &opt)
	defer p.close()
	p.port = daemon
	p.trackers(t.Context(), source.Swarms{Hashes: []spate.InfoHash{{1}}, Trackers: []string{s.URL + "/announce"}}, false)
	close(ports)
	n := 0
	for port := range ports {
		n++
		if port == fmt.Sprint(daemon) {
			t.Errorf("doctor announces the port %s of the daemon", port)
		}
	}
	if n == 0 {
		t.Error("doctor announces nothing")
	}
}
