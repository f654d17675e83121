// Command dist builds the files of a release from the current commit: archives with the
// binaries of all systems, Debian packages, container images, and their SHA-256 sums. It
// needs Go and git, but neither root nor a container daemon. Two builds of one commit are
// identical, because names are sorted and all times are the commit's.
package main

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"spate"
)

// target is an operating system and architecture, in Go's names.
type target struct{ os, arch string }

func (t target) String() string { return t.os + "-" + t.arch }

func targets() []target {
	return []target{
		{"linux", "amd64"}, {"linux", "arm64"}, {"darwin", "amd64"}, {"darwin", "arm64"},
		{"windows", "amd64"}, {"freebsd", "amd64"},
	}
}

// dist is the state of one run.
type dist struct {
	out  string    // output directory
	top  string    // directory with the commit's source
	time time.Time // the commit's time, for all files
	sums []string  // lines of SHA256SUMS
}

func main() {
	out := flag.String("o", "dist", "write the files to `DIR`")
	only := flag.String("only", "", "build only these `TARGETS`, such as linux-amd64,windows-amd64")
	flag.Parse()
	if err := run(*out, *only); err != nil {
		fmt.Fprintln(os.Stderr, "dist:", err)
		os.Exit(1)
	}
}

func run(out, only string) error {
	d := &dist{out: out}
	top, err := git("rev-parse", "--show-toplevel")
	if err != nil {
		return err
	}
	if changes, err := git("status", "--porcelain", "--untracked-files=no"); err != nil || changes != "" {
		return cmp.Or(err, fmt.Errorf("uncommitted changes: commit them first:\n%s", changes))
	}
	// Build in a clone, because the go command does not stamp the commit in a git
	// worktree.
	if d.top, err = os.MkdirTemp("", "spate-dist-"); err != nil {
		return err
	}
	defer os.RemoveAll(d.top)
	if _, err := git("clone", "--quiet", "--shared", top, d.top); err != nil {
		return err
	}
	sec := os.Getenv("SOURCE_DATE_EPOCH") // reproducible-builds.org
	if sec == "" {
		if sec, err = git("log", "-1", "--format=%ct"); err != nil {
			return err
		}
	}
	n, err := strconv.ParseInt(sec, 10, 64)
	if err != nil {
		return fmt.Errorf("SOURCE_DATE_EPOCH: %w", err)
	}
	d.time = time.Unix(n, 0).UTC()
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	shared, err := d.sharedFiles()
	if err != nil {
		return err
	}
	made := 0
	for _, t := range targets() {
		if only != "" && !slices.Contains(strings.Split(only, ","), t.String()) {
			continue
		}
		if err := d.makeTarget(t, shared); err != nil {
			return fmt.Errorf("%s: %w", t, err)
		}
		made++
	}
	if made == 0 {
		return fmt.Errorf("-only %s names none of %v", only, targets())
	}
	slices.Sort(d.sums)
	return os.WriteFile(filepath.Join(out, "SHA256SUMS"), []byte(strings.Join(d.sums, "")), 0o644)
}

// makeTarget writes the archive of one system, and for Linux its package and image.
func (d *dist) makeTarget(t target, shared []file) error {
	bin, err := d.build(t)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("spate-%s-%s", spate.Version, t)
	if t.os == "windows" {
		return d.write(name+".zip", func() ([]byte, error) {
			return d.zip(inDir(name, append(d.docs(shared), file{path: "spate.exe", data: bin, mode: 0o755})))
		})
	}
	files := append(d.docs(shared), file{path: "spate", data: bin, mode: 0o755})
	if err := d.write(name+".tar.gz", func() ([]byte, error) { return d.tarGz(inDir(name, append(files, links("")...))) }); err != nil {
		return err
	}
	if t.os != "linux" {
		return nil
	}
	err = d.write(fmt.Sprintf("spate_%s_%s.deb", spate.Version, t.arch), func() ([]byte, error) { return d.deb(t.arch, bin, shared) })
	return cmp.Or(err, d.write(name+"-image.tar", func() ([]byte, error) { return d.image(t.arch, bin) }))
}

// build compiles the program, which contains the commit's id, and returns the binary.
func (d *dist) build(t target) ([]byte, error) {
	dir, err := os.MkdirTemp("", "spate-bin-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "spate")
	c := exec.Command("go", "build", "-trimpath", "-buildvcs=true", "-ldflags=-s -w -buildid=", "-o", path, "./cmd/spate")
	c.Dir = d.top
	c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+t.os, "GOARCH="+t.arch, "GOFLAGS=-mod=readonly", "GOAMD64=v1", "GOARM64=v8.0")
	if out, err := c.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build: %w\n%s", err, out)
	}
	return os.ReadFile(path)
}

// write writes a file into the output directory, prints its size, and adds its sum.
func (d *dist) write(name string, content func() ([]byte, error)) error {
	b, err := content()
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if err := os.WriteFile(filepath.Join(d.out, name), b, 0o644); err != nil {
		return err
	}
	sum := sha256.Sum256(b)
	d.sums = append(d.sums, hex.EncodeToString(sum[:])+"  "+name+"\n")
	fmt.Printf("%-44s %5.1f MB\n", filepath.Join(d.out, name), float64(len(b))/1e6)
	return nil
}

func git(args ...string) (string, error) {
	out, err := exec.Command("git", args...).Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out)), nil
}
