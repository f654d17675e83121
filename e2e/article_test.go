package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// The way of 2005, from "Distributing Content with BitTorrent" by R. Bernier: the
// commands are run as they were printed, with the ports that were printed. The
// test server hosts both the web server and the tracker; downloaders are other
// machines, so where the article says localhost to them, the host's name is put.

const iso = "pg_live.1.3.3-SRA.iso"

// sh runs a command line in a directory of the host, with the programs of 2005 on
// the path; each call has a state directory of its own.
func (h *host) sh(dir, line string) *proc {
	h.t.Helper()
	bin := h.bin()
	env := fmt.Sprintf("export PATH=%s:$PATH SPATE_STATE=%s HOME=%s; cd %s; exec %s", bin, h.t.TempDir(), filepath.Dir(dir), dir, line)
	return h.start("sh", "-c", env)
}

// bin is a directory with links to the program under all the old names.
func (h *host) bin() string {
	h.t.Helper()
	dir := h.t.TempDir()
	for _, name := range []string{
		"btmakemetafile", "btcompletedir", "btshowmetainfo", "btreannounce", "btrename", "btcopyannounce", "bttrack",
		"btdownloadheadless", "btdownloadcurses", "btlaunchmany", "btlaunchmanycurses",
	} {
		if err := os.Symlink(spateBin, filepath.Join(dir, name)); err != nil {
			h.t.Fatal(err)
		}
	}
	return dir
}

// nginx serves a directory on port 80 of the host, with the MIME type of torrents
// added as the article has it.
func (h *host) nginx(root string) {
	h.t.Helper()
	need(h.t, "nginx", "curl")
	dir := h.t.TempDir()
	conf := filepath.Join(dir, "nginx.conf")
	text := fmt.Sprintf(`daemon off;
pid %[1]s/pid;
error_log stderr;
user root;
events {}
http {
  access_log off;
  client_body_temp_path %[1]s/a; proxy_temp_path %[1]s/b; fastcgi_temp_path %[1]s/c; uwsgi_temp_path %[1]s/d; scgi_temp_path %[1]s/e;
  types { text/html html; application/x-bittorrent torrent; }
  default_type application/octet-stream;
  server { listen 80; listen [::]:80; root %[2]s; }
}
`, dir, root)
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		h.t.Fatal(err)
	}
	h.start("nginx", "-e", "stderr", "-c", conf)
}

// apache serves a directory on port 80 of the host; the line with the MIME type
// is the article's.
func (h *host) apache(root string) {
	h.t.Helper()
	need(h.t, "apache2", "curl")
	dir := h.t.TempDir()
	conf := filepath.Join(dir, "apache2.conf")
	modules := "/usr/lib/apache2/modules/mod_"
	text := fmt.Sprintf(`ServerRoot %[1]s
ServerName localhost
PidFile %[1]s/pid
DefaultRuntimeDir %[1]s
Mutex file:%[1]s default
ErrorLog %[1]s/error.log
Listen 80
LoadModule mpm_event_module %[3]smpm_event.so
LoadModule authz_core_module %[3]sauthz_core.so
LoadModule mime_module %[3]smime.so
TypesConfig /dev/null
AddType application/x-bittorrent .torrent
DocumentRoot %[2]s
<Directory %[2]s>
  Require all granted
</Directory>
User daemon
Group daemon
`, dir, root, modules)
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		h.t.Fatal(err)
	}
	h.start("apache2", "-f", conf, "-DFOREGROUND")
}

// mimeOf asks a web server, until it answers, what type a URL has.
func (h *host) mimeOf(url string) string {
	h.t.Helper()
	p := h.start("curl", "-s", "-o", "/dev/null", "-w", "%{http_code} %{content_type}\n", "--retry", "20", "--retry-connrefused", "--retry-delay", "1", url)
	return strings.TrimSpace(p.ok().out.String())
}

// succeeded waits until a program of 2005 says that it has everything.
func (p *proc) succeeded() {
	p.t.Helper()
	p.line("the end of the download", func(s string) bool { return s == "time left:      Download Succeeded!" })
}

