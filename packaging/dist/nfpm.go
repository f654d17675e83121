package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"spate"
)

// nfpmConfig is the part of the configuration of nfpm that dist writes. See
// https://nfpm.goreleaser.com/docs/configuration/.
type nfpmConfig struct {
	Name        string            `json:"name"`
	Arch        string            `json:"arch"`
	Platform    string            `json:"platform"`
	Version     string            `json:"version"`
	Release     string            `json:"release"`
	Section     string            `json:"section"`
	Maintainer  string            `json:"maintainer"`
	Vendor      string            `json:"vendor,omitempty"`
	Homepage    string            `json:"homepage,omitempty"`
	License     string            `json:"license"`
	Description string            `json:"description"`
	Time        time.Time         `json:"mtime"`
	Contents    []nfpmContent     `json:"contents"`
	Scripts     map[string]string `json:"scripts"`
	RPM         map[string]string `json:"rpm,omitempty"`
}

// nfpmContent is a file of a package.
type nfpmContent struct {
	Source string    `json:"src"`
	Dest   string    `json:"dst"`
	Type   string    `json:"type,omitempty"`
	Info   *nfpmInfo `json:"file_info,omitempty"` // nil for a symbolic link
}

// nfpmInfo has the attributes of a file.
type nfpmInfo struct {
	Mode  uint32    `json:"mode"`
	Owner string    `json:"owner"`
	Group string    `json:"group"`
	Time  time.Time `json:"mtime"`
}

// nfpmArch returns the name of the architecture of a target in nfpm, which converts it to that of
// the format.
func (t target) nfpmArch() string {
	if t.arch == "arm" {
		return "arm7"
	}
	return t.arch
}

// packageName returns the usual name of the package of a format.
func (t target) packageName(format string) string {
	arch := map[string]string{"amd64": "x86_64", "arm64": "aarch64", "arm": map[string]string{"rpm": "armv7hl", "apk": "armv7"}[format]}[t.arch]
	switch format {
	case "rpm":
		return fmt.Sprintf("spate-%s-1.%s.rpm", spate.Version, arch)
	case "apk":
		return fmt.Sprintf("spate-%s-r0.%s.apk", spate.Version, arch)
	}
	return fmt.Sprintf("spate_%s_%s.deb", spate.Version, t.debArch())
}

// nfpm returns a package of a format, "rpm" or "apk", made by the program nfpm, which tools/go.mod
// names. The packages have no signature.
func (d *dist) nfpm(format string, t target, bin []byte, shared []file) ([]byte, error) {
	dir, err := os.MkdirTemp("", "spate-nfpm-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	files, err := d.installed(format, bin, shared)
	if err != nil {
		return nil, err
	}
	vendor, _, _ := strings.Cut(d.maintainer, " <")
	c := nfpmConfig{
		Name: "spate", Arch: t.nfpmArch(), Platform: "linux", Version: spate.Version, Section: "net", Maintainer: d.maintainer, Vendor: vendor,
		Homepage: d.homepage, License: license, Description: description, Time: d.time, Scripts: d.scripts(format),
	}
	if c.Contents, err = d.stage(dir, files); err != nil {
		return nil, err
	}
	for _, script := range c.Scripts { // packages of Alpine contain the time
		if err := os.Chtimes(script, d.time, d.time); err != nil {
			return nil, err
		}
	}
	if format == "rpm" { // the name of the machine would differ between builds
		c.Release, c.RPM = "1", map[string]string{"summary": summary, "group": "Applications/Internet", "buildhost": "localhost", "packager": d.maintainer}
	} else {
		c.Release, c.Description = "r0", summary // one line
	}
	text, err := json.Marshal(c) // JSON is YAML
	if err != nil {
		return nil, err
	}
	config, out := filepath.Join(dir, "nfpm.yaml"), filepath.Join(dir, "spate."+format)
	if err := os.WriteFile(config, text, 0o644); err != nil {
		return nil, err
	}
	run := exec.Command("go", "tool", "-modfile=tools/go.mod", "nfpm", "package", "-f", config, "-p", format, "-t", out)
	run.Dir = d.top
	run.Env = append(os.Environ(), "GOOS=", "GOARCH=", fmt.Sprint("SOURCE_DATE_EPOCH=", d.time.Unix()))
	if said, err := run.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("nfpm: %w\n%s", err, said)
	}
	return os.ReadFile(out)
}

// stage writes the files below dir and returns the contents of the package.
func (d *dist) stage(dir string, files []file) (list []nfpmContent, err error) {
	for i, f := range files {
		c := nfpmContent{Source: f.link, Dest: "/" + f.path, Type: "symlink"}
		if f.link == "" {
			c.Source, c.Type = filepath.Join(dir, fmt.Sprint(i)), ""
			c.Info = &nfpmInfo{uint32(f.mode.Perm()), "root", "root", d.time}
			if strings.HasPrefix(f.path, "etc/") {
				c.Type = "config|noreplace"
			}
			if err := os.WriteFile(c.Source, f.data, 0o644); err != nil {
				return nil, err
			}
		}
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b nfpmContent) int { return strings.Compare(a.Dest, b.Dest) })
	return list, nil
}

// scripts returns the paths of the scripts of a package by their names in nfpm.
func (d *dist) scripts(format string) map[string]string {
	names := map[string]string{"postinstall": "post", "preremove": "preun", "postremove": "postun"}
	if format == "apk" {
		names = map[string]string{"postinstall": "post-install", "preremove": "pre-deinstall"}
	}
	for when, name := range names {
		names[when] = filepath.Join(d.top, "packaging", format, name)
	}
	return names
}
