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

// The tests in this file follow the article "Distributing Content with BitTorrent" by R.
// Bernier of 2005. They run its commands with the arguments and ports of the article. One
// host runs the web server and the tracker. In the article, downloaders on other machines
// use localhost; the tests use the address of the host instead.

const iso = "pg_live.1.3.3-SRA.iso"

// sh starts a command line in a directory of the host, with the tools of 2005 in PATH and a
// new state directory.
func (h *host) sh(dir, line string) *proc {
	h.t.Helper()
	bin := h.bin()
	env := fmt.Sprintf("export PATH=%s:$PATH SPATE_STATE=%s HOME=%s; cd %s; exec %s", bin, h.t.TempDir(), filepath.Dir(dir), dir, line)
	return h.start("sh", "-c", env)
}

// bin returns a directory with links to spate that have the names of the tools.
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

// nginx starts nginx for a directory on port 80, with the MIME type for torrents as in the
// article.
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

// apache starts Apache for a directory on port 80, with the article's line for the MIME type.
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

// mimeOf requests a URL until the server answers, and returns its status and type.
func (h *host) mimeOf(url string) string {
	h.t.Helper()
	p := h.start("curl", "-s", "-o", "/dev/null", "-w", "%{http_code} %{content_type}\n", "--retry", "20", "--retry-connrefused", "--retry-delay", "1", url)
	return strings.TrimSpace(p.ok().out.String())
}

// succeeded waits until a tool reports the end of the download.
func (p *proc) succeeded() {
	p.t.Helper()
	p.line("the end of the download", func(s string) bool { return s == "time left:      Download Succeeded!" })
}

