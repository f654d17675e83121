package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// client is a program that downloads and seeds. leech and seed start it on a host with the
// data in dir and return at once. A test sees the end of a download by its data.
type client struct {
	name   string
	needs  []string
	v1     bool     // it cannot read hybrid torrents; docs/interop.md gives the reasons
	v1Tree bool     // it cannot read hybrid torrents of directories
	cannot []string // kinds of announce URLs that it cannot use
	leech  func(h *host, torrent, dir string) *proc
	seed   func(h *host, torrent, dir string) *proc
}

// clients returns the other clients.
func clients() []client {
	return []client{
		{
			name: "aria2", needs: []string{"aria2c"}, v1: true, cannot: []string{"udp6"},
			leech: func(h *host, torrent, dir string) *proc {
				return h.start("aria2c", append(aria2Flags, "--seed-time=600", "--dir", dir, torrent)...)
			},
			seed: func(h *host, torrent, dir string) *proc {
				return h.start("aria2c", append(aria2Flags, "--check-integrity=true", "--seed-ratio=0", "--dir", dir, torrent)...)
			},
		},
		{
			name: "transmission", needs: []string{"transmission-cli"}, v1: true, cannot: []string{"udp6"},
			leech: func(h *host, torrent, dir string) *proc { return transmission(h, torrent, dir) },
			seed:  func(h *host, torrent, dir string) *proc { return transmission(h, torrent, dir) },
		},
		{
			name: "libtorrent", needs: []string{"libtorrent"},
			leech: func(h *host, torrent, dir string) *proc { return libtorrent(h, "get", torrent, dir) },
			seed:  func(h *host, torrent, dir string) *proc { return libtorrent(h, "seed", torrent, dir) },
		},
		{
			name: "rtorrent", needs: []string{"rtorrent"}, v1Tree: true, cannot: []string{"udp6"},
			leech: func(h *host, torrent, dir string) *proc { return rtorrent(h, torrent, dir) },
			seed:  func(h *host, torrent, dir string) *proc { return rtorrent(h, torrent, dir) },
		},
	}
}

// aria2Flags turns the DHT on, because aria2 announces over UDP only then.
var aria2Flags = []string{
	"--enable-dht=true", "--dht-listen-port=6881-6889", "--enable-dht6=false", "--bt-enable-lpd=false", "--enable-peer-exchange=false",
	"--file-allocation=none", "--console-log-level=notice", "--summary-interval=0", "--allow-overwrite=true",
	"--listen-port=6881-6889",
}

// transmission starts transmission-cli. It checks existing data first, so that the command
// line is the same for downloading and seeding.
func transmission(h *host, torrent, dir string, flags ...string) *proc {
	conf := h.t.TempDir()
	settings := fmt.Sprintf(`{"dht-enabled": false, "lpd-enabled": false, "pex-enabled": false, "utp-enabled": %t,
		"port-forwarding-enabled": false, "peer-port": 51413, "download-dir": %q, "preallocation": 0}`, h.UTP, dir)
	if err := os.WriteFile(filepath.Join(conf, "settings.json"), []byte(settings), 0o644); err != nil {
		h.t.Fatal(err)
	}
	args := append([]string{"-g", conf, "-w", dir, "-M", torrent}, flags...)
	if !strings.HasPrefix(torrent, "magnet:") {
		return h.start("transmission-cli", args...)
	}
	// transmission-cli 3.00 exits if its torrent is stopped, and a torrent from a magnet link
	// is stopped for a moment when its metadata arrives. So start it again.
	const again = `trap 'kill $p; wait $p; exit' TERM INT
		for i in 1 2 3; do transmission-cli "$@" & p=$!; wait $p; done`
	return h.start("sh", append([]string{"-c", again, "sh"}, args...)...)
}

// libtorrent starts lt.py, a client with libtorrent. env holds settings of lt.py.
func libtorrent(h *host, verb, torrent, dir string, env ...string) *proc {
	script, err := filepath.Abs("testdata/lt.py")
	if err != nil {
		h.t.Fatal(err)
	}
	return h.start("env", append(env, "/usr/bin/python3", script, verb, torrent, dir, h.IP+":6881,["+h.IP6+"]:6881")...)
}

