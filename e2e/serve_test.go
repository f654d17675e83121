package e2e

import (
	"crypto/sha1"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// listed is an entry of "spate list --json".
type listed struct {
	Ref         string `json:"ref"`
	Slug        string `json:"slug"`
	Latest      bool   `json:"latest"`
	Path        string `json:"path"`
	InfoHashV1  string `json:"info_hash_v1"`
	TotalLength int64  `json:"total_length"`
	Live        struct {
		State string `json:"state"`
	} `json:"live"`
}

// releases returns the releases of the daemon whose state directory is state.
func (h *host) releases(state string) []listed {
	h.t.Helper()
	var list struct{ Releases []listed }
	if err := json.Unmarshal([]byte(h.run("list", "--state", state, "--json")), &list); err != nil {
		h.t.Fatal(err)
	}
	return list.Releases
}

// TestWatchedFolder publishes a folder of a hundred files and a file that is still being
// written. It replaces and removes files and kills the daemon several times. At the end the
// catalog, the tracker and the seed must agree with the folder, and another start must hash
// no file again.
func TestWatchedFolder(t *testing.T) {
	t.Parallel()
	need(t, "curl")
	l := newLAN(t, 2)
	h := l.Hosts[0]
	in, state := t.TempDir(), t.TempDir()
	args := []string{"serve", "--watch", in, "--state", state, "--settle", "1s", "--rescan", "2s"}
	for i := range 100 {
		noise(t, filepath.Join(in, fmt.Sprintf("file-%03d.bin", i)), 300_000)
	}
	slow, err := os.OpenFile(filepath.Join(in, "slow.bin"), os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	slow.WriteString("the first half")

	published := func(n int) func(string) bool {
		return func(s string) bool {
			if strings.Contains(s, `"event":"published"`) {
				n--
			}
			return n <= 0
		}
	}
	p, _ := h.serve(args...)
	p.line("ten releases", published(10))
	p.stop(syscall.SIGKILL)

	// Change files while no daemon runs, and then while it runs.
	replaced := filepath.Join(t.TempDir(), "new")
	noise(t, replaced, 400_000)
	if err := os.Rename(replaced, filepath.Join(in, "file-000.bin")); err != nil {
		t.Fatal(err)
	}
	os.Remove(filepath.Join(in, "file-001.bin"))
	p, _ = h.serve(args...)
	// At least the replaced file is left, also if the first daemon published all.
	p.line("another release", published(1))
	noise(t, filepath.Join(in, "file-002.bin"), 350_000) // write to the file in place
	os.Remove(filepath.Join(in, "file-099.bin"))
	p.stop(syscall.SIGKILL)

	p, r := h.serve(args...)
	agree := func() (string, bool) {
		want := map[string]string{}
		entries, _ := os.ReadDir(in)
		for _, e := range entries {
			want[e.Name()] = filepath.Join(in, e.Name())
		}
		delete(want, "slow.bin")
		for _, rel := range h.releases(state) {
			if rel.Live.State != "seeding" {
				return rel.Ref + " is " + rel.Live.State, false
			}
			if !rel.Latest {
				continue
			}
			path := want[rel.Slug]
			if path == "" || !same(path, rel.Path) {
				return rel.Ref + " differs from the file in the folder", false
			}
			delete(want, rel.Slug)
		}
		return fmt.Sprintf("%d are missing", len(want)), len(want) == 0
	}
	end := time.Now().Add(patience)
	for why, ok := agree(); !ok; why, ok = agree() {
		if time.Now().After(end) {
			t.Fatalf("the catalog and the folder differ: %s", why)
		}
	}
	var hashes []string
	for _, rel := range h.releases(state) {
		hashes = append(hashes, rel.InfoHashV1)
	}
	trackerAgrees(t, h, r, hashes)

	// Complete the slow file, and download another one.
	slow.WriteString(" and the second")
	slow.Close()
	eventually(t, "the slow file is published", func() bool {
		return slices.ContainsFunc(h.releases(state), func(r listed) bool { return r.Slug == "slow.bin" && r.TotalLength == 29 })
	})
	dir := t.TempDir()
	l.Hosts[1].run("get", r.PageURL+"r/file-000.bin", "-o", dir)
	if !same(filepath.Join(dir, "file-000.bin"), filepath.Join(in, "file-000.bin")) {
		t.Error("the downloaded file differs from the one in the folder")
	}

	// Another start publishes no file again.
	p.cmd.Process.Signal(syscall.SIGTERM)
	p.ok()
	p, _ = h.serve(args...)
	time.Sleep(3 * time.Second) // longer than the interval between scans
	if s, ok := p.out.find(published(1)); ok {
		t.Errorf("another start published %s", s)
	}
}

// trackerAgrees checks that the tracker serves exactly the torrents of the releases.
func trackerAgrees(t *testing.T, h *host, r ready, hashes []string) {
	t.Helper()
	base := strings.TrimSuffix(r.PageURL, "/")
	var stats struct {
		Torrents struct{ Allowed int }
	}
	if err := json.Unmarshal([]byte(h.start("curl", "-sSf", base+"/stats.json").ok().out.String()), &stats); err != nil {
		t.Fatal(err)
	}
	if want := len(hashes); stats.Torrents.Allowed != want {
		t.Errorf("the tracker serves %d info-hashes, want %d", stats.Torrents.Allowed, want)
	}
	for _, hash := range append(slices.Clone(hashes[:6]), fmt.Sprintf("%x", sha1.Sum([]byte("another")))) {
		var raw []byte
		fmt.Sscanf(hash, "%x", &raw)
		out := h.start("curl", "-sS", base+"/announce?peer_id=01234567890123456789&port=9999&left=1&uploaded=0&downloaded=0&compact=1&event=stopped&info_hash="+url.QueryEscape(string(raw))).ok().out.String()
		if refused := strings.Contains(out, "failure reason"); refused != (hash == fmt.Sprintf("%x", sha1.Sum([]byte("another")))) {
			t.Errorf("the announce of %s was answered with %q, want a failure only for an unknown info-hash", hash, out)
		}
	}
}
