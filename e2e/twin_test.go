package e2e

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestTwin: clients that cannot use hybrid torrents get what is published with no
// flags at all, by the URL of the .torrent and by the magnet link for them, and
// get it from peers.
func TestTwin(t *testing.T) {
	t.Parallel()
	for kind, make := range payloads {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			need(t, "aria2c", "transmission-cli")
			l := newLAN(t, 5)
			path := make(t, t.TempDir())
			origin := l.Hosts[0].spate("publish", path, "--json")
			var r struct {
				TorrentURL   string `json:"torrent_url"`
				MagnetTwin   string `json:"magnet_twin"`
				InfoHashTwin string `json:"info_hash_twin"`
			}
			if err := json.Unmarshal([]byte(origin.line(time.Minute, "ready line", func(s string) bool { return strings.Contains(s, `"ready"`) })), &r); err != nil {
				t.Fatal(err)
			}
			host := 1
			dirs := map[string]string{}
			for _, c := range clients() {
				if c.name != "aria2" && c.name != "transmission" {
					continue
				}
				for what, source := range map[string]string{"URL": r.TorrentURL, "magnet": r.MagnetTwin} {
					dir := t.TempDir()
					dirs[c.name+" by "+what] = dir
					c.leech(l.Hosts[host].in(t), source, dir)
					host++
				}
			}
			for who, dir := range dirs {
				eventually(t, 50*time.Second, who+" has it", func() bool { return sameData(path, filepath.Join(dir, filepath.Base(path))) })
			}
			origin.line(10*time.Second, "bytes sent to peers of the twin", func(s string) bool {
				var e struct {
					Event    string `json:"event"`
					InfoHash string `json:"info_hash"`
					Uploaded int64  `json:"uploaded"`
				}
				return json.Unmarshal([]byte(s), &e) == nil && e.Event == "stats" && e.InfoHash == r.InfoHashTwin && e.Uploaded > 0
			})
		})
	}
}