// TestWalkThrough is the article, from the making of the torrent to the page of
// statistics, with the downloaders of then and now.
func TestWalkThrough(t *testing.T) {
	t.Parallel()
	need(t, "aria2c", "transmission-cli", "nginx", "chromium")
	l := newLAN(t, 3)
	server, home, away := l.Hosts[0], l.Hosts[1], l.Hosts[2]
	base := t.TempDir()
	os.Chmod(base, 0o755)
	dir := func(name string) string {
		d := filepath.Join(base, name)
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
		return d
	}
	work, www, torrents := dir("work"), dir("www"), dir("mytorrents")
	noise(t, filepath.Join(work, iso), 11<<20)

	// "From the directory containing the ISO, I used the command"; a torrent of 11
	// MB has about 1.1K.
	server.sh(work, "btmakemetafile "+iso+" http://localhost:8099/announce").ok()
	info, err := os.Stat(filepath.Join(work, iso+".torrent"))
	if err != nil || info.Size() < 900 || info.Size() > 1300 {
		t.Fatalf("the torrent: %v, %v", info, err)
	}
	shown := server.sh(work, "btshowmetainfo "+iso+".torrent").ok().out.String()
	hash := regexp.MustCompile(`info hash\.\.\.\.\.: ([0-9a-f]{40})`).FindStringSubmatch(shown)
	if hash == nil || !strings.Contains(shown, "announce url..: http://localhost:8099/announce") || !strings.Contains(shown, "(44 * 262144 + 0)") {
		t.Fatalf("btshowmetainfo: %s", shown)
	}

	// The tracker, for the torrents in a directory, whose names it shows.
	copyFile(t, filepath.Join(work, iso+".torrent"), filepath.Join(torrents, iso+".torrent"))
	track := server.sh(work, "bttrack --port 8099 --show_names 1 --allowed_dir ~/mytorrents --dfile downloadinfo.txt")
	track.line("the start of the log", func(s string) bool { return strings.HasPrefix(s, "# Log Started: ") })

	// For those on other machines, the tracker has another name than localhost. The
	// info-hash stays, so localhost's own are in the same swarm.
	public := filepath.Join(www, iso+".torrent")
	copyFile(t, filepath.Join(work, iso+".torrent"), public)
	server.sh(www, fmt.Sprintf("btreannounce http://%s:8099/announce %s.torrent", server.IP, iso)).ok()
	server.nginx(www)
	url := fmt.Sprintf("http://%s/%s.torrent", server.IP, iso)
	if got := home.mimeOf(url); got != "200 application/x-bittorrent" {
		t.Errorf("nginx says of the torrent: %s", got)
	}

	// The first client, which has the whole file, is the seed. It runs on the
	// server, which it tells the tracker by its address: others could not reach
	// localhost.
	seed := server.sh(work, fmt.Sprintf("btdownloadheadless %s.torrent --saveas %s --ip %s --display_interval 1", iso, iso, server.IP))
	seed.line("the seed", func(s string) bool { return s == "time left:      seeding" })

	// By URL and by file, under another name, with the tools of then ...
	byURL := home.sh(dir("home"), fmt.Sprintf("btdownloadheadless --url %s --saveas pg_live.iso --display_interval 0.5", url))
	byURL.succeeded()
	byFile := away.sh(dir("away"), fmt.Sprintf("btdownloadheadless --responsefile %s --saveas ~/away/pg_live.iso --display_interval 0.5", public))
	byFile.succeeded()
	local := server.sh(dir("local"), fmt.Sprintf("btdownloadheadless --url http://localhost/%s.torrent --saveas pg_live.iso --display_interval 0.5", iso))
	local.succeeded()
	for _, d := range []string{"home", "away", "local"} {
		if !same(filepath.Join(work, iso), filepath.Join(base, d, "pg_live.iso")) {
			t.Errorf("%s has another file", d)
		}
	}
	// ... and with others.
	for _, c := range []struct {
		name string
		get  func(dir string) *proc
	}{
		{"aria2", func(d string) *proc {
			return away.start("aria2c", append(aria2Flags[:len(aria2Flags):len(aria2Flags)], "--seed-time=0", "--dir", d, url)...)
		}},
		{"transmission", func(d string) *proc { return transmission(home, public, d) }},
	} {
		d := dir(c.name)
		p := c.get(d)
		eventually(t, c.name+" has the file", func() bool { return same(filepath.Join(work, iso), filepath.Join(d, iso)) })
		p.stop(syscall.SIGTERM)
	}

	// The page of statistics, in a browser, names the file and counts.
	page := home.browse("--dump-dom", fmt.Sprintf("http://%s:8099/", server.IP))
	if !strings.Contains(page, iso) || !strings.Contains(page, hash[1][:8]) {
		t.Errorf("the page of statistics is without the torrent:\n%s", tail(page))
	}
	eventually(t, "the log has the completions", func() bool { return strings.Count(track.out.String(), "event=completed") >= 3 })

	// What is not in the directory is not tracked.
	stranger := noise(t, filepath.Join(work, "stranger.bin"), 1<<20)
	server.sh(work, "btmakemetafile stranger.bin http://localhost:8099/announce").ok()
	refused := server.sh(work, "btdownloadheadless "+stranger+".torrent --display_interval 0.5")
	refused.line("the tracker's refusal", func(s string) bool { return strings.Contains(s, "not served by this tracker") })
	refused.stop(syscall.SIGINT)

	// Many at once, from a directory.
	many := dir("many")
	copyFile(t, public, filepath.Join(many, iso+".torrent"))
	launch := home.sh(dir("any"), "btlaunchmany ~/many --display_interval 0.5")
	launch.line("a seed", func(s string) bool { return strings.Contains(s, `: "seeding" (100.0%)`) })
	if !same(filepath.Join(work, iso), filepath.Join(many, iso)) {
		t.Error("btlaunchmany has another file")
	}
	launch.stop(syscall.SIGINT)

	// The tracker remembers over a restart: no completion is lost.
	track.stop(syscall.SIGTERM)
	if b, err := os.ReadFile(filepath.Join(work, "downloadinfo.txt")); err != nil || !regexp.MustCompile(`(?s)^d9:completedd20:.{20}i[3-9]ee5:peersdee$`).MatchString(latin1(b)) {
		t.Errorf("the dfile: %q, %v", b, err)
	}

	// Another tracker, without hashing again, and it goes on: the swarm gathers
	// around the new one.
	server.sh(work, fmt.Sprintf("bttrack --port 6969 --dfile other.txt --allowed_dir %s", torrents)).
		line("the start of the log", func(s string) bool { return strings.HasPrefix(s, "# Log Started: ") })
	seed.stop(syscall.SIGINT)
	home.sh(www, fmt.Sprintf("btreannounce http://%s:6969/announce %s.torrent", server.IP, iso)).ok()
	again := server.sh(work, fmt.Sprintf("btdownloadheadless %s --saveas %s --ip %s --display_interval 1", public, iso, server.IP))
	again.line("the seed", func(s string) bool { return s == "time left:      seeding" })
	late := away.sh(dir("late"), "btdownloadheadless --url "+url+" --saveas pg_live.iso --display_interval 0.5")
	late.succeeded()
	if !same(filepath.Join(work, iso), filepath.Join(base, "late", "pg_live.iso")) {
		t.Error("who came late has another file")
	}
	late.stop(syscall.SIGINT)
	if code := late.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("who has everything and is stopped ends with %d", code)
	}
}

