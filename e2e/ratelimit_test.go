package e2e

import (
	"fmt"
	"math"
	"path/filepath"
	"testing"
	"time"
)

// TestLimits limits the upload of a seed and the download of a get, with other clients and a
// web server at the other end. The measured rate may differ by 2 %.
func TestLimits(t *testing.T) {
	need(t, "libtorrent", "aria2c", "nginx")
	for _, rate := range []int64{200_000, 2_000_000, 10_000_000} {
		for what, start := range map[string]func(l *lan, torrent, limit string) (*proc, string){
			// Two clients download from a seed.
			"up": func(l *lan, torrent, limit string) (*proc, string) {
				p, _ := l.Hosts[0].serve("seed", torrent, "--up", limit)
				libtorrent(l.Hosts[1], "get", torrent, l.t.TempDir())
				l.Hosts[2].start("aria2c", append(aria2Flags, "--dir", l.t.TempDir(), torrent)...)
				return p, "stats"
			},
			// A get downloads from two clients.
			"down": func(l *lan, torrent, limit string) (*proc, string) {
				libtorrent(l.Hosts[1], "seed", torrent, filepath.Dir(torrent))
				l.Hosts[2].start("aria2c", append(aria2Flags, "--check-integrity=true", "--seed-ratio=0", "--dir", filepath.Dir(torrent), torrent)...)
				return l.Hosts[0].spate("get", torrent, "-o", l.t.TempDir(), "--json", "--down", limit), "progress"
			},
			"down from a web seed": func(l *lan, torrent, limit string) (*proc, string) {
				url := nginx(l.Hosts[1], filepath.Dir(torrent), "")
				l.Hosts[1].run("edit", torrent, "--web-seed", url)
				return l.Hosts[0].spate("get", torrent, "-o", l.t.TempDir(), "--json", "--down", limit), "progress"
			},
		} {
			t.Run(fmt.Sprint(what, " ", rate), func(t *testing.T) {
				t.Parallel()
				l := newLAN(t, 4)
				torrent := noise(t, filepath.Join(t.TempDir(), "limit.bin"), 15*rate) + ".torrent"
				_, tr := l.Hosts[3].serve("tracker")
				l.Hosts[3].run("create", torrent[:len(torrent)-8], "-o", torrent, "-a", tr.AnnounceURLs[0], "--format", "v1", "--piece-length", "64KiB")
				p, kind := start(l, torrent, fmt.Sprint(rate))
				moved := func() int64 {
					if e := p.last(kind); kind == "stats" {
						return e.Uploaded
					} else {
						return e.Downloaded
					}
				}
				next := func(than int64) (time.Time, int64) {
					var n int64
					eventually(t, "more bytes are transferred", func() bool { n = moved(); return n > than })
					return time.Now(), n
				}
				_, n := next(rate / 2) // both peers transfer data
				from, n := next(n)
				to, m := next(n + 6*rate - rate/2)
				got := float64(m-n) / to.Sub(from).Seconds()
				t.Logf("%.0f bytes a second, %.2f %% off", got, 100*(got/float64(rate)-1))
				if math.Abs(got/float64(rate)-1) > 0.02+0.1/to.Sub(from).Seconds() { // the test sees events late
					t.Errorf("the rate is %.0f bytes per second, want %d", got, rate)
				}
			})
		}
	}
}

// nginx starts nginx for a directory, with more lines in its server block, and returns its
// URL.
func nginx(h *host, root, more string) string {
	h.t.Helper()
	need(h.t, "nginx")
	dir := h.t.TempDir()
	conf := fmt.Sprintf(`daemon off; pid %[1]s/pid; error_log stderr; worker_processes 1; user root;
events { worker_connections 64; }
http {
  access_log %[1]s/access.log; limit_conn_zone $server_name zone=few:1m;
  client_body_temp_path %[1]s/a; proxy_temp_path %[1]s/b; fastcgi_temp_path %[1]s/c; uwsgi_temp_path %[1]s/d; scgi_temp_path %[1]s/e;
  server { listen %[2]s:8080; root %[3]s; %[4]s }
}
`, dir, h.IP, root, more)
	writeFile(h.t, filepath.Join(dir, "nginx.conf"), []byte(conf))
	p := h.start("nginx", "-p", dir, "-c", filepath.Join(dir, "nginx.conf"), "-e", "stderr")
	url := fmt.Sprintf("http://%s:8080/", h.IP)
	eventually(h.t, "nginx answers", func() bool {
		if p.ended() {
			h.t.Fatalf("nginx ended: %s", p.log)
		}
		return h.start("curl", "-s", "-o", "/dev/null", url).wait() == 0
	})
	return url
}
