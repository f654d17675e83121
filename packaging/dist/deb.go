package main

import (
	"bytes"
	"crypto/md5"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"spate"
)

// deb returns a Debian package: an ar archive with the format version, the control files
// and the data (deb(5)).
func (d *dist) deb(t target, bin []byte, shared []file) ([]byte, error) {
	data, err := d.installed("deb", bin, shared)
	if err != nil {
		return nil, err
	}
	control, err := d.debControl(t.debArch(), data)
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
	home := ""
	if d.homepage != "" {
		home = "Homepage: " + d.homepage + "\n"
	}
	control := fmt.Sprintf(`Package: spate
Version: %s
Architecture: %s
Maintainer: %s
Installed-Size: %d
Section: net
Priority: optional
Suggests: ca-certificates
Conflicts: bittorrent, bittornado
%sDescription: %s
 %s
`, spate.Version, arch, d.maintainer, (size+1023)/1024, home, summary, strings.ReplaceAll(description, "\n", "\n "))
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
