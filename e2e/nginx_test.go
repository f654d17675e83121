package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// nginxWith starts nginx on a host with conf in its http block.
func (h *host) nginxWith(conf string) {
	h.t.Helper()
	dir := h.t.TempDir()
	os.Chmod(dir, 0o755)
	path := filepath.Join(dir, "nginx.conf")
	all := fmt.Sprintf("daemon off;\nuser root;\nworker_processes 1;\npid %[1]s/pid;\nerror_log %[1]s/error.log;\nevents { }\nhttp {\naccess_log off;\nclient_body_temp_path %[1]s/b;\nproxy_temp_path %[1]s/p;\nfastcgi_temp_path %[1]s/f;\nuwsgi_temp_path %[1]s/u;\nscgi_temp_path %[1]s/s;\n%[2]s\n}\n", dir, conf)
	if err := os.WriteFile(path, []byte(all), 0o644); err != nil {
		h.t.Fatal(err)
	}
	// "include mime.types" reads this file, which every installation has.
	command(h.t, "cp", "/etc/nginx/mime.types", dir)
	h.start("nginx", "-c", path, "-e", filepath.Join(dir, "error.log"))
}

// apacheWith starts Apache on a port of the host, with Debian's default modules and
// mod_headers, and conf in a virtual host. It runs as an unprivileged user that may read dir.
func (h *host) apacheWith(port int, dir, conf string) {
	h.t.Helper()
	for d := dir; d != "/" && d != os.TempDir(); d = filepath.Dir(d) {
		os.Chmod(d, 0o755)
	}
	here := h.t.TempDir()
	var modules strings.Builder
	for _, m := range []string{"mpm_event", "authz_core", "mime", "dir", "alias", "headers"} {
		fmt.Fprintf(&modules, "LoadModule %[1]s_module /usr/lib/apache2/modules/mod_%[1]s.so\n", m)
	}
	path := filepath.Join(here, "apache.conf")
	writeFile(h.t, path, fmt.Appendf(nil, "%sServerRoot %s\nServerName %s\nPidFile pid\nErrorLog error.log\nUser www-data\nGroup www-data\nTypesConfig mime.types\nListen %[3]s:%d\n<VirtualHost *>\n%s\n</VirtualHost>\n",
		modules.String(), here, h.IP, port, conf))
	writeFile(h.t, filepath.Join(here, "mime.types"), []byte("text/html html\ntext/css css\ntext/xml xml\nimage/svg+xml svg\n"))
	h.start("apache2", "-X", "-f", path)
}

// caddyWith starts Caddy on a port of the host, with conf in a site block.
func (h *host) caddyWith(port int, conf string) {
	h.t.Helper()
	path := filepath.Join(h.t.TempDir(), "Caddyfile")
	writeFile(h.t, path, fmt.Appendf(nil, "{\n\tadmin off\n\tauto_https off\n}\nhttp://%s:%d {\n\t%s\n}\n", h.IP, port, conf))
	h.start("caddy", "run", "--config", path, "--adapter", "caddyfile")
}

// TestExportedSite serves an exported site with nginx, Apache and Caddy and the settings
// that the export contains. It checks headers, downloads by the page and by the Metalink,
// and downloads from a daemon behind nginx as a proxy.
func TestExportedSite(t *testing.T) {
	t.Parallel()
	need(t, "nginx", "apache2", "caddy", "curl", "aria2c")
	l := newLAN(t, 2)
	h, visitor := l.Hosts[0], l.Hosts[1]
	watched, state, www := t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "www")
	file := noise(t, filepath.Join(watched, "My system 1.iso"), 2_000_000)
	smallTree(t, filepath.Join(watched, "tree"))
	proxied := "http://" + h.IP + "/dl"
	p, _ := h.serve("serve", "--watch", watched, "--settle", "100ms", "--state", state, "--public-url", proxied, "--listen", "127.0.0.1:6969", "--proxy", "127.0.0.1/32", "--udp", "off")
	eventually(t, "both are published", func() bool { return strings.Count(p.out.String(), `"event":"published"`) >= 2 })

	base := "http://" + h.IP + "/pub"
	h.spate("site", "export", www, "--state", state, "--public-url", base).ok()
	h.nginxWith("server {\nlisten " + h.IP + ":80;\ninclude " + www + "/.spate-site/nginx.conf;\n" +
		"location /dl/ { proxy_pass http://127.0.0.1:6969; proxy_set_header X-Forwarded-For $remote_addr; proxy_buffering off; }\n}\n")
	h.apacheWith(81, www, "Include "+www+"/.spate-site/apache.conf")
	h.caddyWith(82, "import "+www+"/.spate-site/Caddyfile")
	for server, base := range map[string]string{"nginx": base, "Apache": "http://" + h.IP + ":81/pub", "Caddy": "http://" + h.IP + ":82/pub"} {
		eventually(t, server+" answers", func() bool {
			return visitor.start("curl", "-sf", "-o", os.DevNull, base+"/").wait() == 0
		})
		for path, wants := range map[string][]string{
			"/":                              {"content-type: text/html", "x-content-type-options: nosniff", "connect-src 'self'; base-uri"},
			"/r/My%20system%201.iso":         {"content-security-policy: default-src 'none'", "connect-src 'self' http: https: ws: wss:; worker-src 'self'", "referrer-policy: no-referrer"},
			"/de/r/my-system-1.iso":          {"connect-src 'self' http: https: ws: wss:; worker-src 'self'", "content-type: text/html"},
			"/r/My%20system%201.iso/inpage":  {"allow-origin: *", "nosniff"},
			"/t/My%20system%201.iso.torrent": {"content-type: application/x-bittorrent"},
			"/m/My%20system%201.iso.meta4":   {"content-type: application/metalink4+xml"},
			"/d/My%20system%201.iso":         {"accept-ranges: bytes", "content-type: application/octet-stream", "policy: default-src 'none'; sandbox", "allow-origin: *", "nosniff"},
			"/feed.xml":                      {"content-type: text/xml"},
			"/static/site.css":               {"content-type: text/css"},
		} {
			got := strings.ToLower(visitor.start("curl", "-sfIL", base+path).ok().out.String())
			for _, want := range wants {
				if !strings.Contains(got, want) {
					t.Errorf("%s: the headers of %s do not contain %q:\n%s", server, path, want, got)
				}
			}
		}
	}
	for name, url := range map[string]string{
		"exported": base + "/r/My%20system%201.iso", "behind a proxy": proxied + "/r/My%20system%201.iso", "of the file": base + "/d/My%20system%201.iso",
	} {
		out := t.TempDir()
		visitor.spate("get", url, "-o", out).ok()
		if !same(file, filepath.Join(out, "My system 1.iso")) {
			t.Errorf("spate get of the page %s: the downloaded file differs", name)
		}
	}
	out := t.TempDir()
	visitor.start("aria2c", "--seed-time=0", "--follow-metalink=mem", "--enable-dht=false", "-d", out, base+"/m/My%20system%201.iso.meta4").ok()
	if !same(file, filepath.Join(out, "My system 1.iso")) {
		t.Error("aria2c with the Metalink: the downloaded file differs")
	}

	// An export does not replace other files.
	foreign := t.TempDir()
	if err := os.WriteFile(filepath.Join(foreign, "x"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if code := h.spate("site", "export", foreign, "--state", state, "--public-url", base).wait(); code != 13 {
		t.Errorf("export into a directory with other files: exit code %d, want 13", code)
	}
}
