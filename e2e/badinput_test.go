package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"spate/metainfo"
)

// fails waits until the program has exited, and checks its exit code and its error. The
// error must be one line that contains all words, and at most one more line with advice.
func (p *proc) fails(code int, words ...string) {
	p.t.Helper()
	got := p.wait()
	log := p.log.String()
	at := strings.LastIndex("\n"+log, "\nspate: ")
	if got != code || at < 0 {
		p.t.Errorf("%v exited with %d, want %d, and printed %q", p.cmd.Args[4:], got, code, log)
		return
	}
	message := log[at:]
	if n := strings.Count(message, "\n"); n > 1 || strings.Contains(message, "goroutine") || strings.Contains(message, "%!") {
		p.t.Errorf("%v: the error is longer than two lines or malformed: %q", p.cmd.Args[4:], message)
	}
	for _, w := range words {
		if !strings.Contains(message, w) {
			p.t.Errorf("%v: the error %q does not contain %q", p.cmd.Args[4:], message, w)
		}
	}
}

// files returns the paths of all files and directories below dir.
func files(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && path != dir {
			rel, _ := filepath.Rel(dir, path)
			all = append(all, rel)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// writeFile writes data to path and returns path.
func writeFile(t *testing.T, path string, data []byte) string {
	t.Helper()
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// badTorrents returns unusable variants of the .torrent file good.
func badTorrents(good []byte) map[string][]byte {
	replace := func(old, new string) []byte { return bytes.Replace(good, []byte(old), []byte(new), 1) }
	return map[string][]byte{
		"empty":                       {},
		"page":                        []byte("<!doctype html><title>not a torrent</title>"),
		"truncated":                   good[:len(good)/2],
		"huge":                        append(fmt.Appendf(nil, "d7:comment%d:", metainfo.MaxSize), append(make([]byte, metainfo.MaxSize), good[1:]...)...),
		"nested":                      []byte("d4:info" + strings.Repeat("l", 200_000) + strings.Repeat("e", 200_001)),
		"more than it has pieces for": replace("6:lengthi6e", "6:lengthi99999999e"),
		"negative":                    replace("6:lengthi6e", "6:lengthi-6e"),
		"piece length 0":              replace("12:piece lengthi16384e", "12:piece lengthi0e"),
	}
}

// TestBadTorrents checks that each command that reads a torrent refuses a bad one with an
// error and exit code 4, and creates no files.
func TestBadTorrents(t *testing.T) {
	t.Parallel()
	h := newLAN(t, 1).Hosts[0]
	dir := t.TempDir()
	path := writeFile(t, filepath.Join(dir, "hello"), []byte("hello\n"))
	h.run("create", path, "-o", path+".torrent", "--format", "v1", "--piece-length", "16KiB")
	good, err := os.ReadFile(path + ".torrent")
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range badTorrents(good) {
		torrent := writeFile(t, filepath.Join(dir, strings.ReplaceAll(name, " ", "-")+".torrent"), b)
		out := t.TempDir()
		for _, args := range [][]string{{"get", torrent, "-o", out}, {"show", torrent}, {"seed", torrent}, {"verify", torrent}} {
			p := h.spate(args...)
			p.fails(4, filepath.Base(torrent))
			if left := append(files(t, out), files(t, p.cmd.Dir)...); len(left) > 0 {
				t.Errorf("%s of the bad torrent %s left the files %q", args[0], name, left)
			}
		}
	}
	missing := filepath.Join(dir, "missing.torrent")
	for _, verb := range []string{"get", "show", "seed", "verify"} {
		h.spate(verb, missing).fails(3, "missing.torrent")
	}
}

const outsideText, insideText = "outside\n", "inside\n"

// TestFileNamesStayInDirectory downloads torrents with file names that lead out of the
// download directory, and checks that all files are created inside it.
func TestFileNamesStayInDirectory(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 2)
	dir := t.TempDir()
	tree := filepath.Join(dir, "tt")
	if err := os.MkdirAll(filepath.Join(tree, "xx"), 0o755); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(tree, "xx", "passwd"), []byte(outsideText))
	writeFile(t, filepath.Join(tree, "z"), []byte(insideText))
	l.Hosts[0].run("create", tree, "-o", tree+".torrent", "--format", "v1")
	good, err := os.ReadFile(tree + ".torrent")
	if err != nil {
		t.Fatal(err)
	}
	for name, as := range map[string]string{"up": "..", "absolute": "/etc", "climbing": "../../../etc", "empty": ""} {
		t.Run(name, func(t *testing.T) {
			b := bytes.Replace(good, []byte("2:xx"), fmt.Appendf(nil, "%d:%s", len(as), as), 1)
			torrent := writeFile(t, filepath.Join(t.TempDir(), name+".torrent"), b)
			l.Hosts[0].in(t).serve("seed", torrent, "--data", layOut(t, l.Hosts[0].in(t), torrent))
			top := t.TempDir()
			out := filepath.Join(top, "a", "b", "c", "out")
			if err := os.MkdirAll(out, 0o755); err != nil {
				t.Fatal(err)
			}
			l.Hosts[1].in(t).run("get", torrent, "-o", out, "--peer", l.Hosts[0].IP+":6881")
			inside, all := files(t, out), files(t, top)
			if len(all) != len(inside)+4 {
				t.Errorf("files outside the download directory: %q", all)
			}
			found := false
			for _, f := range inside {
				found = found || strings.HasSuffix(f, "passwd")
			}
			if !found {
				t.Errorf("the file passwd is missing: %q", inside)
			}
		})
	}
	if _, err := os.Stat("/etc/passwd"); err != nil || same("/etc/passwd", filepath.Join(tree, "xx", "passwd")) {
		t.Error("/etc/passwd was written to")
	}
}

// layOut creates the files of a torrent of TestFileNamesStayInDirectory at the paths that
// spate uses for them, and returns the directory.
func layOut(t *testing.T, h *host, torrent string) string {
	t.Helper()
	var shown struct {
		Name  string
		Files []struct {
			Path   string
			Length int
		}
	}
	if err := json.Unmarshal([]byte(h.run("show", "--json", torrent)), &shown); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, f := range shown.Files {
		path := filepath.Join(dir, shown.Name, filepath.FromSlash(f.Path))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		writeFile(t, path, []byte(map[int]string{len(outsideText): outsideText, len(insideText): insideText}[f.Length]))
	}
	return dir
}

// TestBadTrackers checks that a get without peers reports the tracker's failure and exits
// with code 5.
func TestBadTrackers(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 1)
	h := l.Hosts[0]
	path := noise(t, filepath.Join(t.TempDir(), "x.bin"), 100_000)
	for how, words := range map[string]string{
		"garbage": "unusable answer",
		"error":   "you are not liked",
		"page":    "404",
		"drop":    "ended before the response",
		"mute":    "no tracker has answered",
		"nobody":  "connection refused",
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			url := "http://127.0.0.1:1/announce"
			if how != "nobody" {
				url = badTracker(t, h.in(t), how)
			}
			torrent := filepath.Join(t.TempDir(), "x.torrent")
			h.in(t).run("create", path, "-o", torrent, "-a", url)
			out := t.TempDir()
			// Double the timeout until the get has received the tracker's answer.
			for wait := time.Second; ; wait *= 2 {
				p := h.in(t).spate("get", torrent, "-o", out, "--timeout", wait.String())
				p.wait()
				if wait > patience/2 || strings.Contains(p.log.String(), words) {
					p.fails(5, "x.bin", words)
					break
				}
			}
		})
	}
}

