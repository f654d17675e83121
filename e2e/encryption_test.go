package e2e

import (
	"path/filepath"
	"testing"
)

// encryptingClients are clients that refuse connections without encryption.
var encryptingClients = []client{
	{
		name: "aria2", needs: []string{"aria2c"},
		leech: func(h *host, torrent, dir string) *proc {
			return h.start("aria2c", append(aria2Flags, "--bt-force-encryption=true", "--seed-time=600", "--dir", dir, torrent)...)
		},
		seed: func(h *host, torrent, dir string) *proc {
			return h.start("aria2c", append(aria2Flags, "--bt-force-encryption=true", "--check-integrity=true", "--seed-ratio=0", "--dir", dir, torrent)...)
		},
	},
	{
		name: "transmission", needs: []string{"transmission-cli"},
		leech: func(h *host, torrent, dir string) *proc { return transmission(h, torrent, dir, "-er") },
		seed:  func(h *host, torrent, dir string) *proc { return transmission(h, torrent, dir, "-er") },
	},
	{
		name: "libtorrent", needs: []string{"libtorrent"},
		leech: func(h *host, torrent, dir string) *proc { return libtorrent(h, "get", torrent, dir, "ENCRYPT=1") },
		seed:  func(h *host, torrent, dir string) *proc { return libtorrent(h, "seed", torrent, dir, "ENCRYPT=1") },
	},
	{
		name: "rtorrent", needs: []string{"rtorrent"},
		leech: func(h *host, torrent, dir string) *proc { return rtorrent(h, torrent, dir, requireRC4) },
		seed:  func(h *host, torrent, dir string) *proc { return rtorrent(h, torrent, dir, requireRC4) },
	},
	{
		name: "spate",
		leech: func(h *host, torrent, dir string) *proc {
			return h.spate("get", torrent, "-o", dir, "--encryption", "require")
		},
		seed: func(h *host, torrent, dir string) *proc {
			return h.spate("seed", torrent, "--encryption", "require")
		},
	},
}

const requireRC4 = "protocol.encryption.set = allow_incoming,try_outgoing,require,require_RC4"

// TestEncryption exchanges a file with clients that require encryption, in both directions:
// spate with its default settings finds out that they do, and a spate that requires it too.
func TestEncryption(t *testing.T) {
	t.Parallel()
	for _, c := range encryptingClients {
		for _, mode := range []string{"allow", "require"} {
			t.Run(c.name+"/"+mode, func(t *testing.T) {
				t.Parallel()
				need(t, c.needs...)
				l := newLAN(t, 4)
				_, tr := l.Hosts[3].serve("tracker")
				path := noise(t, filepath.Join(t.TempDir(), "file.bin"), 3<<20+12345)
				torrent := path + ".torrent"
				l.Hosts[0].run("create", path, "-a", tr.AnnounceURLs[0], "-o", torrent)
				c.seed(l.Hosts[0], torrent, filepath.Dir(path))
				got := t.TempDir()
				l.Hosts[1].run("get", torrent, "-o", got, "--encryption", mode)
				if !same(path, filepath.Join(got, "file.bin")) {
					t.Errorf("the data from %s differs", c.name)
				}
				// Now from spate alone: this file is on no other host.
				path = noise(t, filepath.Join(t.TempDir(), "back.bin"), 3<<20+12345)
				torrent = path + ".torrent"
				l.Hosts[0].run("create", path, "-a", tr.AnnounceURLs[0], "-o", torrent)
				l.Hosts[1].serve("seed", torrent, "--encryption", mode)
				dir := t.TempDir()
				c.leech(l.Hosts[2], torrent, dir)
				eventually(t, c.name+" has the data", func() bool { return same(path, filepath.Join(dir, "back.bin")) })
			})
		}
	}
}
