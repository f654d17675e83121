// Command dist builds the files of a release from the current commit: archives with the
// binaries of all systems, packages for Debian, RPM and Alpine, container images, bills of
// materials, and their SHA-256 sums. -sign signs the sums, and -url writes the recipes of other
// package managers, which download the files. dist needs Go and git, but neither root nor a
// container daemon. Two builds of one commit are identical, because names are sorted and all times
// are the commit's.
package main

import (
	"cmp"
	"flag"
	"fmt"
	"net/mail"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"spate"
)

// target is an operating system and architecture, in Go's names. All builds for arm are for ARMv7.
type target struct{ os, arch string }

func (t target) String() string {
	if t.arch == "arm" {
		return t.os + "-armv7"
	}
	return t.os + "-" + t.arch
}

func targets() []target {
	return []target{
		{"linux", "amd64"}, {"linux", "arm64"}, {"linux", "arm"}, {"darwin", "amd64"}, {"darwin", "arm64"},
		{"windows", "amd64"}, {"windows", "arm64"}, {"freebsd", "amd64"},
	}
}

// dist is the state of one run.
type dist struct {
	out        string            // output directory
	only       []string          // names of the targets to build; empty: all
	maintainer string            // of the packages, as NAME <ADDRESS>
	homepage   string            // URL of the project, or ""
	url        string            // URL of the directory from which people download the files, or ""
	signKey    string            // path of a minisign key that signs the sums, or ""
	top        string            // directory with the commit's source
	time       time.Time         // the commit's time, for all files
	revision   string            // the commit's id
	sums       map[string]string // SHA-256 sums of the files, by name
}

func main() {
	d := &dist{sums: map[string]string{}}
	flag.StringVar(&d.out, "o", "dist", "write the files to `DIR`")
	only := flag.String("only", "", "build only these `TARGETS`, such as linux-amd64,windows-amd64")
	flag.StringVar(&d.maintainer, "maintainer", "The spate authors <spate@localhost>", "name the maintainer of the packages, as `NAME <ADDRESS>`")
	flag.StringVar(&d.homepage, "homepage", "", "name the `URL` of the project in packages")
	flag.StringVar(&d.url, "url", "", "write recipes/ for package managers, which download the files from this `URL`")
	flag.StringVar(&d.signKey, "sign", "", "sign SHA256SUMS with the minisign key in this `FILE`; MINISIGN_PASSWORD has its password")
	flag.Parse()
	if *only != "" {
		d.only = strings.Split(*only, ",")
	}
	if err := d.run(); err != nil {
		fmt.Fprintln(os.Stderr, "dist:", err)
		os.Exit(1)
	}
}

func (d *dist) run() error {
	if err := d.check(); err != nil {
		return err
	}
	sign, err := signer(d.signKey)
	if err != nil {
		return err
	}
	if err := d.checkout(); err != nil {
		return err
	}
	defer os.RemoveAll(d.top)
	if err := os.MkdirAll(d.out, 0o755); err != nil {
		return err
	}
	shared, err := d.sharedFiles()
	if err != nil {
		return err
	}
	for _, t := range targets() {
		if len(d.only) > 0 && !slices.Contains(d.only, t.String()) {
			continue
		}
		if err := d.makeTarget(t, shared); err != nil {
			return fmt.Errorf("%s: %w", t, err)
		}
	}
	if err := d.writeSums(sign); err != nil {
		return err
	}
	return d.writeRecipes()
}

// special are the characters that end or change a text in double quotes in some recipe.
const special = "\"\\$`#{}\n\r"

// check checks the settings of the build.
func (d *dist) check() error {
	for _, name := range d.only {
		if !slices.ContainsFunc(targets(), func(t target) bool { return t.String() == name }) {
			return fmt.Errorf("-only: %s is none of %v", name, targets())
		}
	}
	if a, err := mail.ParseAddress(d.maintainer); err != nil || a.Name == "" {
		return fmt.Errorf("-maintainer %q is not NAME <ADDRESS>", d.maintainer)
	}
	if strings.ContainsAny(d.maintainer, special) {
		return fmt.Errorf("-maintainer %q contains one of the characters %s, which the recipes cannot quote", d.maintainer, special)
	}
	for flag, value := range map[string]string{"-homepage": d.homepage, "-url": d.url} {
		if u, err := url.Parse(value); value != "" && (err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || strings.ContainsAny(value, special+" '")) {
			return fmt.Errorf("%s %q is not a URL of http or https", flag, value)
		}
	}
	d.url = strings.TrimRight(d.url, "/")
	return nil
}

// checkout clones the commit into a directory of its own, because the go command does not stamp the
// commit in a git worktree.
func (d *dist) checkout() error {
	top, err := git("rev-parse", "--show-toplevel")
	if err != nil {
		return err
	}
	if changes, err := git("status", "--porcelain", "--untracked-files=no"); err != nil || changes != "" {
		return cmp.Or(err, fmt.Errorf("uncommitted changes: commit them first:\n%s", changes))
	}
	if d.top, err = os.MkdirTemp("", "spate-dist-"); err != nil {
		return err
	}
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
	d.revision, err = git("rev-parse", "HEAD")
	return err
}

// archiveName returns the name of the archive of a target.
func (t target) archiveName() string {
	if t.os == "windows" {
		return t.folder() + ".zip"
	}
	return t.folder() + ".tar.gz"
}

// folder returns the name of the directory in the archive of a target.
func (t target) folder() string { return fmt.Sprintf("spate-%s-%s", spate.Version, t) }

// makeTarget writes the archive of one system and its bill of materials, and for Linux its packages
// and image.
func (d *dist) makeTarget(t target, shared []file) error {
	bin, err := d.build(t)
	if err != nil {
		return err
	}
	name := t.folder()
	if err := d.write(name+".cdx.json", func() ([]byte, error) { return d.sbom(t, bin) }); err != nil {
		return err
	}
	if t.os == "windows" {
		return d.write(t.archiveName(), func() ([]byte, error) {
			return d.zip(inDir(name, append(d.docs(shared), file{path: "spate.exe", data: bin, mode: 0o755})))
		})
	}
	files := append(d.docs(shared), file{path: "spate", data: bin, mode: 0o755})
	if err := d.write(t.archiveName(), func() ([]byte, error) { return d.tarGz(inDir(name, append(files, links("")...))) }); err != nil {
		return err
	}
	if t.os != "linux" {
		return nil
	}
	if err := d.write(t.packageName("deb"), func() ([]byte, error) { return d.deb(t, bin, shared) }); err != nil {
		return err
	}
	for _, format := range []string{"rpm", "apk"} {
		if err := d.write(t.packageName(format), func() ([]byte, error) { return d.nfpm(format, t, bin, shared) }); err != nil {
			return err
		}
	}
	return d.write(name+"-image.tar", func() ([]byte, error) { return d.image(t, bin) })
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
	c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+t.os, "GOARCH="+t.arch, "GOFLAGS=-mod=readonly", "GOAMD64=v1", "GOARM64=v8.0", "GOARM=7")
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
	d.sums[name] = sum(b)
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
