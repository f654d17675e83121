package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Files of the Debian packages grub-rescue-pc and debian-installer-12-netboot-amd64. The
// directory netboot contains symbolic links.
const (
	isoFile = "/usr/lib/grub-rescue/grub-rescue-cdrom.iso"
	netboot = "/usr/lib/debian-installer/images/12/amd64/text"
)

// needFiles skips the test if one of the files is missing.
func needFiles(t *testing.T, paths ...string) {
	t.Helper()
	for _, p := range paths {
		if _, err := os.Stat(p); err != nil {
			missing(t, p)
		}
	}
}

// TestRealFiles publishes an ISO and a directory and downloads them by page, by the URL of
// the .torrent, and by a .torrent file. Links must stay links.
func TestRealFiles(t *testing.T) {
	t.Parallel()
	needFiles(t, isoFile, netboot)
	l := newLAN(t, 2)
	p, r := l.Hosts[0].serve("publish", isoFile, netboot)
	second := p.line("second release", func(s string) bool { return strings.Contains(s, `"event":"published"`) })
	var tree ready
	if err := json.Unmarshal([]byte(second), &tree); err != nil {
		t.Fatal(err)
	}
	for kind, source := range map[string]string{"page": r.PageURL, "url": r.TorrentURL, "file": l.Hosts[1].download(r.TorrentURL)} {
		dir := t.TempDir()
		l.Hosts[1].run("get", source, "-o", dir)
		if !same(isoFile, filepath.Join(dir, filepath.Base(isoFile))) {
			t.Errorf("the ISO downloaded by %s differs", kind)
		}
	}
	dir := t.TempDir()
	l.Hosts[1].run("get", tree.PageURL, "-o", dir)
	got := filepath.Join(dir, filepath.Base(netboot))
	command(t, "diff", "-r", "--no-dereference", netboot, got)
	torrent := l.Hosts[1].download(tree.TorrentURL)
	l.Hosts[1].run("verify", torrent, got)
	const kernel = "debian-installer/amd64/linux"
	for url, want := range map[string]string{r.PageURL: isoFile, tree.PageURL + "/" + kernel: filepath.Join(netboot, kernel)} {
		url = strings.Replace(url, "/r/", "/d/", 1)
		if !same(want, l.Hosts[1].download(url)) {
			t.Errorf("%s differs from %s", url, want)
		}
	}
	if code := p.interrupt(); code != 0 {
		t.Errorf("publish exited with code %d, want 0", code)
	}
}

// TestOneGiB publishes and downloads one GiB of random data.
func TestOneGiB(t *testing.T) {
	if testing.Short() {
		t.Skip("this test transfers a gibibyte")
	}
	l := newLAN(t, 2)
	path := noise(t, filepath.Join(t.TempDir(), "gib.bin"), 1<<30)
	began := time.Now()
	_, r := l.Hosts[0].serve("publish", path)
	t.Logf("published after %.1f s", time.Since(began).Seconds())
	dir := t.TempDir()
	began = time.Now()
	l.Hosts[1].run("get", r.PageURL, "-o", dir)
	t.Logf("downloaded after %.1f s", time.Since(began).Seconds())
	if !same(path, filepath.Join(dir, "gib.bin")) {
		t.Error("the downloaded data differs")
	}
}

// TestSameInfoHash checks that spate and three other programs make torrents with the same
// info-hash from the same files and options.
func TestSameInfoHash(t *testing.T) {
	t.Parallel()
	needFiles(t, isoFile, netboot)
	l := newLAN(t, 1)
	h := l.Hosts[0]
	dir := t.TempDir()
	n := 0
	hashes := func(torrent string) string {
		var r ready
		if err := json.Unmarshal([]byte(h.run("show", "--json", torrent)), &r); err != nil {
			t.Fatal(err)
		}
		return r.InfoHashV1 + " " + r.InfoHashV2
	}
	for _, c := range []struct {
		like, format, need string
		other              func(path, out string) []string
	}{
		{"mktorrent", "v1", "mktorrent", func(path, out string) []string {
			return []string{"mktorrent", "-l", "18", "-o", out, path}
		}},
		{"transmission", "v1", "transmission-create", func(path, out string) []string {
			return []string{"transmission-create", "-s", "256", "-o", out, path}
		}},
		{"libtorrent", "v1", "libtorrent", libtorrentMakes("v1_only", "canonical_files")},
		{"libtorrent", "v2", "libtorrent", libtorrentMakes("v2_only")},
		{"libtorrent", "hybrid", "libtorrent", libtorrentMakes()},
	} {
		need(t, c.need)
		for _, path := range []string{isoFile, netboot} {
			n++
			theirs := filepath.Join(dir, fmt.Sprintf("%d-%s.torrent", n, c.like))
			ours := filepath.Join(dir, fmt.Sprintf("%d-spate.torrent", n))
			args := c.other(path, theirs)
			h.start(args[0], args[1:]...).ok()
			h.run("create", path, "-o", ours, "--format", c.format, "--piece-length", "256KiB", "--like", c.like)
			if want, got := hashes(theirs), hashes(ours); want != got {
				t.Errorf("%s makes a torrent of %s with the info-hash %s, but spate %s", c.like, path, want, got)
			}
		}
	}
}

// libtorrentMakes returns a function that returns the command line of mk.py.
func libtorrentMakes(flags ...string) func(path, out string) []string {
	return func(path, out string) []string {
		script, _ := filepath.Abs("testdata/mk.py")
		return append([]string{"/usr/bin/python3", script, path, "262144", out}, flags...)
	}
}

// interrupt sends SIGINT, as Ctrl-C does, and returns the exit code.
func (p *proc) interrupt() int {
	p.t.Helper()
	p.cmd.Process.Signal(syscall.SIGINT)
	return p.wait()
}
