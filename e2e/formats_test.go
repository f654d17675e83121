package e2e

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestLibtorrentExchangesAllFormats checks that libtorrent and spate download a directory
// from each other as a v1, v2 and hybrid torrent, by .torrent and by magnet link.
func TestLibtorrentExchangesAllFormats(t *testing.T) {
	for _, format := range []string{"v1", "v2", "hybrid"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			need(t, "libtorrent")
			l := newLAN(t, 3)
			data := t.TempDir()
			tree := smallTree(t, filepath.Join(data, "tree"))
			origin, r := l.Hosts[0].serve("publish", tree, "--format", format)
			torrent := l.Hosts[1].download(r.TorrentURL)
			// Remove the web seed, so that all data comes from peers.
			l.Hosts[0].run("edit", torrent, "--remove-web-seed", "all")
			link := lastLine(l.Hosts[0].run("magnet", torrent))
			for name, source := range map[string]string{"torrent": torrent, "magnet": link} {
				dir := t.TempDir()
				p := libtorrent(l.Hosts[1], "get", source, dir)
				eventually(t, "libtorrent has the directory by "+name, func() bool { return sameData(tree, filepath.Join(dir, "tree")) })
				p.stop(syscall.SIGTERM)
			}

			// Now libtorrent seeds and spate downloads.
			origin.stop(syscall.SIGTERM)
			l.Hosts[2].serve("tracker")
			announce := "http://" + l.Hosts[2].IP + ":6969/announce"
			other := filepath.Join(data, "other.torrent")
			l.Hosts[0].run("create", tree, "-a", announce, "-o", other, "--format", format)
			seed := libtorrent(l.Hosts[0], "seed", other, data)
			eventually(t, "libtorrent seeds", func() bool {
				_, ok := seed.out.find(func(s string) bool { return len(s) > 7 && s[:7] == "seeding" })
				return ok
			})
			link = lastLine(l.Hosts[0].run("magnet", other))
			for name, source := range map[string]string{"torrent": other, "magnet": link} {
				dir := t.TempDir()
				l.Hosts[1].run("get", source, "-o", dir)
				if !sameData(tree, filepath.Join(dir, "tree")) {
					t.Errorf("the directory downloaded by %s differs", name)
				}
			}
		})
	}
}

// lastLine returns the last line of s.
func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}
