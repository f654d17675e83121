package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// qbittorrent starts qbittorrent-nox with a torrent, the path of a .torrent file or a magnet link. It
// checks existing data in dir first, so that the command line is the same for downloading and
// seeding. With inTestDHT it takes part in the DHT of a test: the well-known nodes, which it always
// asks first, then have the address of entryNode. It then gets the torrent when it knows a node, and
// gets it anew every ten seconds until it has a peer, because it searches for the peers of a torrent
// only once in 15 minutes.
func qbittorrent(h *host, torrent, dir string, inTestDHT bool) *proc {
	h.t.Helper()
	profile := h.t.TempDir()
	config := filepath.Join(profile, "qBittorrent", "config")
	if err := os.MkdirAll(config, 0o755); err != nil {
		h.t.Fatal(err)
	}
	protocol := "TCP"
	if h.UTP {
		protocol = "UTP"
	}
	writeFile(h.t, filepath.Join(config, "qBittorrent.conf"), fmt.Appendf(nil, `[BitTorrent]
Session\Port=6881
Session\BTProtocol=%s
Session\DHTEnabled=%t
Session\LSDEnabled=false
Session\PeXEnabled=false
Session\DefaultSavePath=%s
[LegalNotice]
Accepted=true
[Network]
PortForwardingEnabled=false
[Preferences]
WebUI\LocalHostAuth=false
`, protocol, inTestDHT, dir))
	if !inTestDHT {
		return h.start("qbittorrent-nox", "--profile="+profile, "--skip-dialog=true", torrent)
	}
	writeFile(h.t, filepath.Join(profile, "hosts"), []byte("127.0.0.1 localhost\n44.1.0.10 router.bittorrent.com router.utorrent.com dht.transmissionbt.com\n"))
	field := "urls=" + torrent
	if !strings.HasPrefix(torrent, "magnet:") {
		field = "torrents=@" + torrent
	}
	const script = `trap 'kill $p; wait $p; exit' TERM INT
		mount --bind "$1/hosts" /etc/hosts
		qbittorrent-nox --profile="$1" & p=$!
		api=http://127.0.0.1:8080/api/v2
		until curl -s $api/transfer/info | grep '"dht_nodes":[1-9]'; do sleep 0.2; done
		until curl -s $api/torrents/info | grep '"num_\(seeds\|leechs\)":[1-9]'; do
			curl -s $api/torrents/delete -d hashes=all -d deleteFiles=false
			curl -s $api/torrents/add -F "$2"
			sleep 10
		done
		wait $p`
	return h.start("sh", "-c", script, "sh", profile, field)
}

// qbittorrentClient is qBittorrent for tests of what it does otherwise than libtorrent, of which it
// is made.
var qbittorrentClient = client{
	name: "qbittorrent", needs: []string{"qbittorrent-nox"},
	leech: func(h *host, torrent, dir string) *proc { return qbittorrent(h, torrent, dir, false) },
	seed:  func(h *host, torrent, dir string) *proc { return qbittorrent(h, torrent, dir, false) },
}

// TestDHTWithQBittorrent checks that spate and qBittorrent find each other's peers by magnet links
// without trackers. Each host has a network of its own, because qBittorrent asks one node of a
// network for peers.
func TestDHTWithQBittorrent(t *testing.T) {
	t.Parallel()
	need(t, "libtorrent", "qbittorrent-nox", "curl")
	on := newHomes(t, "a:open", "b:open", "c:open", "d:open")
	data := t.TempDir()
	torrent := func(name string) (file, path, link string) {
		file, path = noise(t, filepath.Join(data, name), 1<<20), filepath.Join(data, name+".torrent")
		on("srv").in(t).run("create", file, "-o", path, "--format", "v1")
		return file, path, lastLine(on("srv").in(t).run("magnet", path))
	}
	libtorrent(on("srv").in(t), "node", "-", "-", "DHT=")
	ours, path, ourLink := torrent("spate.bin")
	on("a1").in(t).serve(append([]string{"seed", path, "--data", data}, inDHT...)...)
	theirs, path, theirLink := torrent("qbittorrent.bin")
	qbittorrent(on("b1").in(t), path, data, true)
	t.Run("qbittorrent to spate", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		on("c1").in(t).spate(append([]string{"get", theirLink, "-o", dir}, inDHT...)...).ok()
		if !same(theirs, filepath.Join(dir, "qbittorrent.bin")) {
			t.Error("spate has other data than qBittorrent")
		}
	})
	t.Run("spate to qbittorrent", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		qbittorrent(on("d1").in(t), ourLink, dir, true)
		eventually(t, "qBittorrent has the file", func() bool { return same(ours, filepath.Join(dir, "spate.bin")) })
	})
}
