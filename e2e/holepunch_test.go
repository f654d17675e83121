package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// nft runs nft in the namespace of a router.
func (h *host) nft(rules string) {
	h.t.Helper()
	cmd := exec.Command("ip", "netns", "exec", h.ns, "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(rules)
	if out, err := cmd.CombinedOutput(); err != nil {
		h.t.Fatalf("nft: %v\n%s", err, out)
	}
}

// TestHolePunching checks that an origin behind a router that forwards no port serves getters behind
// other routers through holes, with the help of one reachable peer that cannot pass on the data in
// this time (BEP 55).
//
// Two peers that dial each other at the same time need no relay. So the router of the origin drops
// the packets of all direct dials to the getters for the whole test. It knows them by the TCP that
// spate dials before uTP: a punch uses uTP alone, and its last packet goes out later than the router
// remembers the last packet of TCP.
func TestHolePunching(t *testing.T) {
	t.Parallel()
	on := newHomes(t, "r:open", "o:masq", "a:masq", "b:full")
	announces := filepath.Join(t.TempDir(), "announces")
	on("srv").serve("tracker", "--public-url", "http://44.1.0.10:6969", "--access-log", announces)
	path := noise(t, filepath.Join(t.TempDir(), "file.bin"), 5<<20+12345)
	torrent := path + ".torrent"
	on("o1").run("create", path, "-a", "http://44.1.0.10:6969/announce", "-o", torrent, "--format", "v1")
	// At this rate the relay is no seed within the patience of all steps, and nobody has the data from it.
	on("r1").spate("get", torrent, "-o", t.TempDir(), "--up", "2k", "--down", "4k")
	eventually(t, "the relay has announced", func() bool {
		b, err := os.ReadFile(announces)
		return err == nil && strings.Contains(string(b), "started")
	})
	on("o-gw").nft(`table inet direct {
	set lately {
		type ipv4_addr
		flags dynamic, timeout
		timeout 2500ms
	}
	chain forward {
		type filter hook forward priority -10; policy accept;
		ip daddr != { 44.1.3.1, 44.1.4.1 } accept
		ct status seen-reply accept
		meta l4proto tcp update @lately { ip daddr } drop
		ip daddr @lately drop
	}
}`)
	origin, _ := on("o1").serve("seed", torrent, "-vv")
	dirs, peers := map[string]string{}, []*proc{origin}
	for _, name := range []string{"a1", "b1"} {
		dirs[name] = t.TempDir()
		peers = append(peers, on(name).spate("get", torrent, "-o", dirs[name], "--seed", "forever", "-vv"))
	}
	for name, dir := range dirs {
		eventually(t, name+" has the data", func() bool { return sameData(path, filepath.Join(dir, "file.bin")) })
	}
	for _, line := range []string{"asked for an introduction", "connected through a hole"} {
		if !slices.ContainsFunc(peers, func(p *proc) bool { return strings.Contains(p.log.String(), line) }) {
			t.Errorf("no peer says %q", line)
		}
	}
}
