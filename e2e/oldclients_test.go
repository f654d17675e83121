package e2e

import (
	"cmp"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestOldClients checks that clients without support for hybrid torrents can download a
// release of "spate publish", by the URL of the .torrent and by the magnet link: without
// flags, and by the v1 twin of a hybrid.
func TestOldClients(t *testing.T) {
	t.Parallel()
	for kind, make := range payloads {
		t.Run(kind, func(t *testing.T) { oldClients(t, make) })
		t.Run(kind+" as a hybrid", func(t *testing.T) { oldClients(t, make, "--format", "hybrid") })
	}
}

func oldClients(t *testing.T, make func(t *testing.T, dir string) string, flags ...string) {
	t.Parallel()
	need(t, "aria2c", "transmission-cli")
	l := newLAN(t, 5)
	path := make(t, t.TempDir())
	origin := l.Hosts[0].spate(append([]string{"publish", path, "--json"}, flags...)...)
	var r struct {
		TorrentURL string `json:"torrent_url"`
		Magnet     string `json:"magnet"`
		MagnetTwin string `json:"magnet_twin"`
	}
	if err := json.Unmarshal([]byte(origin.line("ready line", func(s string) bool { return strings.Contains(s, `"ready"`) })), &r); err != nil {
		t.Fatal(err)
	}
	magnet := cmp.Or(r.MagnetTwin, r.Magnet)
	if (r.MagnetTwin != "") != (len(flags) > 0) {
		t.Errorf("the magnet link of the twin is %q, want one only of a hybrid", r.MagnetTwin)
	}
	var aria2, old client
	for _, c := range clients() {
		switch c.name {
		case "aria2":
			aria2 = c
		case "transmission":
			old = c
		}
	}
	dirs := map[string]string{}
	fetch := func(c client, what, source string) {
		dir := t.TempDir()
		dirs[c.name+" by "+what] = dir
		c.leech(l.Hosts[len(dirs)].in(t), source, dir)
	}
	fetch(aria2, "URL", r.TorrentURL)
	fetch(old, "URL", r.TorrentURL)
	fetch(old, "magnet", magnet)
	// With a magnet link aria2 uses no web seed, so all its data comes from peers.
	dirs["aria2 by magnet"] = t.TempDir()
	l.Hosts[4].in(t).start("aria2c", append(slices.Clone(aria2Flags), "--disable-ipv6=true", "--seed-time=600", "--dir", dirs["aria2 by magnet"], magnet)...)
	for client, dir := range dirs {
		eventually(t, client+" has the data", func() bool { return sameData(path, filepath.Join(dir, filepath.Base(path))) })
	}
}
