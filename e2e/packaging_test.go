package e2e

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// packages runs packaging/dist for this commit and machine once for each environment, and
// returns the output directories. The temporary directory of each run has a different path,
// so that a build which depends on its path gives a different result.
func packages(t *testing.T, envs ...[]string) []string {
	t.Helper()
	clone := filepath.Join(t.TempDir(), "clone")
	dist := filepath.Join(t.TempDir(), "dist")
	run := func(env []string, args ...string) {
		c := exec.Command(args[0], args[1:]...)
		c.Dir = clone
		c.Env = append(append(os.Environ(), "GOFLAGS=-mod=readonly", "CGO_ENABLED=0"), env...)
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("%q failed: %v\n%s", args, err, out)
		}
	}
	command(t, "git", "clone", "--quiet", "..", clone)
	run(nil, "go", "build", "-trimpath", "-o", dist, "./packaging/dist")
	var outs []string
	var wg sync.WaitGroup
	for i, env := range envs {
		tmp := filepath.Join(t.TempDir(), strings.Repeat("deeper/", i))
		if err := os.MkdirAll(tmp, 0o755); err != nil {
			t.Fatal(err)
		}
		out := filepath.Join(tmp, "out")
		outs = append(outs, out)
		wg.Go(func() { run(append(env, "TMPDIR="+tmp), dist, "-o", out, "-only", "linux-"+runtime.GOARCH) })
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return outs
}

// TestPackages builds the packages of this commit twice, compares them byte for byte, and
// installs and runs them.
func TestPackages(t *testing.T) {
	t.Parallel()
	need(t, "git", "go")
	if _, err := os.Stat("../.git"); err != nil {
		missing(t, "the git repository")
	}
	outs := packages(t, []string{"TZ=UTC"}, []string{"TZ=Asia/Tokyo", "LC_ALL=C"})
	entries, err := os.ReadDir(outs[0])
	if err != nil || len(entries) != 4 {
		t.Fatalf("packaging/dist wrote %v, %v; want 4 files", entries, err)
	}
	file := map[string]string{}
	for _, e := range entries {
		if !same(filepath.Join(outs[0], e.Name()), filepath.Join(outs[1], e.Name())) {
			t.Errorf("two builds of %s differ", e.Name())
		}
		file[filepath.Ext(e.Name())] = filepath.Join(outs[0], e.Name())
	}
	check := exec.Command("sha256sum", "--check", "--strict", "SHA256SUMS")
	check.Dir = outs[0]
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("checking SHA256SUMS: %v\n%s", err, out)
	}
	head := strings.TrimSpace(string(command(t, "git", "rev-parse", "HEAD")))
	t.Run("deb", func(t *testing.T) {
		t.Parallel()
		useDeb(t, file[".deb"], head)
	})
	t.Run("image", func(t *testing.T) {
		t.Parallel()
		useImage(t, file[".tar"], head)
	})
}

// machine is a chroot directory with the files of this machine. Changes go to the directory
// upper of an overlay file system.
type machine struct {
	t           *testing.T
	root, upper string
	host        *host
}

// newMachine mounts the file systems of a machine.
func newMachine(t *testing.T, h *host) *machine {
	t.Helper()
	need(t, "chroot", "mount")
	dir, err := os.MkdirTemp("/dev/shm", "spate-e2e-")
	if err != nil {
		missing(t, "/dev/shm")
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	m := &machine{t: t, root: filepath.Join(dir, "root"), upper: filepath.Join(dir, "upper"), host: h}
	for _, d := range []string{m.root, m.upper, filepath.Join(dir, "work")} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	mount := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("mount", args...).CombinedOutput(); err != nil {
			missing(t, fmt.Sprintf("mount %v (%v: %s)", args, err, out))
		}
		t.Cleanup(func() { exec.Command("umount", "-l", args[len(args)-1]).Run() })
	}
	mount("-t", "overlay", "overlay", "-o", "lowerdir=/,upperdir="+m.upper+",workdir="+filepath.Join(dir, "work"), m.root)
	mount("-t", "proc", "proc", filepath.Join(m.root, "proc"))
	mount("--bind", "/dev", filepath.Join(m.root, "dev"))
	return m
}

