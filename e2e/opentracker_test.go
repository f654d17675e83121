package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestOpentracker checks that spate announces to opentracker over HTTP and UDP: opentracker
// counts the seed, a get finds the seed, and opentracker counts neither after they exit.
func TestOpentracker(t *testing.T) {
	t.Parallel()
	need(t, "opentracker", "curl")
	l := newLAN(t, 3)
	ot := l.Hosts[2]
	data := t.TempDir()
	urls := map[string]string{
		"http": fmt.Sprintf("http://%s:7777/announce", ot.IP),
		"udp":  fmt.Sprintf("udp://%s:7777/announce", ot.IP),
	}
	hashes := map[string]string{}
	var all []ready
	for proto, url := range urls {
		path := noise(t, filepath.Join(data, proto+".bin"), 500_000)
		var made ready
		if err := json.Unmarshal([]byte(ot.run("create", path, "-o", path+".torrent", "-a", url, "--json")), &made); err != nil {
			t.Fatal(err)
		}
		hashes[proto] = made.InfoHashV1
		all = append(all, made)
	}
	openTracker(t, ot, all...)
	scrape := func(proto string) string {
		var hash string
		for i := 0; i < len(hashes[proto]); i += 2 {
			hash += "%" + hashes[proto][i:i+2]
		}
		p := ot.start("curl", "-s", fmt.Sprintf("http://%s:7777/scrape?info_hash=%s", ot.IP, hash))
		p.wait()
		return p.out.String()
	}
	eventually(t, "opentracker answers", func() bool { return scrape("http") != "" })

	seed, _ := l.Hosts[0].serve("seed", data, "--data", data)
	for proto := range urls {
		eventually(t, "opentracker counts the seed over "+proto, func() bool { return strings.Contains(scrape(proto), "8:completei1e") })
		dir := t.TempDir()
		l.Hosts[1].run("get", filepath.Join(data, proto+".bin.torrent"), "-o", dir)
		if !same(filepath.Join(data, proto+".bin"), filepath.Join(dir, proto+".bin")) {
			t.Errorf("the data downloaded over %s differs", proto)
		}
		if s := scrape(proto); !strings.Contains(s, "10:downloadedi1e") || !strings.Contains(s, "8:completei1e") {
			t.Errorf("the scrape after a download over %s is %q, want one download and one seed", proto, s)
		}
	}
	seed.interrupt()
	for proto := range urls {
		if s := scrape(proto); strings.Contains(s, "8:completei1e") {
			t.Errorf("the scrape after the seed has exited, over %s, is %q, want no seeds", proto, s)
		}
	}
}

// openTracker starts opentracker on port 7777 for the info-hashes of torrents. It runs as
// nobody in a chroot directory.
func openTracker(t *testing.T, h *host, made ...ready) {
	t.Helper()
	need(t, "opentracker")
	root, err := os.MkdirTemp("", "spate-e2e-opentracker-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	var list []byte
	for _, m := range made {
		for _, hash := range []string{m.InfoHashV1, m.InfoHashV2} {
			if hash != "" {
				list = append(list, hash[:40]+"\n"...)
			}
		}
	}
	writeFile(t, filepath.Join(root, "list"), list)
	h.start("opentracker", "-i", h.IP, "-p", "7777", "-P", "7777", "-u", "nobody", "-d", root, "-w", "/list")
}
