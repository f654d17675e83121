package e2e

import (
	"bytes"
	"fmt"
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

// packages runs packaging/dist for this commit and machine once for each environment, signs with a
// key, and returns the output directories. The temporary directory of each run has a different path,
// so that a build which depends on its path gives a different result.
func packages(t *testing.T, key string, envs ...[]string) []string {
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
		wg.Go(func() {
			run(append(env, "TMPDIR="+tmp), dist, "-o", out, "-only", "linux-"+runtime.GOARCH, "-sign", key,
				"-maintainer", "Pat Example <pat@example.org>", "-homepage", "https://example.org/spate")
		})
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
	need(t, "git", "go", "minisign")
	if _, err := os.Stat("../.git"); err != nil {
		missing(t, "the git repository")
	}
	key := filepath.Join(t.TempDir(), "release.key")
	command(t, spateBin, "keys", "new", key)
	outs := packages(t, key, []string{"TZ=UTC"}, []string{"TZ=Asia/Tokyo", "LC_ALL=C"})
	entries, err := os.ReadDir(outs[0])
	if err != nil || len(entries) != 8 {
		t.Fatalf("packaging/dist wrote %v, %v; want 8 files", entries, err)
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
	command(t, "minisign", "-V", "-p", strings.TrimSuffix(key, ".key")+".pub", "-m", filepath.Join(outs[0], "SHA256SUMS"))
	checkBill(t, file[".json"])
	head := strings.TrimSpace(string(command(t, "git", "rev-parse", "HEAD")))
	t.Run("deb", func(t *testing.T) {
		t.Parallel()
		useDeb(t, file[".deb"], head)
	})
	t.Run("rpm", func(t *testing.T) {
		t.Parallel()
		useRPM(t, file[".rpm"], head)
	})
	t.Run("apk", func(t *testing.T) {
		t.Parallel()
		useAPK(t, file[".apk"])
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

// start starts a program on the machine as a user, in the form of chroot --userspec.
func (m *machine) start(user string, args ...string) *proc {
	m.t.Helper()
	home := "/nonexistent"
	if user == "root" {
		home = "/root"
	}
	clean := []string{"--userspec=" + user, m.root, "/usr/bin/env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "MANWIDTH=80", "HOME=" + home, "DEBIAN_FRONTEND=noninteractive"}
	return m.host.start("chroot", slices.Concat(clean, quiet, args)...)
}

// run runs a program on the machine as root and returns its output.
func (m *machine) run(args ...string) string {
	m.t.Helper()
	p := m.start("root", args...).ok()
	return p.out.String() + "\n" + p.log.String()
}

// useDeb installs the package on a machine and tests manual pages, completions and units. It
// removes the package and checks that only the state is left.
func useDeb(t *testing.T, deb, head string) {
	need(t, "dpkg", "man", "systemd-analyze", "systemd-socket-activate", "bash", "curl")
	l := newLAN(t, 1)
	m := newMachine(t, l.Hosts[0])
	inside := m.copy(deb)
	m.run("dpkg", "--no-triggers", "--install", inside)
	if got := m.run("spate", "version"); !strings.Contains(got, "commit "+head[:12]) {
		t.Errorf("spate version does not print the commit: %s", got)
	}
	for page, want := range map[string]string{
		"spate": "Publish files over BitTorrent", "spate-get": "--select GLOB", "btmakemetafile": "--piece_size_pow2 value", "bttrack": "--dfile value",
		"spate.toml": "public-url",
	} {
		if got := m.run("man", "--pager=cat", page); !strings.Contains(got, want) {
			t.Errorf("man %s does not contain %q:\n%s", page, want, got)
		}
	}
	if got := m.run("btshowmetainfo", "--help"); !strings.Contains(got, "Usage: btshowmetainfo FILE.torrent...") {
		t.Errorf("btshowmetainfo --help does not print its usage: %s", got)
	}
	if got := m.run("dpkg-query", "--show", "--showformat=${Maintainer}, ${Homepage}", "spate"); !strings.Contains(got, "Pat Example <pat@example.org>, https://example.org/spate") {
		t.Errorf("the package has another maintainer or homepage: %s", got)
	}
	m.hasDocuments()
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
	m.serviceIsFound()

	m.run("dpkg", "--no-triggers", "--remove", "spate")
	if _, err := os.Stat(m.root + "/etc/spate/spate.toml"); err != nil {
		t.Errorf("removing the package deleted its settings: %v", err)
	}
	m.run("dpkg", "--no-triggers", "--purge", "spate")
	m.checkRemoved()
}

// copy copies a file to the machine and returns its path there.
func (m *machine) copy(path string) string {
	m.t.Helper()
	inside := "/tmp/" + filepath.Base(path)
	if out, err := exec.Command("cp", path, m.root+inside).CombinedOutput(); err != nil {
		m.t.Fatalf("copying the package: %v\n%s", err, out)
	}
	return inside
}

// hasDocuments checks that the documents are installed and that the links of the README to them
// lead to files.
func (m *machine) hasDocuments() {
	m.t.Helper()
	dir := filepath.Join(m.root, "usr/share/doc/spate")
	readme, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil {
		m.t.Fatal(err)
	}
	links := regexp.MustCompile(`\]\((docs/[^)#]+\.md)`).FindAllSubmatch(readme, -1)
	for _, l := range links {
		if _, err := os.Stat(filepath.Join(dir, string(l[1]))); err != nil {
			m.t.Errorf("the README refers to a document that is not installed: %v", err)
		}
	}
	if len(links) == 0 {
		m.t.Error("the README refers to no document")
	}
}

// serviceIsFound starts the service as its user, and lists its releases as another user without
// naming its state directory: once in its group, and once not.
func (m *machine) serviceIsFound() {
	m.t.Helper()
	p := m.start("spate:spate", "/usr/bin/spate", "serve", "--json", "--config", "/etc/spate/spate.toml", "--state", "/var/lib/spate", "--api-group", "spate")
	p.line("the daemon", func(s string) bool { return strings.Contains(s, `"ready"`) })
	if got := m.start("nobody:spate", "spate", "status").ok().out.String(); !strings.Contains(got, "/var/lib/spate\n") {
		m.t.Errorf("a member of the group does not see the state of the service:\n%s", got)
	}
	if got := m.run("spate", "status"); !strings.Contains(got, "/var/lib/spate\n") {
		m.t.Errorf("root does not see the state of the service:\n%s", got)
	}
	m.start("nobody:nogroup", "spate", "list").fails(1, "permission denied")
	p.stop(syscall.SIGTERM)
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
	user := "64999:64999"
	if unit == "spate" {
		user = "spate:spate"
	}
	m.run("install", "-d", "-m", "0710", "-o", strings.Split(user, ":")[0], "-g", strings.Split(user, ":")[1], "/var/lib/"+unit)
	args := append([]string{"systemd-socket-activate", "-l", "6969"}, strings.Fields(string(line[1]))...)
	p := m.start(user, args...)
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
		case strings.HasPrefix(filepath.Dir(rel)+"/", "etc/") && regexp.MustCompile(`^(passwd|group|shadow|gshadow)-?$|^\.pwd\.lock$`).MatchString(filepath.Base(rel)):
			return nil // the user stays with the state
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