// TestApacheMIME holds the article's line for Apache to what a downloader sees.
func TestApacheMIME(t *testing.T) {
	t.Parallel()
	need(t, "apache2", "curl")
	l := newLAN(t, 1)
	h := l.Hosts[0]
	www := t.TempDir()
	os.Chmod(www, 0o755)
	for d := www; d != "/"; d = filepath.Dir(d) {
		if info, err := os.Stat(d); err == nil && info.Mode().Perm()&0o005 == 0 {
			os.Chmod(d, info.Mode()|0o055)
		}
	}
	noise(t, filepath.Join(www, "x.iso"), 300_000)
	h.sh(www, "btmakemetafile x.iso http://localhost:8099/announce").ok()
	h.apache(www)
	if got := h.mimeOf("http://localhost/x.iso.torrent"); got != "200 application/x-bittorrent" {
		t.Errorf("Apache says of the torrent: %s", got)
	}
	got := h.sh(www, "btshowmetainfo x.iso.torrent").ok().out.String()
	if !strings.Contains(got, "file name.....: x.iso") {
		t.Errorf("btshowmetainfo: %s", got)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// latin1 makes a rune of every byte.
func latin1(b []byte) string {
	r := make([]rune, len(b))
	for i, c := range b {
		r[i] = rune(c)
	}
	return string(r)
}
