package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// client is another program that downloads and seeds. Both start it on a host and
// return; data lies, or is to lie, in dir. Whether it is done is seen by its data.
type client struct {
	name   string
	needs  []string
	v1     bool     // it takes no hybrid torrents; docs/interop.md has the reasons
	v1Tree bool     // it takes no hybrid trees
	cannot []string // announces that it does not make
	leech  func(h *host, torrent, dir string) *proc
	seed   func(h *host, torrent, dir string) *proc
}

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
			leech: transmission, seed: transmission,
		},
		{
			name: "libtorrent", needs: []string{"libtorrent"},
			leech: func(h *host, torrent, dir string) *proc { return libtorrent(h, "get", torrent, dir) },
			seed:  func(h *host, torrent, dir string) *proc { return libtorrent(h, "seed", torrent, dir) },
		},
		{
			name: "rtorrent", needs: []string{"rtorrent"}, v1Tree: true, cannot: []string{"udp6"},
			leech: rtorrent, seed: rtorrent,
		},
	}
}

// aria2 announces over UDP only while its DHT is on, which finds nobody here.
var aria2Flags = []string{
	"--enable-dht=true", "--dht-listen-port=6881-6889", "--enable-dht6=false", "--bt-enable-lpd=false", "--enable-peer-exchange=false",
	"--file-allocation=none", "--console-log-level=notice", "--summary-interval=0", "--allow-overwrite=true",
	"--listen-port=6881-6889",
}

// transmission verifies what it finds, so that downloading and seeding begin alike.
func transmission(h *host, torrent, dir string) *proc {
	conf := h.t.TempDir()
	settings := fmt.Sprintf(`{"dht-enabled": false, "lpd-enabled": false, "pex-enabled": false, "utp-enabled": false,
		"port-forwarding-enabled": false, "peer-port": 51413, "download-dir": %q, "preallocation": 0}`, dir)
	if err := os.WriteFile(filepath.Join(conf, "settings.json"), []byte(settings), 0o644); err != nil {
		h.t.Fatal(err)
	}
	args := []string{"-g", conf, "-w", dir, "-M", torrent}
	if !strings.HasPrefix(torrent, "magnet:") {
		return h.start("transmission-cli", args...)
	}
	// transmission-cli 3.00 ends when it finds its torrent stopped, which one from a
	// magnet link is for a moment once the metadata is there.
	const again = `trap 'kill $p; wait $p; exit' TERM INT
		for i in 1 2 3; do transmission-cli "$@" & p=$!; wait $p; done`
	return h.start("sh", append([]string{"-c", again, "sh"}, args...)...)
}

func libtorrent(h *host, verb, torrent, dir string) *proc {
	script, err := filepath.Abs("testdata/lt.py")
	if err != nil {
		h.t.Fatal(err)
	}
	return h.start("/usr/bin/python3", script, verb, torrent, dir, h.IP+":6881,["+h.IP6+"]:6881")
}

// rtorrent needs a terminal, which script(1) gives it.
func rtorrent(h *host, torrent, dir string) *proc {
	session := h.t.TempDir()
	rc := filepath.Join(session, "rtorrent.rc")
	conf := strings.Join([]string{
		"directory.default.set = " + dir,
		"session.path.set = " + session,
		"network.port_range.set = 6890-6890",
		"dht.mode.set = disable",
		"protocol.pex.set = no",
		"trackers.use_udp.set = yes",
		"pieces.hash.on_completion.set = no",
		"system.daemon.set = true",
		fmt.Sprintf("schedule2 = load, 0, 0, ((load.start, %q))", torrent),
	}, "\n")
	if err := os.WriteFile(rc, []byte(conf+"\n"), 0o644); err != nil {
		h.t.Fatal(err)
	}
	return h.start("rtorrent", "-n", "-o", "import="+rc)
}

// payloads are what the clients are tried with: a file and a tree.
var payloads = map[string]func(t *testing.T, dir string) string{
	"file": func(t *testing.T, dir string) string { return noise(t, filepath.Join(dir, "file.bin"), 9<<20+12345) },
	"tree": func(t *testing.T, dir string) string { return smallTree(t, filepath.Join(dir, "tree")) },
}

// eachPayload runs f for each client and payload, all side by side.
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

// TestOthersDownloadFromSpate seeds a file and a tree; each of the other clients
// fetches them. There is no web seed: all comes from the peer.
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
		eventually(t, c.name+" has it", func() bool { return sameData(path, got) })
	})
}

// TestSpateDownloadsFromOthers has each of the other clients seed a file and a
// tree, known to spate's tracker only, and fetches them with spate.
func TestSpateDownloadsFromOthers(t *testing.T) {
	t.Parallel()
	eachPayload(t, func(t *testing.T, c client, kind, path string) {
		l := newLAN(t, 3)
		_, tr := l.Hosts[2].serve("tracker")
		if len(tr.AnnounceURLs) == 0 {
			t.Fatal("the tracker names no announce URL")
		}
		torrent := path + ".torrent"
		l.Hosts[0].run("create", path, "-a", tr.AnnounceURLs[0], "-o", torrent, "--format", "v1")
		c.seed(l.Hosts[0], torrent, filepath.Dir(path))
		dir := t.TempDir()
		l.Hosts[1].run("get", torrent, "-o", dir)
		if got := filepath.Join(dir, filepath.Base(path)); !sameData(path, got) {
			t.Errorf("%s is not %s", got, path)
		}
	})
}

// sameData compares a file or a tree, and leaves out what other clients do their
// own way: they write pads in the open, and some make no empty files.
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

// smallTree makes a tree with empty, tiny, unaligned and deep files.
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

// download fetches a URL with curl and returns the file.
func (h *host) download(url string) string {
	h.t.Helper()
	need(h.t, "curl")
	path := filepath.Join(h.t.TempDir(), "x.torrent")
	h.start("curl", "-sSf", "-o", path, url).ok()
	return path
}