// start starts a program on the machine with that user id.
func (m *machine) start(uid int, args ...string) *proc {
	m.t.Helper()
	user, home := fmt.Sprintf("--userspec=%d:%d", uid, uid), "/" // as systemd sets it
	if uid == 0 {
		home = "/root"
	}
	clean := []string{user, m.root, "/usr/bin/env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "MANWIDTH=80", "HOME=" + home, "DEBIAN_FRONTEND=noninteractive"}
	return m.host.start("chroot", slices.Concat(clean, quiet, args)...)
}

// run runs a program on the machine as root and returns its output.
func (m *machine) run(args ...string) string {
	m.t.Helper()
	p := m.start(0, args...).ok()
	return p.out.String() + "\n" + p.log.String()
}

// useDeb installs the package on a machine and tests manual pages, completions and units. It
// removes the package and checks that only the state is left.
func useDeb(t *testing.T, deb, head string) {
	need(t, "dpkg", "man", "systemd-analyze", "systemd-socket-activate", "bash", "curl")
	l := newLAN(t, 1)
	m := newMachine(t, l.Hosts[0])
	const inside = "/var/tmp/spate.deb"
	if out, err := exec.Command("cp", deb, m.root+inside).CombinedOutput(); err != nil {
		t.Fatalf("copying the package: %v\n%s", err, out)
	}
	m.run("dpkg", "--no-triggers", "--install", inside)
	if got := m.run("spate", "version"); !strings.Contains(got, "commit "+head[:12]) {
		t.Errorf("spate version does not print the commit: %s", got)
	}
	for page, want := range map[string]string{
		"spate": "Publish files over BitTorrent", "spate-get": "--select GLOB", "btmakemetafile": "--piece_size_pow2 value", "bttrack": "--dfile value",
	} {
		if got := m.run("man", "--pager=cat", page); !strings.Contains(got, want) {
			t.Errorf("man %s does not contain %q:\n%s", page, want, got)
		}
	}
	if got := m.run("btshowmetainfo", "--help"); !strings.Contains(got, "Usage: btshowmetainfo FILE.torrent...") {
		t.Errorf("btshowmetainfo --help does not print its usage: %s", got)
	}
	m.completes()
	for _, unit := range []string{"spate", "spate-tracker"} {
		path := "/usr/lib/systemd/system/" + unit
		if got := strings.TrimSpace(m.run("systemd-analyze", "verify", path+".service", path+".socket")); got != "" {
			t.Errorf("systemd-analyze verify of %s: %s", unit, got)
		}
		// The threshold is in tenths.
		got := m.run("systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", path+".service")
		t.Log(regexp.MustCompile(`Overall exposure.*`).FindString(got))
		m.serves(path, unit)
	}

	m.run("dpkg", "--no-triggers", "--remove", "spate")
	if _, err := os.Stat(m.root + "/etc/spate/spate.toml"); err != nil {
		t.Errorf("removing the package deleted its settings: %v", err)
	}
	m.run("dpkg", "--no-triggers", "--purge", "spate")
	if err := os.Remove(m.root + inside); err != nil {
		t.Fatal(err)
	}
	m.checkRemoved()
}

// completes checks how the shells complete "spate cre" and "spate get --sel".
func (m *machine) completes() {
	m.t.Helper()
	const bash = `. /usr/share/bash-completion/bash_completion; _completion_loader spate; COMP_WORDS=(%[1]s); COMP_CWORD=$((${#COMP_WORDS[@]}-1)); COMP_LINE="%[1]s"; COMP_POINT=${#COMP_LINE}; COMP_TYPE=9; $(complete -p spate | sed 's/.*-F \([^ ]*\).*/\1/'); echo "${COMPREPLY[@]}"`
	for line, want := range map[string]string{"spate cre": "create", "spate get --sel": "--select"} {
		if got := m.run("bash", "-c", fmt.Sprintf(bash, line)); !strings.Contains(got, want) {
			m.t.Errorf("bash completes %q with %q, want %s", line, got, want)
		}
		if _, err := exec.LookPath("fish"); err == nil {
			if got := m.run("fish", "-c", fmt.Sprintf("complete -C %q", line)); !strings.Contains(got, want) {
				m.t.Errorf("fish completes %q with %q, want %s", line, got, want)
			}
		}
	}
	if _, err := exec.LookPath("zsh"); err == nil {
		m.run("zsh", "-n", "/usr/share/zsh/vendor-completions/_spate")
	}
}

// serves starts the command of a unit with socket activation and as an unprivileged user, and
// requests a page.
func (m *machine) serves(path, unit string) {
	m.t.Helper()
	b, err := os.ReadFile(m.root + path + ".service")
	if err != nil {
		m.t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^ExecStart=(.*)$`).FindSubmatch(b)
	if line == nil {
		m.t.Fatalf("%s has no ExecStart", unit)
	}
	const uid = 64999
	state := m.root + "/var/lib/" + unit
	if err := errors.Join(os.Mkdir(state, 0o700), os.Chown(state, uid, uid)); err != nil {
		m.t.Fatal(err)
	}
	args := append([]string{"systemd-socket-activate", "-l", "6969"}, strings.Fields(string(line[1]))...)
	p := m.start(uid, args...)
	url := fmt.Sprintf("http://%s:6969/stats", m.host.IP)
	code := m.host.start("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}\n", "--retry", "20", "--retry-connrefused", "--retry-delay", "1", "--max-time", "30", url).ok()
	if got := strings.TrimSpace(code.out.String()); got != "200" {
		m.t.Errorf("%s: %s answered %s", unit, url, got)
	}
	p.stop(syscall.SIGTERM)
}

// checkRemoved fails the test if the purged package left files, except its state.
func (m *machine) checkRemoved() {
	m.t.Helper()
	err := filepath.WalkDir(m.upper, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(m.upper, path)
		switch {
		case rel == "var/lib/spate", rel == "var/lib/spate-tracker", rel == "var/lib/dpkg", rel == "var/log", rel == "var/cache/man", rel == "run", rel == "tmp", rel == "root":
			return fs.SkipDir
		case d.IsDir():
			return nil
		}
		m.t.Errorf("the package left /%s", rel)
		return nil
	})
	if err != nil {
		m.t.Fatal(err)
	}
	status, err := os.ReadFile(m.root + "/var/lib/dpkg/status")
	if err != nil || bytes.Contains(status, []byte("\nPackage: spate\n")) {
		m.t.Errorf("dpkg still lists the package (%v)", err)
	}
	if left, _ := filepath.Glob(m.root + "/var/lib/dpkg/info/spate*"); len(left) > 0 {
		m.t.Errorf("the package left %v", left)
	}
	if entries, err := os.ReadDir(m.root + "/var/lib/spate-tracker"); err != nil || len(entries) == 0 {
		m.t.Errorf("purging the package deleted the state: %v", err)
	}
}

// useImage unpacks the container image like a container engine, and runs it in a chroot
// directory.
func useImage(t *testing.T, path, head string) {
	need(t, "chroot", "curl")
	l := newLAN(t, 1)
	h := l.Hosts[0]
	blobs := untar(t, path)
	var index, manifest struct {
		Manifests []struct{ Digest string }
		Layers    []struct{ Digest string }
		Config    struct{ Digest string }
	}
	var config struct {
		Config struct {
			User       string
			Entrypoint []string
			Cmd        []string
			Env        []string
		}
		Rootfs struct {
			DiffIDs []string `json:"diff_ids"`
		}
	}
	blob := func(digest string) []byte {
		t.Helper()
		b := blobs["blobs/sha256/"+strings.TrimPrefix(digest, "sha256:")]
		if sum := sha256.Sum256(b); "sha256:"+hex.EncodeToString(sum[:]) != digest {
			t.Fatalf("the blob %s has another digest", digest)
		}
		return b
	}
	parse := func(b []byte, v any) {
		t.Helper()
		if err := json.Unmarshal(b, v); err != nil {
			t.Fatalf("decoding %s: %v", b, err)
		}
	}
	parse(blobs["index.json"], &index)
	parse(blob(index.Manifests[0].Digest), &manifest)
	parse(blob(manifest.Config.Digest), &config)
	root := t.TempDir()
	os.Chmod(root, 0o755)
	zr, err := gzip.NewReader(bytes.NewReader(blob(manifest.Layers[0].Digest)))
	if err != nil {
		t.Fatal(err)
	}
	layer, err := io.ReadAll(zr)
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256(layer); "sha256:"+hex.EncodeToString(sum[:]) != config.Rootfs.DiffIDs[0] {
		t.Error("the layer does not have the digest in the configuration")
	}
	c := exec.Command("tar", "-x", "-p", "--same-owner", "-C", root)
	c.Stdin = bytes.NewReader(layer)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("unpacking the layer: %v\n%s", err, out)
	}
	chroot, err := exec.LookPath("chroot") // the PATH of the image does not contain it
	if err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) *proc {
		t.Helper()
		chrooted := []string{chroot, "--userspec=" + config.Config.User, root}
		return h.in(t).start("env", slices.Concat([]string{"-i"}, quiet, config.Config.Env, chrooted, config.Config.Entrypoint, args)...)
	}
	if config.Config.User != "65532:65532" {
		t.Errorf("the image runs as user %q, want 65532:65532", config.Config.User)
	}
	if got := run("version").ok().out.String(); !strings.Contains(got, head[:12]) {
		t.Errorf("spate version in the image does not print the commit: %s", got)
	}
	noise(t, filepath.Join(root, "data", "x.iso"), 100_000)
	os.Chmod(filepath.Join(root, "data", "x.iso"), 0o644)
	p := run(append(config.Config.Cmd, "--json")...)
	p.line("the daemon", func(s string) bool { return strings.Contains(s, `"ready"`) })
	page := fmt.Sprintf("http://%s:6969/r/x.iso", h.IP)
	eventually(t, "the file in /data has a page", func() bool {
		return exec.Command("ip", "netns", "exec", h.ns, "curl", "-sf", "-o", "/dev/null", page).Run() == nil
	})
	p.stop(syscall.SIGTERM)
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("the daemon in the image exited with code %d:\n%s", code, p.log)
	}
}

// untar returns the contents of the files of an archive by name.
func untar(t *testing.T, path string) map[string][]byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all := map[string][]byte{}
	var names []string
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		all[h.Name] = b
		names = append(names, h.Name)
	}
	if !slices.IsSorted(names) {
		t.Errorf("the names in %s are not sorted: %q", path, names)
	}
	return all
}
