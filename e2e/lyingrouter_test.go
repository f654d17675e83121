package e2e

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestLyingRouters checks what publish and doctor say behind a router that names a false external
// address, and behind one that grants mappings and forwards nothing.
func TestLyingRouters(t *testing.T) {
	t.Parallel()
	need(t, "python3")
	on := newHomes(t, "a:masq", "b:masq", "p:open")
	on("srv").in(t).serve("tracker", "--listen", "44.1.0.10:6969")
	const announce = "http://44.1.0.10:6969/announce"
	script, err := filepath.Abs("testdata/lyingrouter.py")
	if err != nil {
		t.Fatal(err)
	}
	lie := func(t *testing.T, home, lan, external string) {
		t.Helper()
		on(home+"-gw").in(t).start("python3", script, lan, external).line("ready", func(s string) bool { return s == "ready" })
	}
	finding := func(t *testing.T, p *proc, check, part string) {
		t.Helper()
		if code := p.wait(); code != 1 {
			t.Errorf("doctor exited with %d", code)
		}
		for l := range strings.Lines(p.out.String()) {
			if f := strings.Fields(l); len(f) > 1 && f[0] == "fail" && f[1] == check && strings.Contains(l, part) {
				return
			}
		}
		t.Errorf("doctor does not say that %s fails with %q:\n%s", check, part, p.out.String())
	}
	t.Run("a false address", func(t *testing.T) {
		t.Parallel()
		lie(t, "a", "192.168.1.1", "44.99.0.1")
		h, state := on("a1").in(t), t.TempDir()
		h.spate("publish", noise(t, filepath.Join(t.TempDir(), "data.bin"), 1<<20), "-a", announce, "--json", "--state", state).line("the false address", func(s string) bool {
			return strings.Contains(s, `"problem":"trackers see the address 44.1.1.1, not that of the router`)
		})
		finding(t, h.spate("doctor", "--state", state), "nat", "trackers see the address 44.1.1.1, not that of the router")
	})
	t.Run("a mapping that is none", func(t *testing.T) {
		t.Parallel()
		lie(t, "b", "192.168.2.1", "44.1.2.1")
		file := noise(t, filepath.Join(t.TempDir(), "data.bin"), 1<<20)
		torrent := filepath.Join(t.TempDir(), "data.torrent")
		on("p1").in(t).run("create", file, "-o", torrent, "-a", announce)
		on("p1").in(t).serve("seed", torrent, "--data", filepath.Dir(file))
		eventually(t, "the tracker knows the seed", func() bool {
			return strings.Contains(on("p1").in(t).run("scrape", torrent, "--json"), `"complete":1`)
		})
		h := on("b1").in(t)
		finding(t, h.spate("doctor", torrent, "--state", t.TempDir()), "dial-back-tcp4", "others do not reach TCP port 6881 over IPv4")
	})
}
