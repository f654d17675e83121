package cli

import (
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
	p := newCheckup(a, &opt)
	defer p.close()
	p.port = daemon
	p.trackers(t.Context(), source.Swarms{Hashes: []spate.InfoHash{{1}}, Trackers: []string{s.URL + "/announce"}})
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
