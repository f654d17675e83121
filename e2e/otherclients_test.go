package e2e

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
)

// TestOtherClientsShareTracker checks that the other clients exchange a file with each
// other through spate's tracker: one seeds and the others download. The tracker's
// statistics must count each download once and contain the names of the clients.
func TestOtherClientsShareTracker(t *testing.T) {
	for kind, seeder := range map[string]string{"http4": "rtorrent", "http6": "aria2", "udp4": "transmission"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			all := clients()
			l := newLAN(t, 1+len(all))
			tr := l.Hosts[0]
			tr.serve("tracker")
			url := map[string]string{
				"http4": fmt.Sprintf("http://%s:6969/announce", tr.IP),
				"http6": fmt.Sprintf("http://[%s]:6969/announce", tr.IP6),
				"udp4":  fmt.Sprintf("udp://%s:6969/announce", tr.IP),
			}[kind]
			path := noise(t, filepath.Join(t.TempDir(), kind), 2<<20)
			tr.run("create", path, "-a", url, "-o", path+".torrent", "--format", "v1")
			dirs := map[string]string{}
			for i, c := range all {
				need(t, append(c.needs, "curl")...)
				if c.name == seeder {
					c.seed(l.Hosts[1+i], path+".torrent", filepath.Dir(path))
					continue
				}
				dirs[c.name] = t.TempDir()
				c.leech(l.Hosts[1+i], path+".torrent", dirs[c.name])
			}
			for name, dir := range dirs {
				eventually(t, name+" has the file", func() bool { return same(path, filepath.Join(dir, kind)) })
			}
			var st struct {
				Completed int `json:"completed"`
				Peers     struct{ Seeders, IPv4, IPv6 int }
				Clients   []struct{ Name string }
			}
			eventually(t, "the tracker counts the downloads", func() bool {
				if err := json.Unmarshal([]byte(tr.start("curl", "-s", "http://"+tr.IP+":6969/stats.json").ok().out.String()), &st); err != nil {
					t.Fatal(err)
				}
				return st.Completed >= len(dirs)
			})
			if st.Completed != len(dirs) || st.Peers.Seeders < len(all) {
				t.Errorf("the statistics are %+v, want each download once and all clients as seeds", st)
			}
			for _, name := range []string{"aria2", "Transmission", "libtorrent", "rTorrent"} {
				if !slices.ContainsFunc(st.Clients, func(c struct{ Name string }) bool { return c.Name == name }) {
					t.Errorf("the statistics do not name %s: %v", name, st.Clients)
				}
			}
		})
	}
}
