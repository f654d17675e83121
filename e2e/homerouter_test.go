package e2e

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// newHomes creates a public net and homes behind routers with testdata/natlab.sh, which describes
// the kinds of homes. It returns a function that returns the host with a name, such as o1.
func newHomes(t *testing.T, homes ...string) func(name string) *host {
	t.Helper()
	if os.Getuid() != 0 {
		missing(t, "root, which creating network namespaces needs,")
	}
	need(t, "ip", "nft", "miniupnpd", "bash")
	lab := fmt.Sprintf("sh%d-%d", os.Getpid(), netCount.Add(1))
	if out, err := exec.Command("ip", "netns", "add", lab+"-srv").CombinedOutput(); err != nil { // root in a container
		missing(t, fmt.Sprintf("the permission to create network namespaces (%s)", out))
	}
	exec.Command("ip", "netns", "del", lab+"-srv").Run()
	natlab := func(args ...string) error {
		cmd := exec.Command("bash", append([]string{"testdata/natlab.sh"}, args...)...)
		cmd.Env = append(os.Environ(), "NATLAB="+lab)
		log, err := os.Create(filepath.Join(t.TempDir(), "natlab")) // the routers keep it open, as they would a pipe
		if err != nil {
			return err
		}
		defer log.Close()
		cmd.Stdout, cmd.Stderr = log, log
		if err := cmd.Run(); err != nil {
			said, _ := os.ReadFile(log.Name())
			return fmt.Errorf("natlab.sh %s: %w\n%s", strings.Join(args, " "), err, said)
		}
		return nil
	}
	t.Cleanup(func() {
		if err := natlab("down"); err != nil {
			t.Error(err)
		}
	})
	if err := natlab(append([]string{"up"}, homes...)...); err != nil {
		t.Fatal(err)
	}
	return func(name string) *host {
		return &host{t: t, ns: lab + "-" + name, IP: "0.0.0.0", IP6: "::1", Router: true}
	}
}

// mappings returns the ports that a router maps.
func mappings(t *testing.T, router *host) string {
	t.Helper()
	out, err := exec.Command("ip", "netns", "exec", router.ns, "nft", "list", "chain", "inet", "filter", "prerouting_miniupnpd").CombinedOutput()
	if err != nil {
		t.Fatalf("nft: %v\n%s", err, out)
	}
	var lines []string
	for l := range strings.Lines(string(out)) {
		if strings.Contains(l, "dnat") {
			lines = append(lines, l)
		}
	}
	return strings.Join(lines, "")
}

// TestHomeRouters checks that spate and libtorrent in other homes fetch from a publisher whose
// router speaks UPnP, or NAT-PMP and PCP, that the publisher removes its mappings at the end, and
// that it says why it is not reached behind a router that speaks neither.
func TestHomeRouters(t *testing.T) {
	t.Parallel()
	need(t, "libtorrent", "curl")
	on := newHomes(t, "o:upnp", "a:igd", "b:pmp", "d:masq", "e:symmetric")
	file := filepath.Join(t.TempDir(), "data.bin")
	b := make([]byte, 3<<20)
	rand.Read(b)
	if err := os.WriteFile(file, b, 0o644); err != nil {
		t.Fatal(err)
	}
	for i, home := range []string{"o", "a", "b"} {
		t.Run(home, func(t *testing.T) {
			pub, r := on(home+"1").in(t).serve("publish", file)
			site := fmt.Sprintf("http://44.1.%d.1:6969/", i+1)
			if !strings.HasPrefix(r.PageURL, site) || len(r.AnnounceURLs) == 0 || r.AnnounceURLs[0] != site+"announce" {
				t.Fatalf("the page is at %s, the tracker at %v, want %s", r.PageURL, r.AnnounceURLs, site)
			}
			dir := t.TempDir()
			on("d1").in(t).spate("get", r.PageURL, "-o", dir).ok()
			if !same(file, filepath.Join(dir, "data.bin")) {
				t.Error("spate has other data")
			}
			torrent := filepath.Join(dir, "data.torrent")
			on("e1").in(t).start("curl", "-sf", "-o", torrent, r.TorrentURL).ok()
			dir = t.TempDir()
			libtorrent(on("e1").in(t), "get", torrent, dir)
			eventually(t, "libtorrent has the file", func() bool { return same(file, filepath.Join(dir, "data.bin")) })
			if n := strings.Count(mappings(t, on(home+"-gw")), "\n"); n != 4 {
				t.Errorf("the router maps %d ports, want TCP and UDP of 2", n)
			}
			pub.interrupt()
			if left := mappings(t, on(home+"-gw")); left != "" {
				t.Errorf("the router still maps\n%s", left)
			}
		})
	}
	t.Run("no help", func(t *testing.T) {
		p := on("d1").in(t).spate("publish", file, "--json")
		s := p.line("a ready line", func(s string) bool { return strings.Contains(s, `"ready"`) })
		var r struct {
			Reachable struct{ Problem, Advice string }
		}
		if err := json.Unmarshal([]byte(s), &r); err != nil || r.Reachable.Problem == "" || !strings.Contains(r.Reachable.Advice, "6881") {
			t.Errorf("the ready line is %s (%v)", s, err)
		}
	})
}
