package e2e

import (
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
