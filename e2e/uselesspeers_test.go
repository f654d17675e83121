package e2e

import (
	"fmt"
	"path/filepath"
	"testing"
)

// TestUselessPeers connects peers to a seed that are idle, request nothing, do not read, or
// read slowly. A get that starts later must complete. It would not if the seed waited for
// the other peers.
func TestUselessPeers(t *testing.T) {
	need(t, "python3")
	script, err := filepath.Abs("testdata/useless.py")
	if err != nil {
		t.Fatal(err)
	}
	for _, habit := range []string{"idle", "interested", "deaf", "slow"} {
		for _, count := range []int{2, 100} {
			t.Run(fmt.Sprint(count, " ", habit), func(t *testing.T) {
				t.Parallel()
				l := newLAN(t, 3)
				torrent := noise(t, filepath.Join(t.TempDir(), "data.bin"), 30<<20) + ".torrent"
				l.Hosts[0].run("create", torrent[:len(torrent)-8], "-o", torrent, "--format", "v1")
				_, seed := l.Hosts[0].serve("seed", torrent, "--up", "10M", "--peer-port", "6881")
				useless := l.Hosts[1].start("python3", script, l.Hosts[0].IP, "6881", seed.InfoHashV1, fmt.Sprint(count), habit)
				useless.line("ready", func(s string) bool { return s == "ready" })
				got := t.TempDir()
				l.Hosts[2].spate("get", torrent, "-o", got, "--peer", l.Hosts[0].IP+":6881").ok()
				if !same(torrent[:len(torrent)-8], filepath.Join(got, "data.bin")) {
					t.Error("the downloaded data differs")
				}
			})
		}
	}
}
