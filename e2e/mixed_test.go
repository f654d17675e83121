package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The clients that can join a swarm of each format. docs/interop.md gives the reasons.
var (
	allClients = []string{"aria2", "transmission", "transmission-daemon", "libtorrent", "rtorrent", "spate", "spate"}
	// Use transmission-cli, which is the same program, because transmission-daemon sometimes
	// ignores a magnet link in its watched folder.
	byMagnet = []string{"aria2", "transmission", "libtorrent", "rtorrent", "spate", "spate"}
	knowV2   = []string{"libtorrent", "libtorrent", "libtorrent", "spate", "spate", "spate"}
	hybrids  = []string{"libtorrent", "libtorrent", "rtorrent", "rtorrent", "spate", "spate"}
	// The clients that scripts/test installs.
	quick = []string{"aria2", "transmission", "libtorrent", "spate", "spate"}
)

// TestMixedSwarm checks that five or more different clients complete a file that they
// download from one origin at the same time. It varies the origin, the tracker, the format,
// and whether the clients get a .torrent or a magnet link. The uplink of the origin is
// slow, so that the clients have to download from each other.
func TestMixedSwarm(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		format, by, seed, tracker string
		clients                   []string
	}{
		{"v1", "torrent", "spate", "spate", allClients},
		{"v1", "torrent", "libtorrent", "opentracker", allClients},
		{"v1", "torrent", "libtorrent", "spate", quick},
		{"v1", "magnet", "spate", "opentracker", byMagnet},
		{"v1", "magnet", "transmission", "spate", byMagnet},
		{"v1", "torrent", "rtorrent", "spate", allClients},
		{"v2", "torrent", "spate", "opentracker", knowV2},
		{"v2", "magnet", "libtorrent", "spate", knowV2},
		{"hybrid", "torrent", "spate", "spate", hybrids},
		{"hybrid", "torrent", "libtorrent", "opentracker", hybrids},
		{"hybrid", "magnet", "spate", "spate", knowV2},
	} {
		t.Run(strings.Join([]string{c.format, "by", c.by, "from", c.seed, "at", c.tracker}, " "), func(t *testing.T) {
			t.Parallel()
			for _, name := range append([]string{c.seed, c.tracker}, c.clients...) {
				if k, ok := swarmClients[name]; ok {
					need(t, k.need)
				}
			}
			need(t, "tc")
			l := newLAN(t, len(c.clients)+2)
			l.slow(t, 1, "40mbit")
			path := noise(t, filepath.Join(t.TempDir(), "mixed.bin"), 12<<20)
			torrent := path + ".torrent"
			url := fmt.Sprintf("http://%s:7777/announce", l.Hosts[0].IP)
			var made ready
			out := l.Hosts[1].run("create", path, "-o", torrent, "-a", url, "--format", c.format, "--piece-length", "128KiB", "--json")
			if err := json.Unmarshal([]byte(out), &made); err != nil {
				t.Fatal(err)
			}
			if c.tracker == "spate" {
				l.Hosts[0].serve("tracker", "--listen", ":7777")
			} else {
				openTracker(t, l.Hosts[0], made)
			}
			swarmClients[c.seed].start(l.Hosts[1], torrent, filepath.Dir(path), true)
			source := torrent
			if c.by == "magnet" {
				source = made.Magnet
			}
			began := time.Now()
			got := map[string]string{}
			for i, name := range c.clients {
				dir := t.TempDir()
				swarmClients[name].start(l.Hosts[i+2], source, dir, false)
				got[fmt.Sprint(name, " ", i)] = filepath.Join(dir, "mixed.bin")
			}
			for len(got) > 0 {
				for client, file := range got {
					if same(path, file) {
						t.Logf("%s after %.1f s", client, time.Since(began).Seconds())
						delete(got, client)
					}
				}
				if time.Since(began) > patience {
					t.Fatalf("these clients have not completed: %v", got)
				}
				time.Sleep(200 * time.Millisecond) // other programs do not report progress
			}
		})
	}
}

// swarmClient is a client in a mixed swarm. start starts the client with source, which is a
// .torrent or a magnet link. The client downloads into dir, or seeds the data in dir, until
// it is stopped.
type swarmClient struct {
	need  string // program that must be installed
	start func(h *host, source, dir string, seed bool) *proc
}

var swarmClients = map[string]swarmClient{
	"spate": {"ip", func(h *host, source, dir string, seed bool) *proc {
		if seed {
			return h.spate("seed", source, "--data", dir)
		}
		return h.spate("get", source, "-o", dir, "--seed", "forever")
	}},
	"aria2": {"aria2c", func(h *host, source, dir string, seed bool) *proc {
		return h.start("aria2c", append(aria2Flags, "--seed-ratio=0", "--dir", dir, source)...)
	}},
	"transmission": {"transmission-cli", func(h *host, source, dir string, seed bool) *proc { return transmission(h, source, dir) }},
	"transmission-daemon": {"transmission-daemon", func(h *host, source, dir string, seed bool) *proc {
		return transmissionDaemon(h, source, dir)
	}},
	"libtorrent": {"libtorrent", func(h *host, source, dir string, seed bool) *proc { return libtorrent(h, "get", source, dir) }},
	"rtorrent":   {"rtorrent", func(h *host, source, dir string, seed bool) *proc { return rtorrent(h, source, dir) }},
}

// transmissionDaemon starts transmission-daemon and puts the torrent into its watched folder.
func transmissionDaemon(h *host, source, dir string) *proc {
	h.t.Helper()
	conf, watch := h.t.TempDir(), h.t.TempDir()
	writeFile(h.t, filepath.Join(conf, "settings.json"), fmt.Appendf(nil, `{"dht-enabled": false, "lpd-enabled": false, "pex-enabled": true,
		"utp-enabled": false, "port-forwarding-enabled": false, "peer-port": 51413, "download-dir": %q, "preallocation": 0,
		"rpc-enabled": false, "watch-dir-enabled": true, "watch-dir": %q, "rename-partial-files": false}`, dir, watch))
	b, err := os.ReadFile(source)
	if err != nil {
		h.t.Fatal(err)
	}
	writeFile(h.t, filepath.Join(watch, "it.torrent"), b)
	return h.start("transmission-daemon", "-f", "-g", conf)
}

// slow limits the upload rate of a host.
func (l *lan) slow(t *testing.T, host int, rate string) {
	t.Helper()
	cmd := exec.Command("tc", "-n", l.Hosts[host].ns, "qdisc", "add", "dev", "eth0", "root", "tbf", "rate", rate, "burst", "64kb", "latency", "100ms")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("tc: %v\n%s", err, out)
	}
}
