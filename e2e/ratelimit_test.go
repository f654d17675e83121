package e2e

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"
)

// TestLimits checks that the flags limit the upload of a seed and the download of a get, with
// other clients and a web server at the other end. It has only an upper bound, because a busy
// machine can be slower than the limit. The tests of limits in package torrent measure
// the rate in simulated time, and allow 2 % above and below the limit.
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
				began := time.Now()
				p, kind := start(l, torrent, fmt.Sprint(rate))
				var n int64
				eventually(t, "most of the file is transferred", func() bool {
					if e := p.last(kind); kind == "stats" {
						n = e.Uploaded
					} else {
						n = e.Downloaded
					}
					return n > 12*rate
				})
				// A busy machine may be slower than the limit, and the test sees events late.
				took := time.Since(began).Seconds()
				t.Logf("%d bytes in %.2f s, %.2f %% of the limit", n, took, 100*float64(n)/took/float64(rate))
				if most := (1.02*took + 0.1) * float64(rate); float64(n) > most {
					t.Errorf("%d bytes in %.2f s, want at most %.0f", n, took, most)
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
