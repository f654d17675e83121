package e2e

import (
	"fmt"
	"os"
	"path/filepath"
)

// qbittorrent starts qbittorrent-nox with a torrent, the path of a .torrent file or a magnet link. It
// checks existing data in dir first, so that the command line is the same for downloading and
// seeding.
func qbittorrent(h *host, torrent, dir string) *proc {
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
Session\DHTEnabled=false
Session\LSDEnabled=false
Session\PeXEnabled=false
Session\DefaultSavePath=%s
[LegalNotice]
Accepted=true
[Network]
PortForwardingEnabled=false
[Preferences]
WebUI\LocalHostAuth=false
`, protocol, dir))
	return h.start("qbittorrent-nox", "--profile="+profile, "--skip-dialog=true", torrent)
}

// qbittorrentClient is qBittorrent for tests of what it does otherwise than libtorrent, of which it
// is made.
var qbittorrentClient = client{
	name: "qbittorrent", needs: []string{"qbittorrent-nox"},
	leech: qbittorrent, seed: qbittorrent,
}