// rtorrent starts rtorrent as a daemon.
func rtorrent(h *host, torrent, dir string, settings ...string) *proc {
	session := h.t.TempDir()
	rc := filepath.Join(session, "rtorrent.rc")
	conf := strings.Join(append([]string{
		"directory.default.set = " + dir,
		"session.path.set = " + session,
		"network.port_range.set = 6890-6890",
		"dht.mode.set = disable",
		"protocol.pex.set = no",
		"trackers.use_udp.set = yes",
		"pieces.hash.on_completion.set = no",
		"system.daemon.set = true",
		fmt.Sprintf("schedule2 = load, 0, 0, ((load.start, %q))", torrent),
	}, settings...), "\n")
	if err := os.WriteFile(rc, []byte(conf+"\n"), 0o644); err != nil {
		h.t.Fatal(err)
	}
	return h.start("rtorrent", "-n", "-o", "import="+rc)
}

// payloads are functions that create the test data: a file and a directory.
var payloads = map[string]func(t *testing.T, dir string) string{
	"file": func(t *testing.T, dir string) string { return noise(t, filepath.Join(dir, "file.bin"), 9<<20+12345) },
	"tree": func(t *testing.T, dir string) string { return smallTree(t, filepath.Join(dir, "tree")) },
}

// eachPayload runs f in parallel for each client and payload.
func eachPayload(t *testing.T, f func(t *testing.T, c client, kind, path string)) {
	for _, c := range clients() {
		for kind, make := range payloads {
			t.Run(c.name+"/"+kind, func(t *testing.T) {
				t.Parallel()
				need(t, c.needs...)
				f(t, c, kind, make(t, t.TempDir()))
			})
		}
	}
}

// TestOthersDownloadFromSpate checks that each other client downloads a file and a directory
// from spate. The torrents have no web seed, so that all data comes from the peer.
func TestOthersDownloadFromSpate(t *testing.T) {
	t.Parallel()
	eachPayload(t, func(t *testing.T, c client, kind, path string) {
		l := newLAN(t, 2)
		format := "hybrid"
		if c.v1 || c.v1Tree && kind == "tree" {
			format = "v1"
		}
		_, tr := l.Hosts[0].serve("tracker")
		torrent := path + ".torrent"
		l.Hosts[0].run("create", path, "-a", tr.AnnounceURLs[0], "-o", torrent, "--format", format)
		l.Hosts[0].serve("seed", torrent)
		dir := t.TempDir()
		c.leech(l.Hosts[1], torrent, dir)
		got := filepath.Join(dir, filepath.Base(path))
		eventually(t, c.name+" has the data", func() bool { return sameData(path, got) })
	})
}

// TestSpateDownloadsFromOthers checks that spate downloads a file and a directory from each
// other client, which it finds by spate's tracker.
func TestSpateDownloadsFromOthers(t *testing.T) {
	t.Parallel()
	eachPayload(t, func(t *testing.T, c client, kind, path string) {
		l := newLAN(t, 3)
		_, tr := l.Hosts[2].serve("tracker")
		if len(tr.AnnounceURLs) == 0 {
			t.Fatal("the tracker printed no announce URL")
		}
		torrent := path + ".torrent"
		l.Hosts[0].run("create", path, "-a", tr.AnnounceURLs[0], "-o", torrent, "--format", "v1")
		c.seed(l.Hosts[0], torrent, filepath.Dir(path))
		dir := t.TempDir()
		l.Hosts[1].run("get", torrent, "-o", dir)
		if got := filepath.Join(dir, filepath.Base(path)); !sameData(path, got) {
			t.Errorf("%s differs from %s", got, path)
		}
	})
}

// sameData reports whether the file or directory got contains all data of want. It ignores
// empty files and files that want does not have, because some clients create no empty files
// and some write pad files.
func sameData(want, got string) bool {
	ok := true
	filepath.Walk(want, func(path string, info os.FileInfo, err error) error {
		if err != nil || info.Size() == 0 || info.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(want, path)
		if !same(path, filepath.Join(got, rel)) {
			ok = false
			return filepath.SkipAll
		}
		return nil
	})
	return ok
}

// smallTree creates a directory with empty, tiny, unaligned and deeply nested files.
func smallTree(t *testing.T, dir string) string {
	t.Helper()
	for name, size := range map[string]int64{
		"a.bin": 3<<20 + 1, "empty": 0, "deep/er/b.bin": 777_777, "deep/c": 1, "z last ünï.bin": 1 << 20,
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		noise(t, path, size)
	}
	return dir
}

// download downloads a URL with curl and returns the path of the file.
func (h *host) download(url string) string {
	h.t.Helper()
	need(h.t, "curl")
	path := filepath.Join(h.t.TempDir(), "x.torrent")
	h.start("curl", "-sSf", "-o", path, url).ok()
	return path
}
