package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// TestTwoSwarms checks that "spate get" carries pieces between the swarms of a hybrid release and its
// v1 twin: aria2, which knows the twin only, and libtorrent, which knows the hybrid only, complete the
// download from it after the publisher has left. The release counts it as one peer.
func TestTwoSwarms(t *testing.T) {
	t.Parallel()
	need(t, "aria2c", "libtorrent", "curl")
	l := newLAN(t, 4)
	path := filepath.Join(t.TempDir(), "tree")
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, size := range map[string]int64{"a": 2<<20 + 77, "b": 5, "c": 1<<20 - 1} {
		noise(t, filepath.Join(path, name), size)
	}
	origin := l.Hosts[0].spate("publish", path, "--json", "--format", "hybrid")
	var r struct {
		TorrentURL string `json:"torrent_url"`
		MagnetTwin string `json:"magnet_twin"`
		PageURL    string `json:"page_url"`
	}
	if err := json.Unmarshal([]byte(origin.line("ready line", func(s string) bool { return strings.Contains(s, `"ready"`) })), &r); err != nil {
		t.Fatal(err)
	}
	dirs := []string{t.TempDir(), t.TempDir(), t.TempDir()}
	// The limit keeps aria2 from completing before the publisher leaves.
	l.Hosts[1].in(t).start("aria2c", append(slices.Clone(aria2Flags), "--disable-ipv6=true", "--seed-time=600", "--max-overall-download-limit=400K", "--dir", dirs[0], r.MagnetTwin)...)
	libtorrent(l.Hosts[2].in(t), "get", l.Hosts[2].in(t).download(r.TorrentURL), dirs[1])
	swarm := func() (live struct{ Seeders, Leechers int }) {
		var release struct {
			Live *struct{ Seeders, Leechers int } `json:"live"`
		}
		release.Live = &live
		if err := json.Unmarshal([]byte(l.Hosts[3].in(t).start("curl", "-sSf", r.PageURL+"/release.json").ok().out.String()), &release); err != nil {
			t.Fatal(err)
		}
		return live
	}
	eventually(t, "the release counts both clients", func() bool { s := swarm(); return s.Seeders+s.Leechers == 3 })
	get := l.Hosts[3].in(t).spate("get", "--json", "--seed", "forever", "-o", dirs[2], r.PageURL)
	get.line("the end of the download", func(s string) bool { return strings.Contains(s, `"done"`) })
	eventually(t, "the release counts four peers", func() bool { s := swarm(); return s.Seeders+s.Leechers == 4 })
	origin.stop(syscall.SIGTERM)
	for i, name := range []string{"aria2", "libtorrent", "spate"} {
		eventually(t, name+" has the data", func() bool { return sameData(path, filepath.Join(dirs[i], "tree")) })
	}
}