// TestTakenPorts checks that the error for a used port names the purpose of the port and
// the flag that sets another one.
func TestTakenPorts(t *testing.T) {
	t.Parallel()
	h := newLAN(t, 1).Hosts[0]
	path := noise(t, filepath.Join(t.TempDir(), "x.bin"), 100_000)
	h.run("create", path, "-o", path+".torrent")
	h.serve("tracker", "--listen", ":7000")
	for _, c := range []struct {
		args  []string
		words []string
	}{
		{[]string{"tracker", "--listen", ":7000"}, []string{"tracker", ":7000", "taken", "--listen"}},
		{[]string{"tracker", "--listen", ":7001", "--udp", ":7000"}, []string{"UDP", ":7000", "taken", "--udp"}},
		{[]string{"publish", path, "--listen", ":7000"}, []string{"publisher", ":7000", "taken", "--listen"}},
		{[]string{"seed", path + ".torrent", "--peer-port", "7000"}, []string{"seed", ":7000", "taken", "--peer-port"}},
		{[]string{"get", path + ".torrent", "-o", t.TempDir(), "--peer-port", "7000"}, []string{":7000", "taken", "--peer-port"}},
	} {
		h.spate(c.args...).fails(6, c.words...)
	}
}

// TestUnreadable checks that errors name missing and unreadable files.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	h := newLAN(t, 1).Hosts[0]
	need(t, "setpriv")
	dir := t.TempDir()
	for _, verb := range []string{"publish", "create"} {
		h.spate(verb, filepath.Join(dir, "nothing.iso")).fails(3, "nothing.iso")
	}
	secret := filepath.Join(dir, "tree", "secret")
	if err := os.Mkdir(filepath.Dir(secret), 0o755); err != nil {
		t.Fatal(err)
	}
	noise(t, filepath.Join(dir, "tree", "open"), 1000)
	writeFile(t, secret, []byte("secret\n"))
	if err := os.Chmod(secret, 0o600); err != nil {
		t.Fatal(err)
	}
	// Let other users enter all directories, but not read the file.
	for d := dir; d != os.TempDir() && len(d) > 1; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	nobody := func(args ...string) *proc {
		state, err := os.MkdirTemp("", "spate-e2e-nobody-")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(state) })
		if err := os.Chown(state, 65534, 65534); err != nil {
			t.Fatal(err)
		}
		args = append([]string{"--reuid=65534", "--regid=65534", "--clear-groups", "env", "HOME=" + state,
			"XDG_STATE_HOME=" + state, "XDG_CONFIG_HOME=" + state, spateBin}, args...)
		return h.start("setpriv", args...)
	}
	nobody("publish", filepath.Dir(secret)).fails(1, "secret", "permission denied")
	nobody("create", secret, "-o", "-").fails(1, "secret", "permission denied")
}

