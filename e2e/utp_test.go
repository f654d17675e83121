package e2e

import (
	"fmt"
	"path/filepath"
	"syscall"
	"testing"
)

// TestOtherClientsByUTP checks that libtorrent, Transmission and qBittorrent download from spate, and
// spate from them, over uTP, on IPv4 and IPv6. spate has no TCP for peers.
func TestOtherClientsByUTP(t *testing.T) {
	t.Parallel()
	for _, c := range append(clients(), qbittorrentClient) {
		if c.name != "libtorrent" && c.name != "transmission" && c.name != "qbittorrent" {
			continue
		}
		for _, family := range []string{"IPv4", "IPv6"} {
			t.Run(c.name+"/"+family, func(t *testing.T) {
				t.Parallel()
				need(t, c.needs...)
				l := newLAN(t, 4)
				for _, h := range l.Hosts {
					h.UTP = true
				}
				tracker, seed, get, other := l.Hosts[0], l.Hosts[1], l.Hosts[2], l.Hosts[3]
				at := func(h *host) string {
					if family == "IPv4" {
						return h.IP
					}
					return h.IP6
				}
				tracker.serve("tracker")
				path := noise(t, filepath.Join(t.TempDir(), "file.bin"), 5<<20+12345)
				torrent := path + ".torrent"
				url := "http://" + tracker.IP + ":6969/announce"
				if family == "IPv6" {
					url = fmt.Sprintf("http://[%s]:6969/announce", tracker.IP6)
				}
				seed.run("create", path, "-a", url, "-o", torrent, "--format", "v1")
				origin, _ := seed.serve("seed", torrent, "--transport", "utp", "--bind", at(seed))
				dir := t.TempDir()
				c.leech(other, torrent, dir)
				eventually(t, c.name+" has the data", func() bool { return sameData(path, filepath.Join(dir, "file.bin")) })
				origin.stop(syscall.SIGTERM)
				got := t.TempDir()
				get.run("get", torrent, "-o", got, "--transport", "utp", "--bind", at(get))
				if !sameData(path, filepath.Join(got, "file.bin")) {
					t.Errorf("spate has other data than %s", c.name)
				}
			})
		}
	}
}
