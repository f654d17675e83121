package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// TestNginxAsWebSeed downloads a directory and a file with nginx as the only source: with
// its default settings, through a redirect, while it refuses most requests, and without
// support for ranges, which must give a clear error.
func TestNginxAsWebSeed(t *testing.T) {
	t.Parallel()
	need(t, "nginx")
	for name, c := range map[string]struct {
		more string
		fail bool
	}{
		"as it comes":     {},
		"redirected":      {more: `rewrite ^/((?!there).*)$ /there/$1 redirect; location /there/ { rewrite ^/there/(.*)$ /$1 break; }`},
		"busy":            {more: `limit_conn few 1; limit_conn_status 503; limit_rate 4m;`},
		"without ranges":  {more: `max_ranges 0;`},
		"not there":       {more: `location / { return 404; }`, fail: true},
		"redirects round": {more: `rewrite ^/(.*)$ /x$1 redirect;`, fail: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLAN(t, 2)
			data := t.TempDir()
			noise(t, filepath.Join(data, "file.bin"), 5<<20+1)
			smallTree(t, filepath.Join(data, "tree"))
			url := nginx(l.Hosts[1], data, c.more)
			for _, what := range []string{"file.bin", "tree"} {
				torrent := filepath.Join(t.TempDir(), what+".torrent")
				l.Hosts[1].run("create", filepath.Join(data, what), "-o", torrent, "-a", "http://127.0.0.1:9/announce", "--web-seed", url)
				dir := t.TempDir()
				if c.fail {
					l.Hosts[0].spate("get", torrent, "-o", dir, "--timeout", "8s").fails(5, what)
					continue
				}
				l.Hosts[0].run("get", torrent, "-o", dir)
				if !sameData(filepath.Join(data, what), filepath.Join(dir, what)) {
					t.Errorf("the downloaded data of %s differs", what)
				}
			}
		})
	}
}

// TestOriginLeavesHTTPToTheSwarm downloads a release whose torrent names the origin as a web
// seed. Clients without peers get all data over HTTP. Clients that exchange data with the origin
// and each other get little over HTTP, although they ask for it at once.
func TestOriginLeavesHTTPToTheSwarm(t *testing.T) {
	need(t, "libtorrent", "aria2c", "transmission-cli")
	clients := []func(h *host, torrent, dir string) *proc{
		func(h *host, torrent, dir string) *proc { return libtorrent(h, "get", torrent, dir) },
		func(h *host, torrent, dir string) *proc {
			return h.start("aria2c", append(aria2Flags, "--seed-time=600", "--dir", dir, torrent)...)
		},
		func(h *host, torrent, dir string) *proc { return transmission(h, torrent, dir) },
	}
	const size = 16 << 20
	for _, alone := range []bool{true, false} {
		t.Run(map[bool]string{true: "alone", false: "together"}[alone], func(t *testing.T) {
			t.Parallel()
			l := newLAN(t, 4)
			file := noise(t, filepath.Join(t.TempDir(), "web.bin"), size)
			_, r := l.Hosts[0].serve("publish", file, "--web-seed", "self", "--up", "4M")
			torrent := l.Hosts[1].download(r.TorrentURL)
			if alone {
				l.Hosts[1].run("edit", torrent, "--remove-announce", "all")
			}
			var dirs []string
			for i, start := range clients {
				dirs = append(dirs, t.TempDir())
				start(l.Hosts[1+i], torrent, dirs[i])
			}
			for _, dir := range dirs {
				eventually(t, "each client has the file", func() bool { return sameData(file, filepath.Join(dir, "web.bin")) })
			}
			var info struct {
				HTTP int64 `json:"http_bytes"`
			}
			text, err := os.ReadFile(l.Hosts[1].download(r.PageURL + "/release.json"))
			if err == nil {
				err = json.Unmarshal(text, &info)
			}
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d bytes over HTTP, %.2f times the file", info.HTTP, float64(info.HTTP)/size)
			if alone && info.HTTP < int64(len(clients))*size*9/10 {
				t.Errorf("clients without peers got %d bytes over HTTP, want %d times the file", info.HTTP, len(clients))
			}
			if !alone && info.HTTP > size {
				t.Errorf("the origin sent %d bytes over HTTP, want at most the size of the file, %d", info.HTTP, size)
			}
		})
	}
}