// TestChangedFile changes a file while spate seeds it. The seed must report the change, send
// no bad data, and still serve the other torrent.
func TestChangedFile(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 2)
	dir := t.TempDir()
	a := noise(t, filepath.Join(dir, "a.bin"), 3<<20)
	b := noise(t, filepath.Join(dir, "b.bin"), 3<<20)
	for _, path := range []string{a, b} {
		l.Hosts[0].run("create", path, "-o", path+".torrent", "--piece-length", "256KiB")
	}
	s, _ := l.Hosts[0].serve("seed", dir, "--data", dir)
	for range 2 {
		s.line("seeding", func(line string) bool { return strings.Contains(line, `"seeding"`) })
	}
	noise(t, a, 3<<20)
	out := t.TempDir()
	peer := l.Hosts[0].IP + ":6881"
	eventually(t, "the seed reports the change", func() bool { // a busy machine needs more than one try
		p := l.Hosts[1].spate("get", a+".torrent", "-o", out, "--peer", peer, "--timeout", "5s")
		p.fails(5, "a.bin")
		if log := p.log.String(); strings.Contains(log, "banned") {
			t.Errorf("the seed sent bad data: %s", log)
		}
		return strings.Contains(s.log.String(), "a.bin: halted") && strings.Contains(s.log.String(), "changed by another program")
	})
	l.Hosts[1].run("get", b+".torrent", "-o", out, "--peer", peer)
	if !same(b, filepath.Join(out, "b.bin")) {
		t.Error("the download of the other torrent differs")
	}
}

// TestFullDisk downloads to a file system that is too small. The get must exit with code 9,
// and resume when the file system is larger.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	const size = 12 << 20
	s := newSlowSeed(t, size, "10M")
	disk := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=6m", "spate-e2e", disk).CombinedOutput(); err != nil {
		missing(t, fmt.Sprintf("a small tmpfs (%s)", bytes.TrimSpace(out)))
	}
	t.Cleanup(func() { exec.Command("umount", "-l", disk).Run() })
	get := []string{"get", s.torrent, "-o", disk, "--state", t.TempDir()}
	s.to.spate(get...).fails(9, "slow.bin", "no space left", "free disk space")
	if out, err := exec.Command("mount", "-o", "remount,size=64m", disk).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s.finish(t, size, get...)
}

// TestGarbagePeers checks that a seed continues after peers have sent it garbage of many
// kinds, and that a get completes although some of its peers answer with garbage.
func TestGarbagePeers(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 3)
	path := noise(t, filepath.Join(t.TempDir(), "x.bin"), 4<<20)
	l.Hosts[0].run("create", path, "-o", path+".torrent", "--piece-length", "64KiB")
	s, r := l.Hosts[0].serve("seed", path+".torrent")
	script, err := filepath.Abs("testdata/badpeer.py")
	if err != nil {
		t.Fatal(err)
	}
	l.Hosts[2].start("/usr/bin/python3", script, "dial", l.Hosts[0].IP, "6881", r.InfoHashV1).ok()
	listen := l.Hosts[2].start("/usr/bin/python3", script, "listen", r.InfoHashV1)
	args := []string{"get", path + ".torrent", "-o", t.TempDir(), "--peer", l.Hosts[0].IP + ":6881"}
	ports := listen.line("ports", func(s string) bool { return strings.HasPrefix(s, "ports ") })
	for _, p := range strings.Fields(ports)[1:] {
		args = append(args, "--peer", l.Hosts[2].IP+":"+p)
	}
	l.Hosts[1].run(args...)
	if !same(path, filepath.Join(args[3], "x.bin")) {
		t.Error("the downloaded data differs")
	}
	if s.ended() {
		t.Error("the seed has exited")
	}
}
