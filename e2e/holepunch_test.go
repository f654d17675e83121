package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
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
// this time (BEP 55). The router of the origin drops its packets to the getters until a direct dial
// has failed, because two peers that hear of each other at once connect by dialling at the same
// time.
func TestHolePunching(t *testing.T) {
	t.Parallel()
	on := newHomes(t, "r:open", "o:masq", "a:masq", "b:full")
	announces := filepath.Join(t.TempDir(), "announces")
	on("srv").serve("tracker", "--public-url", "http://44.1.0.10:6969", "--access-log", announces)
	path := noise(t, filepath.Join(t.TempDir(), "file.bin"), 5<<20+12345)
	torrent := path + ".torrent"
	on("o1").run("create", path, "-a", "http://44.1.0.10:6969/announce", "-o", torrent, "--format", "v1")
	on("r1").spate("get", torrent, "-o", t.TempDir(), "--up", "10k", "--down", "40k")
	eventually(t, "the relay has announced", func() bool {
		b, err := os.ReadFile(announces)
		return err == nil && strings.Contains(string(b), "started")
	})
	on("o-gw").nft(`table inet hold {
	chain forward { type filter hook forward priority -10; policy accept;
		ip daddr { 44.1.3.1, 44.1.4.1 } drop
	}
}`)
	origin, _ := on("o1").serve("seed", torrent, "-vv")
	dirs, getters := map[string]string{}, []*proc{origin}
	for _, name := range []string{"a1", "b1"} {
		dirs[name] = t.TempDir()
		getters = append(getters, on(name).spate("get", torrent, "-o", dirs[name], "--seed", "forever", "-vv"))
	}
	says := func(what string) func() bool {
		return func() bool {
			for _, p := range getters {
				if strings.Contains(p.log.String(), what) {
					return true
				}
			}
			return false
		}
	}
	eventually(t, "a peer asks the relay", says("asked for an introduction"))
	on("o-gw").nft("delete table inet hold")
	for name, dir := range dirs {
		eventually(t, name+" has the data", func() bool { return sameData(path, filepath.Join(dir, "file.bin")) })
	}
	if !says("connected through a hole")() {
		t.Error("no connection through a hole")
	}
}
