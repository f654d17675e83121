package main

import (
	"bytes"
	"crypto/md5"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"spate"
)

// deb returns a Debian package: an ar archive with the format version, the control files
// and the data (deb(5)).
func (d *dist) deb(arch string, bin []byte, shared []file) ([]byte, error) {
	data, err := d.debData(bin, shared)
	if err != nil {
		return nil, err
	}
	control, err := d.debControl(arch, data)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.WriteString("!<arch>\n")
	for _, part := range []struct {
		name  string
		files []file
	}{{"control.tar.gz", control}, {"data.tar.gz", data}} {
		raw, err := d.tar("./", part.files)
		if err != nil {
			return nil, err
		}
		if raw, err = compress(raw); err != nil {
			return nil, err
		}
		if part.name == "control.tar.gz" {
			d.ar(&b, "debian-binary", []byte("2.0\n"))
		}
		d.ar(&b, part.name, raw)
	}
	return b.Bytes(), nil
}

// ar appends a member to an ar archive.
func (d *dist) ar(b *bytes.Buffer, name string, data []byte) {
	fmt.Fprintf(b, "%-16s%-12d%-6d%-6d%-8s%-10d`\n", name, d.time.Unix(), 0, 0, "100644", len(data))
	b.Write(data)
	if len(data)%2 == 1 {
		b.WriteByte('\n')
	}
}

// debData returns the files that the package installs.
func (d *dist) debData(bin []byte, shared []file) ([]file, error) {
	out := append([]file{{path: "usr/bin/spate", data: bin, mode: 0o755}}, links("usr/bin")...)
	for _, f := range shared {
		var err error
		switch name := path.Base(f.path); {
		case strings.HasPrefix(f.path, "man"):
			f.path = "usr/share/man/" + f.path + ".gz"
			f.data, err = compress(f.data)
		case name == "spate.bash":
			f.path = "usr/share/bash-completion/completions/spate"
		case name == "_spate":
			f.path = "usr/share/zsh/vendor-completions/_spate"
		case name == "spate.fish":
			f.path = "usr/share/fish/vendor_completions.d/spate.fish"
		case name == "README.md":
			f.path = "usr/share/doc/spate/README.md"
		case name == "LICENSE":
			f.path = "usr/share/doc/spate/copyright"
			f.data = append([]byte("spate: Apache License 2.0, whose text follows.\n\n"), f.data...)
		default:
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	for from, to := range map[string]string{
		"packaging/systemd/spate.service":         "usr/lib/systemd/system/spate.service",
		"packaging/systemd/spate.socket":          "usr/lib/systemd/system/spate.socket",
		"packaging/systemd/spate-tracker.service": "usr/lib/systemd/system/spate-tracker.service",
		"packaging/systemd/spate-tracker.socket":  "usr/lib/systemd/system/spate-tracker.socket",
		"packaging/deb/spate.toml":                "etc/spate/spate.toml",
		"docs/spate.toml":                         "usr/share/doc/spate/examples/spate.toml",
	} {
		b, err := os.ReadFile(filepath.Join(d.top, from))
		if err != nil {
			return nil, err
		}
		out = append(out, file{path: to, data: b, mode: 0o644})
	}
	return out, nil
}

// debControl returns the control files.
func (d *dist) debControl(arch string, data []file) ([]file, error) {
	var size int64
	var sums, conf strings.Builder
	slices.SortFunc(data, func(a, b file) int { return strings.Compare(a.path, b.path) })
	for _, f := range data {
		if f.link != "" {
			continue
		}
		size += int64(len(f.data))
		fmt.Fprintf(&sums, "%x  %s\n", md5.Sum(f.data), f.path)
		if strings.HasPrefix(f.path, "etc/") {
			fmt.Fprintf(&conf, "/%s\n", f.path)
		}
	}
	control := fmt.Sprintf(`Package: spate
Version: %s
Architecture: %s
Maintainer: The spate authors <spate@localhost>
Installed-Size: %d
Section: net
Priority: optional
Suggests: ca-certificates
Conflicts: bittorrent, bittornado
Description: publish and download files over BitTorrent
 spate makes torrents, tracks, seeds and downloads them, and serves release
 pages. It also runs as the BitTorrent tools of 2005, such as btmakemetafile,
 bttrack and btdownloadheadless.
`, spate.Version, arch, (size+1023)/1024)
	out := []file{
		{path: "control", data: []byte(control), mode: 0o644},
		{path: "md5sums", data: []byte(sums.String()), mode: 0o644},
		{path: "conffiles", data: []byte(conf.String()), mode: 0o644},
	}
	for _, name := range []string{"postinst", "prerm", "postrm"} {
		b, err := os.ReadFile(filepath.Join(d.top, "packaging/deb", name))
		if err != nil {
			return nil, err
		}
		out = append(out, file{path: name, data: b, mode: 0o755})
	}
	return out, nil
}
