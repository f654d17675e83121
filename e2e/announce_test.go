package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// announced is an entry of the tracker's access log.
type announced struct {
	Via      string         `json:"via"`
	Event    string         `json:"event"`
	InfoHash string         `json:"info_hash"`
	Addr     netip.AddrPort `json:"addr"`
	Client   string         `json:"client"`
	Left     int64          `json:"left"`
	Refused  string         `json:"refused"`
}

// accessLog returns the current entries of a tracker's access log.
func accessLog(t *testing.T, path string) []announced {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []announced
	for sc := bufio.NewScanner(f); sc.Scan(); {
		var a announced
		if err := json.Unmarshal(sc.Bytes(), &a); err != nil {
			t.Fatalf("access log: %v in %q", err, sc.Text())
		}
		all = append(all, a)
	}
	return all
}

// spateClient returns spate as a client, for tests that compare it with others.
func spateClient() client {
	return client{
		name: "spate",
		leech: func(h *host, torrent, dir string) *proc {
			return h.spate("get", torrent, "-o", dir, "--seed", "forever")
		},
		seed: func(h *host, torrent, dir string) *proc {
			return h.spate("seed", torrent, "--data", dir)
		},
	}
}

// TestClientsAnnounceToTracker checks that each client, and spate itself, finds a seed
// through spate's tracker, with announce URLs for HTTP and UDP over IPv4 and IPv6. The
// access log must contain the announces of the client over that transport.
func TestClientsAnnounceToTracker(t *testing.T) {
	for _, c := range append(clients(), spateClient()) {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			need(t, c.needs...)
			l := newLAN(t, 5)
			tr := l.Hosts[0]
			log := filepath.Join(t.TempDir(), "access.log")
			tr.serve("tracker", "--access-log", log)
			urls := map[string]string{
				"http4": fmt.Sprintf("http://%s:6969/announce", tr.IP),
				"http6": fmt.Sprintf("http://[%s]:6969/announce", tr.IP6),
				"udp4":  fmt.Sprintf("udp://%s:6969/announce", tr.IP),
				"udp6":  fmt.Sprintf("udp://[%s]:6969/announce", tr.IP6),
			}
			data := t.TempDir()
			for kind, url := range urls {
				path := noise(t, filepath.Join(data, kind), 600_000)
				tr.run("create", path, "-a", url, "-o", path+".torrent", "--format", "v1")
			}
			tr.serve("seed", data, "--data", data)
			for i, kind := range []string{"http4", "http6", "udp4", "udp6"} {
				if slices.Contains(c.cannot, kind) {
					continue
				}
				t.Run(kind, func(t *testing.T) {
					t.Parallel()
					announceBy(t, c, l.Hosts[1+i].in(t), filepath.Join(data, kind), log)
				})
			}
		})
	}
}

// announceBy downloads path with c on h and checks the access log of the tracker.
func announceBy(t *testing.T, c client, h *host, path, log string) {
	kind := filepath.Base(path)
	dir := t.TempDir()
	p := c.leech(h, path+".torrent", dir)
	eventually(t, "download by "+kind, func() bool { return same(path, filepath.Join(dir, kind)) })
	ip := h.IP
	if strings.HasSuffix(kind, "6") {
		ip = h.IP6
	}
	seen := func(event string) bool {
		return slices.ContainsFunc(accessLog(t, log), func(a announced) bool {
			return a.Event == event && a.Addr.Addr() == netip.MustParseAddr(ip) && strings.HasPrefix(kind, a.Via)
		})
	}
	if !seen("started") {
		t.Errorf("the log has no event started from %s by %s", ip, kind)
	}
	eventually(t, "completed", func() bool { return seen("completed") })
	p.stop(syscall.SIGINT)
	if c.name != "transmission" { // transmission sometimes exits before it has sent this event
		eventually(t, "stopped", func() bool { return seen("stopped") })
	}
}