// TestArticleOf2005 follows the article from the creation of the torrent to the statistics
// page, with the tools of 2005 and other clients as downloaders.
func TestArticleOf2005(t *testing.T) {
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

	// Create the torrent. In the article, the torrent of an 11 MB file has about 1.1 KB.
	server.sh(work, "btmakemetafile "+iso+" http://localhost:8099/announce").ok()
	info, err := os.Stat(filepath.Join(work, iso+".torrent"))
	if err != nil || info.Size() < 900 || info.Size() > 1300 {
		t.Fatalf("the torrent has the FileInfo %v, %v, want about 1.1 KB", info, err)
	}
	shown := server.sh(work, "btshowmetainfo "+iso+".torrent").ok().out.String()
	hash := regexp.MustCompile(`info hash\.\.\.\.\.: ([0-9a-f]{40})`).FindStringSubmatch(shown)
	if hash == nil || !strings.Contains(shown, "announce url..: http://localhost:8099/announce") || !strings.Contains(shown, "(44 * 262144 + 0)") {
		t.Fatalf("btshowmetainfo does not print the info-hash, the tracker and the size:\n%s", shown)
	}

	// Start the tracker for the torrents in a directory, with their names on its page.
	copyFile(t, filepath.Join(work, iso+".torrent"), filepath.Join(torrents, iso+".torrent"))
	track := server.sh(work, "bttrack --port 8099 --show_names 1 --allowed_dir ~/mytorrents --dfile downloadinfo.txt")
	track.line("the start of the log", func(s string) bool { return strings.HasPrefix(s, "# Log Started: ") })

	// Set the address of the tracker for other machines. The info-hash stays the same, so
	// downloaders on localhost are in the same swarm.
	public := filepath.Join(www, iso+".torrent")
	copyFile(t, filepath.Join(work, iso+".torrent"), public)
	server.sh(www, fmt.Sprintf("btreannounce http://%s:8099/announce %s.torrent", server.IP, iso)).ok()
	server.nginx(www)
	url := fmt.Sprintf("http://%s/%s.torrent", server.IP, iso)
	if got := home.mimeOf(url); got != "200 application/x-bittorrent" {
		t.Errorf("nginx sends the torrent with status and type %q, want 200 application/x-bittorrent", got)
	}

	// Start the seed on the server. It announces the server's address, because other machines
	// cannot reach localhost.
	seed := server.sh(work, fmt.Sprintf("btdownloadheadless %s.torrent --saveas %s --ip %s --display_interval 1", iso, iso, server.IP))
	seed.line("the seed", func(s string) bool { return s == "time left:      seeding" })

	// Download with the tools, by URL and by file, to another name.
	byURL := home.sh(dir("home"), fmt.Sprintf("btdownloadheadless --url %s --saveas pg_live.iso --display_interval 0.5", url))
	byURL.succeeded()
	byFile := away.sh(dir("away"), fmt.Sprintf("btdownloadheadless --responsefile %s --saveas ~/away/pg_live.iso --display_interval 0.5", public))
	byFile.succeeded()
	local := server.sh(dir("local"), fmt.Sprintf("btdownloadheadless --url http://localhost/%s.torrent --saveas pg_live.iso --display_interval 0.5", iso))
	local.succeeded()
	for _, d := range []string{"home", "away", "local"} {
		if !same(filepath.Join(work, iso), filepath.Join(base, d, "pg_live.iso")) {
			t.Errorf("the file downloaded on %s differs", d)
		}
	}
	// Download with other clients.
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

	// The statistics page names the file and its info-hash.
	page := home.browse("--dump-dom", fmt.Sprintf("http://%s:8099/", server.IP))
	if !strings.Contains(page, iso) || !strings.Contains(page, hash[1][:8]) {
		t.Errorf("the statistics page does not contain the torrent:\n%s", tail(page))
	}
	eventually(t, "the log has the completions", func() bool { return strings.Count(track.out.String(), "event=completed") >= 3 })

	// The tracker refuses a torrent that is not in its directory.
	stranger := noise(t, filepath.Join(work, "stranger.bin"), 1<<20)
	server.sh(work, "btmakemetafile stranger.bin http://localhost:8099/announce").ok()
	refused := server.sh(work, "btdownloadheadless "+stranger+".torrent --display_interval 0.5")
	refused.line("the tracker's refusal", func(s string) bool { return strings.Contains(s, "not served by this tracker") })
	refused.stop(syscall.SIGINT)

	// Download all torrents of a directory.
	many := dir("many")
	copyFile(t, public, filepath.Join(many, iso+".torrent"))
	launch := home.sh(dir("any"), "btlaunchmany ~/many --display_interval 0.5")
	launch.line("a seed", func(s string) bool { return strings.Contains(s, `: "seeding" (100.0%)`) })
	if !same(filepath.Join(work, iso), filepath.Join(many, iso)) {
		t.Error("the file downloaded by btlaunchmany differs")
	}
	launch.stop(syscall.SIGINT)

	// The dfile contains all completions after the tracker has stopped.
	track.stop(syscall.SIGTERM)
	if b, err := os.ReadFile(filepath.Join(work, "downloadinfo.txt")); err != nil || !regexp.MustCompile(`(?s)^d9:completedd20:.{20}i[3-9]ee5:peersdee$`).MatchString(latin1(b)) {
		t.Errorf("the dfile is %q, %v, want all completions", b, err)
	}

	// Move the torrent to another tracker without hashing again.
	server.sh(work, fmt.Sprintf("bttrack --port 6969 --dfile other.txt --allowed_dir %s", torrents)).
		line("the start of the log", func(s string) bool { return strings.HasPrefix(s, "# Log Started: ") })
	seed.stop(syscall.SIGINT)
	home.sh(www, fmt.Sprintf("btreannounce http://%s:6969/announce %s.torrent", server.IP, iso)).ok()
	again := server.sh(work, fmt.Sprintf("btdownloadheadless %s --saveas %s --ip %s --display_interval 1", public, iso, server.IP))
	again.line("the seed", func(s string) bool { return s == "time left:      seeding" })
	late := away.sh(dir("late"), "btdownloadheadless --url "+url+" --saveas pg_live.iso --display_interval 0.5")
	late.succeeded()
	if !same(filepath.Join(work, iso), filepath.Join(base, "late", "pg_live.iso")) {
		t.Error("the file downloaded with the new tracker differs")
	}
	late.stop(syscall.SIGINT)
	if code := late.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code of a tool that is stopped while it seeds: %d, want 0", code)
	}
}

// TestApacheMIME checks that Apache serves torrents with the right type if its settings
// contain the line of the article.
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
		t.Errorf("Apache sends the torrent with status and type %q, want 200 application/x-bittorrent", got)
	}
	got := h.sh(www, "btshowmetainfo x.iso.torrent").ok().out.String()
	if !strings.Contains(got, "file name.....: x.iso") {
		t.Errorf("btshowmetainfo does not print the file name:\n%s", got)
	}
}

// copyFile copies the file from to the path to.
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

// latin1 converts each byte to a rune.
func latin1(b []byte) string {
	r := make([]rune, len(b))
	for i, c := range b {
		r[i] = rune(c)
	}
	return string(r)
}
