package e2e

import (
	"path/filepath"
	"syscall"
	"testing"
)

// TestLocalPeers checks local peer discovery (BEP 14) without a tracker: spate finds spate by
// .torrent and by magnet link, and spate and libtorrent find each other. A private torrent is
// not announced.
func TestLocalPeers(t *testing.T) {
	t.Parallel()
	need(t, "libtorrent")
	l := newLAN(t, 3)
	for _, h := range l.Hosts {
		h.LSD = true
	}
	data := t.TempDir()
	tree := smallTree(t, filepath.Join(data, "tree"))
	torrent, secret := filepath.Join(data, "tree.torrent"), filepath.Join(data, "secret.torrent")
	l.Hosts[0].run("create", tree, "-o", torrent)
	l.Hosts[0].run("create", tree, "-o", secret, "--private", "-a", "http://"+l.Hosts[0].IP+":9/announce")
	link := lastLine(l.Hosts[0].run("magnet", torrent))
	seed, _ := l.Hosts[0].serve("seed", torrent, secret, "--data", data)
	for name, source := range map[string]string{"torrent": torrent, "magnet": link} {
		t.Run("spate by "+name, func(t *testing.T) {
			dir := t.TempDir()
			l.Hosts[1].in(t).spate("get", source, "-o", dir).ok()
			if !sameData(tree, filepath.Join(dir, "tree")) {
				t.Error("the downloaded data differs")
			}
		})
	}
	t.Run("libtorrent", func(t *testing.T) {
		dir := t.TempDir()
		libtorrent(l.Hosts[2].in(t), "get", torrent, dir)
		eventually(t, "libtorrent has the directory", func() bool { return sameData(tree, filepath.Join(dir, "tree")) })
	})
	t.Run("private", func(t *testing.T) {
		h := l.Hosts[1].in(t)
		if code := h.spate("get", secret, "-o", t.TempDir(), "--timeout", "4s").wait(); code != 5 {
			t.Errorf("exit code %d, want 5: the get must find no peers", code)
		}
	})
	seed.stop(syscall.SIGTERM)
	t.Run("from libtorrent", func(t *testing.T) {
		libtorrent(l.Hosts[2].in(t), "seed", torrent, data)
		dir := t.TempDir()
		l.Hosts[1].in(t).spate("get", torrent, "-o", dir).ok()
		if !sameData(tree, filepath.Join(dir, "tree")) {
			t.Error("the downloaded data differs")
		}
	})
}
