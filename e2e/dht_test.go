package e2e

import (
	"fmt"
	"path/filepath"
	"testing"
)

// entryNode is the node of the DHT that all programs of a test ask first, on the public host srv.
const entryNode = "44.1.0.10:6881"

// inDHT lets spate take part in the DHT of a test.
var inDHT = []string{"--no-dht=false", "--dht-bootstrap", entryNode}

// dhtTransmission starts transmission-daemon with the DHT and adds a torrent, the path of a .torrent
// file or a magnet link. Its data is in dir.
func dhtTransmission(h *host, torrent, dir string) *proc {
	h.t.Helper()
	conf := h.t.TempDir()
	writeFile(h.t, filepath.Join(conf, "settings.json"), fmt.Appendf(nil, `{"dht-enabled": true, "lpd-enabled": false, "pex-enabled": false,
		"port-forwarding-enabled": false, "peer-port": 6881, "download-dir": %q, "preallocation": 0, "rename-partial-files": false}`, dir))
	writeFile(h.t, filepath.Join(conf, "dht.bootstrap"), []byte("44.1.0.10 6881\n")) // in the place of the well-known nodes
	const script = `trap 'kill $p; wait $p; exit' TERM INT
		transmission-daemon -f -g "$1" & p=$!
		until transmission-remote -a "$2"; do sleep 0.1; done
		wait $p`
	return h.start("sh", "-c", script, "sh", conf, torrent)
}

// TestDHTWithOtherPrograms checks that spate, libtorrent and Transmission find each other's peers by
// magnet links without trackers, in a DHT of nodes of libtorrent and spate.
func TestDHTWithOtherPrograms(t *testing.T) {
	t.Parallel()
	need(t, "libtorrent", "transmission-daemon", "transmission-remote")
	on := newHomes(t, "n:open:14")
	data := t.TempDir()
	files, torrents, links := map[string]string{}, map[string]string{}, map[string]string{}
	for _, name := range []string{"spate", "libtorrent", "transmission", "node"} {
		files[name] = noise(t, filepath.Join(data, name+".bin"), 1<<20)
		torrents[name] = filepath.Join(data, name+".torrent")
		on("srv").in(t).run("create", files[name], "-o", torrents[name], "--format", "v1")
		links[name] = lastLine(on("srv").in(t).run("magnet", torrents[name]))
	}
	libtorrent(on("srv").in(t), "node", "-", "-", "DHT=")
	for i := range 4 {
		libtorrent(on(fmt.Sprint("n", i+1)).in(t), "node", "-", "-", "DHT="+entryNode)
		on(fmt.Sprint("n", i+5)).in(t).serve(append([]string{"seed", torrents["node"], "--data", data}, inDHT...)...)
	}
	on("n9").in(t).serve(append([]string{"seed", torrents["spate"], "--data", data}, inDHT...)...)
	libtorrent(on("n10").in(t), "seed", torrents["libtorrent"], data, "DHT="+entryNode)
	dhtTransmission(on("n11").in(t), torrents["transmission"], data)
	for i, c := range []struct {
		from, to string
		get      func(h *host, link, dir string)
	}{
		{"libtorrent", "spate", nil},
		{"transmission", "spate", nil},
		{"spate", "libtorrent", func(h *host, link, dir string) { libtorrent(h, "get", link, dir, "DHT="+entryNode) }},
		{"spate", "transmission", func(h *host, link, dir string) { dhtTransmission(h, link, dir) }},
	} {
		t.Run(c.from+" to "+c.to, func(t *testing.T) {
			t.Parallel()
			dir, h := t.TempDir(), on(fmt.Sprint("n", max(12, i+11))).in(t)
			if c.get == nil {
				port := fmt.Sprint(6881 + i)
				h.spate(append([]string{"get", links[c.from], "-o", dir, "--peer-port", port}, inDHT...)...).ok()
			} else {
				c.get(h, links[c.from], dir)
			}
			eventually(t, c.to+" has the file", func() bool { return same(files[c.from], filepath.Join(dir, filepath.Base(files[c.from]))) })
		})
	}
}
