package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
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

// TestDoctorAsksAgainForSeeds checks that doctor asks a tracker that knows no seed a second time, and says
// what the tracker knows then.
func TestDoctorAsksAgainForSeeds(t *testing.T) {
	t.Parallel()
	for late, want := range map[int]string{1: "it knows 1 seed now", 0: "one that has just started may need a moment"} {
		var asked atomic.Int32
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			seeds := 0
			if r.URL.Query().Get("event") == "started" && asked.Add(1) > 1 {
				seeds = late
			}
			fmt.Fprintf(w, "d8:completei%de8:intervali1800e5:peers6:\x7f\x00\x00\x01\x1a\xe1e", seeds)
		}))
		defer s.Close()
		var opt doctorOptions
		opt.bind.Addr = netip.MustParseAddr("127.0.0.1")
		var out strings.Builder
		p := newCheckup(t.Context(), newApp(Env{Stdin: strings.NewReader(""), Stdout: &out, Stderr: io.Discard, Now: time.Now}), &opt)
		defer p.close()
		p.opt.timeout = 0 // at once
		p.trackers(t.Context(), source.Swarms{Hashes: []spate.InfoHash{{1}}, Trackers: []string{s.URL + "/announce"}}, false)
		late := p.late
		p.awaitSeeds(t.Context())
		if !strings.Contains(out.String(), "and knows 0 seeds") || !strings.Contains(out.String(), want) || late == nil || p.todo > 0 {
			t.Errorf("doctor prints %q, want %q", out.String(), want)
		}
		p.awaitSeeds(t.Context()) // has no effect
		if asked.Load() != 2 {
			t.Errorf("the tracker was asked %d times, want 2", asked.Load())
		}
		p.late = late
		if peers := p.askLate(t.Context()); len(peers) == 0 {
			t.Error("the peers of the tracker are not used")
		}
	}
}
